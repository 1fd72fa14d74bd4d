//! A host that shares the database.

use hookmill_incident::PluginVersion;
use jiff::Timestamp;

/// A host that shares the database, or the only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRow {
    /// Its id, new at each start.
    pub id: String,
    /// The name of its machine or container.
    pub name: String,
    /// The number that is in the keys of its rows.
    pub slot: i64,
    /// Its version of Hookmill.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last renewed its leases.
    pub seen_at: Timestamp,
    /// Whether it was seen within the time of a lease.
    pub is_live: bool,
    /// The names of the leases that it holds, sorted.
    pub leases: Vec<String>,
    /// The plugin versions that it has loaded, by name.
    pub plugins: Vec<PluginVersion>,
}
