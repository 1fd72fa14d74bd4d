//! What is known of vendors: `plugins/NAME/vendor.yaml` in the API, on the command line, and in `docs/vendors`, whose pages
//! `UPDATE_EXPECTED=1` writes.

use crate::guest::project;
use crate::host::Folder;
use hookmill_host::source::SourceKind;
use hookmill_host::vendors::{Vendor, VendorWay, bundled};
use hookmill_signatures::{has_secret_in_url, has_secret_of_vendor};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

/// Returns the folders of plugins that have this file.
fn folders_with(file: &str) -> BTreeSet<String> {
    let folders = fs::read_dir(project("plugins")).unwrap().map(|folder| folder.unwrap().path());
    let has_file = folders.filter(|folder| folder.join(file).is_file());
    has_file.map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_mapper_has_its_vendor_and_an_up_to_date_page() {
    let vendors = bundled().unwrap();
    let names: BTreeSet<String> = vendors.iter().map(|vendor| vendor.name.clone()).collect();
    assert_eq!(folders_with("vendor.yaml"), names, "the build is older: touch host/build.rs");
    assert_eq!(folders_with("kinds.json"), names, "a mapper without vendor.yaml");
    let docs = project("docs/vendors");
    for vendor in &vendors {
        let file = docs.join(format!("{}.md", vendor.name));
        let text = page(vendor);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let written = fs::read_to_string(&file).unwrap_or_default();
        assert!(written == text, "{} is out of date: run this test with UPDATE_EXPECTED=1", file.display());
    }
    assert_eq!(fs::read_dir(&docs).unwrap().count(), vendors.len(), "docs/vendors has a page without a vendor");
}

/// Mappers in languages with a runtime contain it, so that the package names its license.
#[test]
fn the_copyright_of_the_package_names_every_mapper_with_a_runtime() {
    let copyright = fs::read_to_string(project("packaging/debian/copyright")).unwrap();
    let sections: Vec<&str> = copyright.split("\n\n").collect();
    for (code, license) in [("mapper.go", "BSD-3-Clause"), ("mapper.ts", "MPL-2.0"), ("mapper.py", "PSF-2.0")] {
        for name in folders_with(code) {
            let file = format!("usr/lib/hookmill/plugins/{name}.wasm");
            let section = sections.iter().find(|section| section.lines().any(|line| line.ends_with(&file)));
            assert!(section.is_some_and(|section| section.contains(license)), "{file} and {license}");
        }
        assert!(sections.iter().any(|section| section.starts_with(&format!("License: {license}\n"))), "{license}");
    }
}

fn page(vendor: &Vendor) -> String {
    let Vendor { name, vendor: _, product, sends, kinds: _, ways, checks, documents } = vendor;
    let mut text = format!(
        "# {product}\n\nGenerated from `plugins/{name}/vendor.yaml` and `plugins/{name}/coverage.md` by `tests/vendors.rs`. DO \
         NOT EDIT!\n\nThe mapper `{name}` reads:\n\n{}",
        list(sends)
    );
    for (index, way) in ways.iter().enumerate() {
        text += &way_section(name, index + 1, way);
    }
    write!(text, "\n## If nothing arrives\n\n{}", list(checks)).unwrap();
    write!(text, "\n## Kinds of payloads\n\n| kind | what it is | read as |\n|---|---|---|\n").unwrap();
    let coverage = fs::read_to_string(project("plugins").join(name).join("coverage.md")).unwrap();
    for row in coverage.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        writeln!(text, "| {} |", cells[..3].join(" | ")).unwrap();
    }
    write!(text, "\n## Documents of the vendor\n\n").unwrap();
    for document in documents {
        match &document.url {
            Some(url) => writeln!(text, "- [{}]({url})", document.title).unwrap(),
            None => writeln!(text, "- {} (for customers)", document.title).unwrap(),
        }
    }
    text
}

fn way_section(name: &str, number: usize, way: &VendorWay) -> String {
    let VendorWay { title, kind, authentication, headers, values, steps, yaml, .. } = way;
    let mut text = format!("\n## {title}\n\n{authentication}");
    if !headers.is_empty() {
        write!(text, " Headers: `{}`.", headers.join("`, `")).unwrap();
    }
    text += "\n\n";
    for (index, step) in steps.iter().enumerate() {
        writeln!(text, "{}. {step}", index + 1).unwrap();
    }
    if *kind == SourceKind::Webhook {
        let number = if number > 1 { format!(" --way {number}") } else { String::new() };
        let given: String = values.iter().map(|value| format!(" --value {}=…", value.name)).collect();
        let scheme = way.source["scheme"]["type"].as_str().or(way.source["scheme"].as_str()).unwrap();
        let (secret, printed) = match yaml.contains("\n    secret: ") {
            true if has_secret_of_vendor(scheme) => {
                (" --secret -", "its URL; it reads the secret, which the vendor shows")
            }
            true if has_secret_in_url(scheme) => ("", "its URL, whose last part is the secret"),
            true => ("", "its URL and its secret"),
            false => ("", "its URL; this scheme has no secret"),
        };
        write!(
            text,
            "\n`hookmill webhook add {name} --vendor {name}{number}{given}{secret}` registers the source and prints {printed}. In \
             the configuration file the source is:\n"
        )
        .unwrap();
    } else {
        write!(text, "\nThe host reads this source, so that it stands in the configuration file:\n").unwrap();
    }
    write!(text, "\n```yaml\n{yaml}```\n").unwrap();
    for value in values {
        write!(text, "\n`{}` is {}.\n", value.name, value.meaning).unwrap();
    }
    text
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("- {item}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_and_the_command_line_show_the_same() {
    let folder = Folder::new("");
    let host = folder.start().await;
    let listed = host.get("/api/vendors").await;
    let (success, text, errors) = folder.run(&["vendors", "--json"]);
    assert!(success, "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), listed);
    let (_, one, _) = folder.run(&["vendors", "okta", "--json"]);
    let okta = listed["data"].as_array().unwrap().iter().find(|vendor| vendor["name"] == "okta").unwrap();
    assert_eq!(&serde_json::from_str::<Value>(&one).unwrap(), okta);

    let (_, table, _) = folder.run(&["vendors"]);
    let row = table.lines().find(|line| line.starts_with("okta")).unwrap();
    assert!(row.contains("posted, pulled"), "{table}");
    let (_, steps, _) = folder.run(&["vendors", "okta"]);
    for part in ["1. In the Admin Console", "Way 2: System Log", "kind: http-poll", "If nothing arrives"] {
        assert!(steps.contains(part), "{part} in {steps}");
    }
    let (success, _, errors) = folder.run(&["vendors", "acme"]);
    assert!(!success && errors.contains("expected one of abnormal, alertmanager, "), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_added_as_its_vendor_needs_it() {
    let folder = Folder::new("");
    let token = folder.run(&["token", "create", "--scope", "admin", "--name", "operator"]).1.trim().to_owned();
    let host = folder.start().await;
    let add = |arguments: &[&str]| {
        folder.run(&[&["webhook", "add", "--url", &host.url, "--token", &token], arguments].concat())
    };
    let (success, text, warnings) =
        add(&["edr", "--vendor", "crowdstrike", "--auto-triage", "true", "--playbook", "absent"]);
    assert!(success, "{warnings}");
    let secret = text.split_once("shown this once: ").unwrap().1.lines().next().unwrap();
    assert_eq!(secret.len(), 64);
    for part in ["scheme crowdstrike", &format!("its URL: {}/api/webhooks/edr\n", host.url), "1. In the Falcon console"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(warnings.contains("the plugin `crowdstrike` is not loaded"), "{warnings}");
    assert!(warnings.contains("absent"), "{warnings}");
    let edr = host.get("/api/sources/edr").await;
    assert_eq!((&edr["scheme"], &edr["plugin"]), (&json!("crowdstrike"), &json!("crowdstrike")));
    assert_eq!(edr["yaml"].as_str().unwrap().lines().nth(2), Some("    plugin: crowdstrike"));

    let (success, text, _) = add(&["siem", "--vendor", "splunk"]);
    let secret = text.split_once("shown this once: ").unwrap().1.lines().next().unwrap();
    assert!(success && text.contains(&format!("/api/webhooks/siem/{secret}\n")), "{text}");
    assert!(text.contains("its vendor posts to /api/webhooks/siem/SECRET\n"), "{text}");
    let (success, text, _) = add(&["given", "--vendor", "splunk", "--secret", "a-secret-of-the-operator"]);
    assert!(success && text.contains("/api/webhooks/given/SECRET\n") && !text.contains("a-secret-of"), "{text}");
    assert_eq!(host.post(&format!("siem/{secret}"), "{}").await.status, 202);

    let (success, text, _) = add(&["errors", "--vendor", "sentry"]);
    assert!(success && text.contains("its vendor makes the secret of this scheme"), "{text}");
    let (success, text, _) = add(&["given-by-sentry", "--vendor", "sentry", "--secret", "a-secret-of-the-vendor"]);
    assert!(success && !text.contains("its vendor makes the secret"), "{text}");

    let topic = "TOPIC_ARN=arn:aws:sns:eu-central-1:123456789012:alerts";
    for (arguments, expected) in [
        (&["aws", "--vendor", "guardduty"][..], "--value TOPIC_ARN=… is missing"),
        (&["aws", "--vendor", "guardduty", "--value", "ARN=x"], "needs no value `ARN`"),
        (&["sso", "--vendor", "okta", "--way", "2"], "kind: http-poll"),
        (&["sso", "--vendor", "okta", "--way", "3"], "it has 2"),
        (&["sso", "--vendor", "acme"], "there is no vendor `acme`"),
        (&["sso", "--way", "2"], "--vendor"),
    ] {
        let (success, _, errors) = add(arguments);
        assert!(!success && errors.contains(expected), "{arguments:?}: {errors}");
    }
    let (success, text, errors) = add(&["aws", "--vendor", "guardduty", "--value", topic]);
    assert!(success && text.contains("scheme aws-sns") && !text.contains("secret, shown"), "{text}{errors}");
    let (success, text, _) = add(&["other", "--vendor", "generic", "--way", "2"]);
    assert!(success && text.contains("scheme static-header"), "{text}");
    assert!(!add(&["edr", "--vendor", "crowdstrike"]).0, "the name is taken");
}

#[test]
fn a_project_begins_with_the_bundled_mapper_of_a_vendor() {
    let folder = Folder::new("");
    for vendor in bundled().unwrap() {
        let name = format!("my-{}", vendor.name);
        let (success, text, errors) = folder.run(&["plugin", "new", &name, "--vendor", &vendor.name]);
        assert!(success && text.contains("plugin build"), "{errors}");
        let source = project("plugins").join(&vendor.name);
        let same = |file: &str| {
            assert_eq!(fs::read(folder.path(&name).join(file)).unwrap(), fs::read(source.join(file)).unwrap())
        };
        let code = ["mapper.rs", "mapper.ts", "mapper.py", "mapper.go"]
            .into_iter()
            .find(|code| source.join(code).is_file())
            .unwrap();
        [code, "kinds.json"].into_iter().for_each(same);
        for payload in fs::read_dir(source.join("payloads")).unwrap() {
            let payload = payload.unwrap().file_name().into_string().unwrap();
            if payload.ends_with(".json") {
                same(&format!("payloads/{payload}"));
            }
        }
        assert!(folder.path(&name).join("sdk").is_dir() && !folder.path(&name).join("payloads/sample.json").exists());
    }
    // The files of the project fit the mapper.
    let mapper = project("target/plugins/generic.wasm");
    let (success, text, errors) = folder.run(&["plugin", "test", "my-generic", "--plugin", mapper.to_str().unwrap()]);
    assert!(success && text.contains("✓ seed"), "{text}{errors}");

    let (success, _, errors) = folder.run(&["plugin", "new", "other", "--vendor", "acme"]);
    assert!(!success && errors.contains("there is no vendor `acme`") && errors.contains("crowdstrike"), "{errors}");
    assert!(!folder.path("other").exists());
    for arguments in [&["--lang", "rust", "--vendor", "okta"][..], &[]] {
        assert!(!folder.run(&[&["plugin", "new", "other"], arguments].concat()).0, "{arguments:?}");
    }
}
