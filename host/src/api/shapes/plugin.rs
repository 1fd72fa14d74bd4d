//! Plugins.

use super::event::{EventBody, NamedText};
use hookmill_incident::{given, words};
use hookmill_sandbox::Kind;
use hookmill_store::{ProofReport, VersionState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A plugin: its live version, and why its newest file was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownPlugin {
    /// The plugin's name.
    pub name: String,
    /// The plugin's kind; like the other fields of the version null while no version is live.
    pub kind: Option<Kind>,
    /// The version of the interface that the plugin was built for.
    pub api_version: Option<String>,
    /// The version that the plugin states.
    pub version: Option<String>,
    /// The plugin's description of itself.
    pub summary: Option<String>,
    /// The scheme that the plugin's vendor signs with.
    pub scheme: Option<String>,
    /// The SHA-256 digest of the file in hexadecimal.
    pub sha256: Option<String>,
    /// Whether a version is live.
    pub state: FileState,
    /// When the live version was loaded.
    pub loaded_at: Option<Timestamp>,
    /// Why the newest file was refused or is not live.
    pub error: Option<String>,
}

words!(
    /// Whether a plugin has a live version.
    FileState {
        /// A version is live.
        Loaded = "loaded",
        /// Every file so far was refused.
        Refused = "refused",
    }
);

/// A plugin with all versions that are known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginWithVersions {
    /// The plugin.
    #[serde(flatten)]
    pub plugin: ShownPlugin,
    /// The versions; the one that went live last comes first.
    pub versions: Vec<ShownPluginVersion>,
}

/// A version of a plugin with its proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownPluginVersion {
    /// The version that the plugin states.
    pub version: String,
    /// The SHA-256 digest of the file in hexadecimal.
    pub sha256: String,
    /// The time when the file was first seen.
    pub seen_at: Timestamp,
    /// When the version went live last.
    pub live_since: Option<Timestamp>,
    /// The decision on the version.
    pub state: VersionState,
    /// True if the file is there, so that the version can be called.
    pub available: bool,
    /// The newest proof.
    pub report: Option<ProofReport>,
}

/// A payload from the folder `NAME.samples` of a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginSample {
    /// The headers.
    pub headers: Vec<NamedText>,
    /// Further values that mappers see.
    pub context: Vec<NamedText>,
    /// The body.
    pub body: EventBody,
}

/// The body of a dry run of a plugin. One of `payload`, `body` and `event` is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginDryRunRequest {
    /// The payload as JSON.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub payload: Option<Value>,
    /// The payload as text, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub body: Option<String>,
    /// The id of a stored event, whose payload is used with its headers, its context and its source.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub event: Option<Uuid>,
    /// The SHA-256 digest of the version that is called, in the place of the live one.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub version: Option<String>,
    /// The SHA-256 digest of another version, which is called too and whose result is compared.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub against: Option<String>,
    /// The headers of the payload.
    pub headers: BTreeMap<String, String>,
    /// The context of the payload, such as `query.NAME`.
    pub context: BTreeMap<String, String>,
    /// The source whose settings are used.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub source: Option<String>,
}
