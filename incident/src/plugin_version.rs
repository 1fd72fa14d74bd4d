//! The identity of a plugin file.

use serde::{Deserialize, Serialize};

/// The plugin, by file and content, that an incident comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// The name of its file, without `.wasm`.
    pub name: String,
    /// The version that it gives itself.
    pub version: String,
    /// The digest of its file, in hexadecimal.
    pub sha256: String,
}
