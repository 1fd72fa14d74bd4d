//! The vendors of the bundled mappers, from `plugins/NAME/vendor.yaml` and `kinds.json`: the payloads that each sends, and the steps by which
//! an operator connects it.
//!
//! The API, the command line and the pages in `docs/vendors` show the same data.

use crate::config::source_yaml;
use crate::products::VENDOR_FILES;
use crate::source::SourceKind;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The names of the plugins with the texts of their files `kinds.json`.
const KINDS_FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/kinds_files.rs"));

/// A vendor whose payloads a bundled mapper reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// The name of the mapper, and of its folder.
    pub name: String,
    /// The vendor; null if the mapper is for any.
    pub vendor: Option<String>,
    /// The vendor's product.
    pub product: String,
    /// The kinds of payloads that become incidents or change them.
    pub sends: Vec<String>,
    /// The kinds of payloads that the vendor documents, from `kinds.json`.
    #[serde(default)]
    pub kinds: Vec<VendorKind>,
    /// The ways in which payloads reach the host; the usual one comes first.
    pub ways: Vec<VendorWay>,
    /// The checks if nothing arrives.
    pub checks: Vec<String>,
    /// The vendor's own documentation.
    pub documents: Vec<VendorDocument>,
}

/// A kind of payload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VendorKind {
    /// The vendor's name for it.
    pub kind: String,
    /// The meaning of such a payload.
    pub what: String,
}

/// One way from a vendor to the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorWay {
    /// The vendor's name for it.
    pub title: String,
    /// Whether the vendor posts payloads, or how the host reads them.
    pub kind: SourceKind,
    /// The proof of identity of the sender, or of the host that reads.
    pub authentication: String,
    /// The headers that prove it.
    pub headers: Vec<String>,
    /// Further keys of the source, as in the configuration file. `${NAME}` stands for one of `values`.
    pub source: Map<String, Value>,
    /// The values that only the operator knows.
    pub values: Vec<VendorValue>,
    /// The steps on the vendor's side.
    pub steps: Vec<String>,
    /// The source as it stands in the configuration file, which the host adds to the file's content.
    #[serde(default)]
    pub yaml: String,
}

/// A value that the operator has to give.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorValue {
    /// The name by which `source` refers to the value.
    pub name: String,
    /// The meaning of the value.
    pub meaning: String,
}

/// A page of a vendor's documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorDocument {
    /// The title of the page.
    pub title: String,
    /// The address of the page; null if only customers can read it.
    pub url: Option<String>,
}

impl VendorWay {
    /// Returns the keys of a source that uses this way and this mapper.
    pub fn declaration(&self, plugin: &str) -> Map<String, Value> {
        let kind = (self.kind != SourceKind::Webhook).then(|| ("kind".to_owned(), self.kind.as_str().into()));
        let plugin = ("plugin".to_owned(), plugin.into());
        kind.into_iter().chain([plugin]).chain(self.source.clone()).collect()
    }
}

/// Returns the vendors of the bundled mappers, by name.
///
/// # Errors
/// Returns an error if a file has another shape, which a test excludes.
pub fn bundled() -> Result<Vec<Vendor>> {
    VENDOR_FILES
        .iter()
        .map(|(name, text)| read(name, text).with_context(|| format!("plugins/{name}/vendor.yaml")))
        .collect()
}

fn read(name: &str, text: &str) -> Result<Vendor> {
    let mut vendor: Vendor = serde_saphyr::from_str(text)?;
    ensure!(vendor.name == name, "`name` is {}, and the folder {name}", vendor.name);
    ensure!(vendor.kinds.is_empty(), "`kinds` are in kinds.json");
    let kinds = KINDS_FILES.iter().find(|(known, _)| *known == name).context("kinds.json is missing")?.1;
    vendor.kinds = serde_json::from_str(kinds).context("kinds.json")?;
    for way in &mut vendor.ways {
        ensure!(way.yaml.is_empty(), "`yaml` of {} is made by the host", way.title);
        way.yaml = source_yaml(name, &way.declaration(name));
    }
    Ok(vendor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SourceDeclaration};
    use std::collections::BTreeSet;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    /// The name of the file with a private key.
    const KEY_FILE: &str = "client.key";

    /// Returns the names of `${NAME}` in a text.
    fn references(text: &str) -> BTreeSet<&str> {
        text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    /// Replaces each reference by a value that fits its name.
    fn filled(text: &str) -> String {
        let value = |name: &str| match name {
            "SERVICE_ACCOUNT" => "push@an-example.iam.gserviceaccount.com",
            "KEY_FILE" => KEY_FILE,
            "TOPIC_ARN" => "arn:aws:sns:eu-central-1:123456789012:example",
            name if name.ends_with("_SECRET") => "user:only-an-example-of-a-secret",
            _ => "an-example.example",
        };
        references(text).iter().fold(text.to_owned(), |text, name| text.replace(&format!("${{{name}}}"), value(name)))
    }

    #[test]
    fn each_way_is_a_source_that_a_host_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join(KEY_FILE);
        std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        for vendor in bundled().unwrap() {
            let name = &vendor.name;
            assert!(!vendor.sends.is_empty() && !vendor.ways.is_empty() && !vendor.checks.is_empty(), "{name}");
            for way in &vendor.ways {
                assert!(!way.steps.is_empty(), "{name}: {}", way.title);
                let declaration = Value::Object(way.declaration(name)).to_string();
                let known: BTreeSet<&str> = way.values.iter().map(|value| value.name.as_str()).collect();
                assert_eq!(references(&declaration), known, "{name}: {}", way.title);
                let config = Config::parse(&filled(&way.yaml), folder.path());
                config.unwrap_or_else(|error| panic!("{name}: {}: {error:#}\n{}", way.title, way.yaml));
                let is_registered =
                    SourceDeclaration::from_json(serde_json::from_str(&filled(&declaration)).unwrap()).is_ok();
                assert_eq!(is_registered, way.kind == SourceKind::Webhook, "{name}: {}", way.title);
            }
        }
    }

    #[test]
    fn a_file_with_another_shape_is_refused() {
        let (name, text) = VENDOR_FILES[0];
        assert!(read(name, text).is_ok());
        assert!(read("another", text).is_err());
        assert!(read(name, &format!("{text}\nmore: 1\n")).is_err());
        assert!(read(name, &text.replace("    steps:", "    stages:")).is_err());
        assert!(read(name, &text.replace("    steps:", "    yaml: no\n    steps:")).is_err());
    }
}
