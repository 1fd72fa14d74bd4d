//! Registered sources and their sealed secrets.

use serde_json::{Map, Value};

/// A source that was registered while the host ran.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// The name.
    pub name: String,
    /// The keys of the configuration file, without secrets.
    pub declaration: Map<String, Value>,
    /// The time when the source was registered, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// The secrets, the newest last.
    pub secrets: Vec<SecretRow>,
}

/// A secret of a registered source.
#[derive(Clone, Debug)]
pub struct SecretRow {
    /// The number of the secret within its source, from 1.
    pub id: i64,
    /// The secret, encrypted by the vault.
    pub sealed: Vec<u8>,
    /// The time when the secret was set, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// The time when the secret expires, in milliseconds since the Unix epoch.
    pub not_after: Option<i64>,
}
