//! Sources.

use crate::source::{OnUnmappable, SourceKind};
use hookmill_incident::{Severity, given, words};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A source, usable or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ShownSource {
    /// A source that takes payloads.
    Usable(Box<UsableSource>),
    /// A registered source that cannot be used.
    Unusable(UnusableSource),
}

/// A source with its settings and counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsableSource {
    /// The source's name.
    pub name: String,
    /// The way in which payloads of the source come to the host.
    pub kind: SourceKind,
    /// The place where the source is defined.
    pub origin: ShownOrigin,
    /// When the source was registered.
    pub created_at: Option<Timestamp>,
    /// The name of the scheme that the source signs with; null for a source that the host reads.
    pub scheme: Option<String>,
    /// Whether payloads are posted to a URL that ends with the secret.
    pub secret_in_url: bool,
    /// The secrets of a registered source, the newest last.
    pub secrets: Vec<SourceSecret>,
    /// The choice of the mapper.
    pub plugin: PluginNames,
    /// Whether the playbook runs on new incidents of the source.
    pub auto_triage: bool,
    /// The playbook's name.
    pub playbook: Option<String>,
    /// Why the playbook that `auto_triage` needs cannot be called.
    pub playbook_error: Option<String>,
    /// The vendor's severities and their meaning.
    pub severity_mapping: BTreeMap<String, Severity>,
    /// The settings that the mapper gets.
    pub settings: BTreeMap<String, String>,
    /// The answer to payloads that the mapper refuses.
    pub on_unmappable: OnUnmappable,
    /// The silence in seconds after which trigger `source_silent` fires.
    pub silent_after_s: Option<u64>,
    /// The networks that the source may send from; empty for all.
    pub allow_ips: Vec<IpNet>,
    /// The maximum of payloads in a second.
    pub requests_per_second: Option<NonZeroU32>,
    /// The maximum size of a payload.
    pub payload_mib: usize,
    /// The source as it would stand in the configuration file; null if it is there already.
    pub yaml: Option<String>,
    /// The number of payloads that arrived.
    pub received: u64,
    /// The number of payloads that were stored as new events.
    pub accepted: u64,
    /// The number of payloads that repeated an event.
    pub duplicates: u64,
    /// The number of payloads that were refused.
    pub refused: u64,
    /// When a payload was last accepted.
    pub last_received_at: Option<Timestamp>,
    /// Since when the source counts as silent; null if it does not.
    pub silent_since: Option<Timestamp>,
    /// When an event was last mapped, or a source that the host reads last answered as expected.
    pub last_success: Option<Timestamp>,
    /// The newest error.
    pub last_error: Option<SourceError>,
    /// The position up to which the host has read the source. Absent for sources that post, and in answers to changes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub position: Option<Option<String>>,
}

/// A registered source that cannot be used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnusableSource {
    /// The source's name.
    pub name: String,
    /// The place where the source is defined.
    pub origin: ShownOrigin,
    /// Why the source cannot be used.
    pub last_error: SourceError,
}

/// A source after its secret was made or given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedSource {
    /// The source.
    #[serde(flatten)]
    pub source: UsableSource,
    /// The secret, if the host made it. No other answer shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The scheme that the source's mapper states, if no scheme was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested_scheme: Option<String>,
}

words!(
    /// The place where a source is defined.
    ShownOrigin {
        /// In the configuration file.
        Config = "config",
        /// Through the API.
        Registered = "registered",
    }
);

/// The choice of the mapper: `auto`, `none`, the name of a plugin, or several names.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PluginNames {
    /// `auto`, `none` or the name of a plugin.
    One(String),
    /// Names of plugins, in the order in which they are tried.
    Several(Vec<String>),
}

/// The newest error of a source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceError {
    /// When the error happened; null for a source that cannot be used.
    pub at: Option<Timestamp>,
    /// The code of the refusal or failure, or `unusable`.
    pub code: String,
    /// The error in words.
    pub message: String,
}

/// A secret of a source, without its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceSecret {
    /// The number of the secret, from 1.
    pub id: i64,
    /// When the secret was given.
    pub created_at: Timestamp,
    /// When the secret expires.
    pub not_after: Option<Timestamp>,
}

/// The body that registers a source.
#[derive(Serialize, Deserialize)]
pub struct NewSource {
    /// The keys of a source in the configuration file.
    // Serialized first: a key that is also a field below has the value of the field.
    #[serde(flatten)]
    pub declaration: Map<String, Value>,
    /// The source's name.
    pub source: String,
    /// The secret; by default the host makes one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "secret_text")]
    pub secret: Option<String>,
}

/// The body that changes a registered source.
#[derive(Serialize, Deserialize)]
pub struct SourcePatch {
    /// Keys of a source in the configuration file; null removes a key.
    #[serde(flatten)]
    pub changes: Map<String, Value>,
    /// The secret for another scheme.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "secret_text")]
    pub secret: Option<String>,
}

/// The body that gives a source a new secret.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretRotation {
    /// The new secret; by default the host makes one.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "secret_text")]
    pub secret: Option<String>,
    /// The time for which the former secret stays valid.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub overlap: Option<String>,
}

/// The body of a dry run of a source. Without either field, the payload is the newest one of the source, or else a
/// sample.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceDryRunRequest {
    /// The payload as JSON.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub payload: Option<Value>,
    /// The payload as text, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub body: Option<String>,
}

/// Reads a secret. A value of another type is not quoted in the error: it may be a secret.
fn secret_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(Some(text)),
        _ => Err(D::Error::custom("`secret` must be text")),
    }
}
