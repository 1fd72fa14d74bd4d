//! The bundled mappers in a real host. Their results for each payload are tested in their own folders.

use crate::guest::{mapper, project};
use crate::host::{Folder, SECRET};
use reqwest::Method;
use serde_json::{Value, json};

/// The mappers in Rust and Go, each with one of its payloads.
const SAMPLES: [(&str, &str); 41] = [
    ("abnormal", "threat"),
    ("alertmanager", "firing"),
    ("carbon-black", "cb-analytics"),
    ("cloudflare", "network-attack"),
    ("cortex-xdr", "incident-new"),
    ("crowdstrike", "seed"),
    ("darktrace", "breach"),
    ("defender-office365", "seed"),
    ("defender-xdr", "older-incident"),
    ("elastic", "seed"),
    ("extrahop", "detection"),
    ("falco", "sensitive-file"),
    ("generic", "seed"),
    ("gitguardian", "incident"),
    ("github", "secret-reopened-without-header"),
    ("google-scc", "notification-new"),
    ("grafana", "firing"),
    ("insightidr", "investigation"),
    ("mimecast", "siem-virus"),
    ("misp", "event"),
    ("netskope", "policy-block"),
    ("opencti", "incident"),
    ("orca", "vm"),
    ("prisma-cloud", "alert"),
    ("proofpoint-tap", "click-of-a-forwarder"),
    ("qradar", "username"),
    ("recorded-future", "classic-alert"),
    ("security-hub", "eventbridge-new"),
    ("sentinel", "incident-new"),
    ("sentinelone", "uam-alert"),
    ("sentry", "issue-created"),
    ("snyk", "package-issue"),
    ("sophos-central", "alert"),
    ("splunk", "seed"),
    ("thehive", "seed"),
    ("thinkst-canary", "webhook-file-opened"),
    ("vectra", "rux-detection"),
    ("vision-one", "workbench-new"),
    ("wazuh", "sshd-level-10"),
    ("wiz", "webhook-issue-created"),
    ("zerofox", "dark-web"),
];

#[tokio::test]
async fn every_bundled_mapper_maps_its_own_payload() {
    let sources: String = SAMPLES.iter().map(|(name, _)| format!("  {name}: {{ secret: {SECRET} }}\n")).collect();
    let mut folder = Folder::new(&format!("sources:\n{sources}  anything: {{ secret: {SECRET} }}\n"));
    for (name, _) in SAMPLES {
        folder = folder.with(name, &mapper(name));
    }
    let host = folder.start().await;
    for (name, payload) in SAMPLES {
        let payloads = project(&format!("plugins/{name}/payloads"));
        let read = |ending: &str| std::fs::read(payloads.join(format!("{payload}{ending}.json"))).unwrap();
        let expected: Value = serde_json::from_slice(&read(".expected")).unwrap();
        let answer = host.signed(name, read("")).await;
        assert_eq!((answer.status, answer.status_word()), (202, "accepted"), "{name}: {answer:?}");
        let incident = host.get(&format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap())).await;
        assert_eq!(incident["plugin"]["name"], *name);
        let expected = &expected["incidents"][0];
        for name in ["source_ref", "title", "external_link", "category"] {
            let value = expected.get(name).unwrap_or(&Value::Null);
            assert_eq!(&incident[name], value, "{name}: {incident}");
        }
        // With `plugin: auto` the host finds the mapper.
        let found = host.signed("anything", read("")).await;
        assert_eq!(found.status_word(), "accepted", "{name}: {found:?}");
        let incident = host.get(&format!("/api/incidents/{}", found.body["incident_id"].as_str().unwrap())).await;
        assert_eq!(incident["plugin"]["name"], *name);

        let refused = host.signed(name, r#"{"hello": "world"}"#).await;
        assert_eq!((refused.status, &refused.body["error"]["code"]), (422, &json!("unmappable_payload")), "{name}");
    }
}

/// Mappers that share payloads: alerts of Microsoft Graph are mapped one by one or by their incidents.
const RELATED: [&str; 2] = ["plugins/defender-office365/", "plugins/defender-xdr/"];

/// With `plugin: auto` the first mapper that accepts a payload maps it, so no other may accept it.
#[tokio::test]
async fn no_bundled_mapper_accepts_the_payload_of_another() {
    let mut folder = Folder::new("");
    for (name, _) in SAMPLES {
        folder = folder.with(name, &mapper(name));
    }
    let host = folder.start().await;
    host.ready().await;
    let (mut tried, mut faults) = (0, String::new());
    for owner in std::fs::read_dir(project("plugins")).unwrap() {
        let Ok(files) = std::fs::read_dir(owner.unwrap().path().join("payloads")) else { continue };
        for expected in files.map(|file| file.unwrap().path()) {
            let Some(name) = expected.to_str().and_then(|path| path.strip_suffix(".expected.json")) else { continue };
            let outcome: Value = serde_json::from_slice(&std::fs::read(&expected).unwrap()).unwrap();
            let payload = std::fs::read_to_string(format!("{name}.json")).unwrap();
            // Half a surrogate pair is valid JSON in JavaScript only.
            if outcome["error"].is_object() || serde_json::from_str::<Value>(&payload).is_err() {
                continue;
            }
            let body = json!({"body": payload}).to_string();
            let is_related = |other: &str| {
                let folder = format!("plugins/{other}/");
                let owners: &[&str] = if RELATED.contains(&folder.as_str()) { &RELATED } else { &[&folder] };
                owners.iter().any(|owner| name.contains(owner))
            };
            for (other, _) in SAMPLES.iter().filter(|(other, _)| !is_related(other)) {
                let answer = host.call(Method::POST, &format!("/api/plugins/{other}/run"), body.clone()).await;
                let outcome = &answer.body["outcome"];
                if (answer.status, &outcome["error"]["code"]) != (200, &json!("unsupported")) {
                    faults += &format!("{other} takes {name}: {outcome}\n");
                }
                tried += 1;
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(tried > 500, "{tried}");
}

/// Mappers that contain an interpreter.
#[tokio::test]
async fn bundled_mappers_in_other_languages_map_in_a_host() {
    let samples = [
        ("okta", "two-events"),
        ("guardduty", "archived-credential-exfiltration"),
        ("google-workspace", "suspicious-login"),
        ("cybereason", "detection-malop"),
    ];
    let sources: String = samples.iter().map(|(name, _)| format!("  {name}: {{ secret: {SECRET} }}\n")).collect();
    let mut folder = Folder::new(&format!("sources:\n{sources}"));
    for (name, _) in samples {
        folder = folder.with(name, &mapper(name));
    }
    let host = folder.start().await;
    for (name, payload) in samples {
        let read =
            |ending: &str| std::fs::read(project(&format!("plugins/{name}/payloads/{payload}{ending}.json"))).unwrap();
        let expected: Value = serde_json::from_slice(&read(".expected")).unwrap();
        let answer = host.signed(name, read("")).await;
        assert_eq!((answer.status, answer.status_word()), (202, "accepted"), "{name}: {answer:?}");
        let incident = host.get(&format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap())).await;
        for field in ["source_ref", "title", "severity", "external_link", "category"] {
            assert_eq!(incident[field], expected["incidents"][0][field], "{name}: {incident}");
        }
        let refused = host.signed(name, r#"{"hello": "world"}"#).await;
        assert_eq!((refused.status, &refused.body["error"]["code"]), (422, &json!("unmappable_payload")), "{name}");
    }
}

/// The results of a search in Splunk, as large as a payload may be: usual rows, rows beside a long text, rows beside many
/// fields, and rows with many addresses.
#[tokio::test]
async fn a_mebibyte_of_rows_is_mapped_within_the_limits_of_a_call() {
    let folder =
        Folder::new(&format!("sources:\n  splunk: {{ secret: {SECRET} }}\n")).with("splunk", &mapper("splunk"));
    let host = folder.start().await;
    let row = |number: usize| {
        json!({
            "_time": (1_789_201_740 + number).to_string(), "_bkt": "main~1~AB", "_cd": format!("31:{number}"),
            "dest": format!("host-{number}"), "src_ip": "203.0.113.7", "user": format!("user{number}"), "severity": "high",
        })
    };
    let addresses =
        |number: usize| -> Vec<String> { (0..30).map(|host| format!("198.51.{}.{host}", number % 250)).collect() };
    let search = |fields: Value| {
        let mut search = json!({"sid": "scheduler__soc__search_1", "search_name": "Odd logins"});
        search.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        search
    };
    let members: Value =
        (0..30_000).map(|number| (format!("m{number}"), json!("1"))).collect::<serde_json::Map<_, _>>().into();
    type Row<'r> = &'r dyn Fn(usize) -> Value;
    let cases: [(&str, Value, Row); 4] = [
        ("usual rows", json!({}), &row),
        ("a long text", json!({"note": "x".repeat(500_000)}), &row),
        ("many members", members, &row),
        ("many addresses", json!({}), &|number| json!({"_cd": number.to_string(), "src_ip": addresses(number)})),
    ];
    for (case, fields, row) in cases {
        let mut payload = search(fields);
        let left = 1024 * 1024 - payload.to_string().len() - "\"results\":[],".len();
        let mut rows: Vec<Value> = Vec::new();
        let mut bytes = 0;
        for row in (0..).map(row) {
            bytes += row.to_string().len() + 1;
            if bytes > left {
                break;
            }
            rows.push(row);
        }
        assert!(rows.len() > 1000, "{case}: {}", rows.len());
        payload["results"] = rows.into();
        let answer = host.signed("splunk", payload.to_string()).await;
        let incidents = answer.body["incidents"].as_array().map_or(0, Vec::len);
        assert_eq!((answer.status_word(), incidents), ("accepted", 1000), "{case}: {answer:?}");
    }
}
