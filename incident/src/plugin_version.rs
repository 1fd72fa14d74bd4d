//! The identity of a plugin file.

use serde::{Deserialize, Serialize};

/// A plugin file, by name and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// The name of the file, without `.wasm`.
    pub name: String,
    /// The version from the plugin's description of itself.
    pub version: String,
    /// The SHA-256 digest of the file, in hexadecimal.
    pub sha256: String,
}
