//! The hosts that share the database.

use super::Store;
use crate::reads::Reads;
use crate::rows::HostRow;
use anyhow::Result;

impl Store {
    /// Returns the id of this host among those that share the database; `None` if the database is embedded.
    pub fn host_id(&self) -> Option<&str> {
        self.database.host_id()
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
