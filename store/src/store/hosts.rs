//! The hosts that share the database.

use super::Store;
use crate::columns::json;
use crate::reads::Reads;
use crate::rows::HostRow;
use anyhow::Result;
use hookmill_incident::PluginVersion;

impl Store {
    /// Returns the id of this host among those that share the database; `None` if the database is embedded.
    pub fn host_id(&self) -> Option<&str> {
        self.database.host_id()
    }

    /// Returns whether other hosts may use the same database.
    pub fn is_shared(&self) -> bool {
        self.host_id().is_some()
    }

    /// Returns the names of the leases that this host holds; none if the database is embedded.
    pub fn held_leases(&self) -> Vec<String> {
        self.database.held_leases()
    }

    /// Shows the other hosts which plugin versions this host has loaded.
    pub fn set_loaded_plugins(&self, plugins: &[&PluginVersion]) {
        self.database.set_plugins(json(plugins));
    }

    /// Returns the hosts that share the database with the leases that each of them holds, by slot; none if the database is
    /// embedded.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn hosts(&self) -> Result<Vec<HostRow>> {
        self.database.reads().hosts().await
    }
}
