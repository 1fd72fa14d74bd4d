//! The bundled mappers as the beginning of new projects: their code, their payloads and the kinds that their vendors
//! document.

use crate::vendors::find;
use anyhow::{Context, Result};
use std::borrow::Cow;

/// The paths and contents of the files of a project.
pub(super) type ProjectFiles = Vec<(&'static str, Cow<'static, [u8]>)>;

/// The name of a mapper, with the paths and contents of its files.
type Bundled = (&'static str, &'static [(&'static str, &'static [u8])]);

const PROJECTS: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/vendor_projects.rs"));
/// The manifest of the workspace of the mappers in Rust, from which they have versions.
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");
const SDK: &str = "hookmill-sdk";

/// Returns the paths and contents of the files of a bundled mapper, as a project of another name.
///
/// # Errors
/// Returns an error that lists the vendors if there is no such one.
pub(super) fn project(vendor: &str, name: &str) -> Result<ProjectFiles> {
    let vendor = find(vendor)?.name;
    let (_, files) = PROJECTS
        .iter()
        .find(|(known, _)| *known == vendor)
        .with_context(|| format!("this program was built without the mapper of {vendor}"))?;
    let renamed = files.iter().map(|(path, content)| {
        let text = || std::str::from_utf8(content).context(*path);
        let content = match *path {
            "Cargo.toml" => Cow::Owned(standalone(text()?, WORKSPACE, name)?.into_bytes()),
            "package.json" => {
                let named = |name: &str| format!("\"name\": \"{name}\"");
                Cow::Owned(text()?.replacen(&named(&vendor), &named(name), 1).into_bytes())
            }
            "go.mod" => {
                Cow::Owned(text()?.replacen(&format!("module {vendor}"), &format!("module {name}"), 1).into_bytes())
            }
            _ => Cow::Borrowed(*content),
        };
        Ok((*path, content))
    });
    renamed.collect()
}

/// Returns a manifest under another name that takes nothing from a workspace: each value of the workspace is written into
/// it, and the SDK is the copy in the project.
fn standalone(manifest: &str, workspace: &str, name: &str) -> Result<String> {
    let mut text = String::new();
    let mut section = "";
    for line in manifest.lines() {
        section = if line.starts_with('[') { line.trim_matches(['[', ']']) } else { section };
        let inherited = line.split_once(".workspace = true").map(|(key, _)| key);
        match (section, inherited) {
            ("lints", _) => continue,
            ("package", None) if line.starts_with("name = ") => text += &format!("name = \"{name}\""),
            (_, Some(SDK)) => text += &format!("{SDK} = {{ path = \"sdk\" }}"),
            (_, Some(key)) => {
                let value = value_of(workspace, &format!("[workspace.{section}]"), key);
                text += &format!("{key} = {}", value.with_context(|| format!("the workspace has no `{key}`"))?);
            }
            (_, None) => text += line,
        }
        text.push('\n');
    }
    Ok(text.trim_end().to_owned()
        + "\n\n# Makes the project its own workspace, also inside the folder of another one.\n[workspace]\n")
}

/// Returns the value of a key, which stands on one line of a section.
fn value_of<'a>(manifest: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let lines = manifest.lines().skip_while(|line| *line != section).skip(1);
    let mut lines = lines.take_while(|line| !line.starts_with('['));
    lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_is_a_project_with_code_payloads_and_kinds() {
        let vendors = hookmill_host::vendors::bundled().unwrap();
        assert_eq!(PROJECTS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), {
            vendors.iter().map(|vendor| vendor.name.as_str()).collect::<Vec<_>>()
        });
        for vendor in &vendors {
            let files = project(&vendor.name, "mine").unwrap();
            let has = |ending: &str| files.iter().any(|(path, _)| path.ends_with(ending));
            let is_code = |path: &str| path.starts_with("mapper.");
            assert!(files.iter().any(|(path, _)| is_code(path)) && has("kinds.json"), "{}", vendor.name);
            assert!(has(".expected.json") && !has("vendor.yaml"), "{}", vendor.name);
            for (path, content) in files.iter().filter(|(path, _)| ["Cargo.toml", "package.json"].contains(path)) {
                let text = std::str::from_utf8(content).unwrap();
                assert!(text.contains("\"mine\"") && !text.contains("workspace = true"), "{path}: {text}");
            }
            for (path, content) in files.iter().filter(|(path, _)| *path == "go.mod") {
                assert!(content.starts_with(b"module mine\n"), "{path} of {}", vendor.name);
            }
        }
    }

    #[test]
    fn a_manifest_keeps_nothing_of_its_workspace() {
        let workspace = "[workspace.package]\nedition = \"2024\"\n\n[workspace.dependencies]\nserde = \"1\"\n";
        let manifest = "[package]\nname = \"acme\"\nedition.workspace = true\n\n[dependencies]\n\
                        hookmill-sdk.workspace = true\nserde.workspace = true\n\n[lints]\nworkspace = true\n";
        let alone = standalone(manifest, workspace, "mine").unwrap();
        let expected = "[package]\nname = \"mine\"\nedition = \"2024\"\n\n[dependencies]\nhookmill-sdk = { path = \"sdk\" }\n\
                        serde = \"1\"\n\n# Makes";
        assert!(alone.starts_with(expected) && alone.ends_with("[workspace]\n"), "{alone}");
        assert!(standalone(&manifest.replace("serde", "other"), workspace, "mine").is_err());
    }
}
