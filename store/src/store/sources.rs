//! Registered sources, counts, and silent sources.

use super::Store;
use crate::error::StoreError;
use crate::leases::Grant;
use crate::ledger::Writes;
use crate::reads::Reads;
use crate::rows::{SourceRow, Tally};
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Store {
    /// Returns every registered source, by name.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn registered_sources(&self) -> Result<Vec<SourceRow>> {
        self.database.reads().registered_sources().await
    }

    /// Adds or replaces a registered source with all its secrets.
    ///
    /// # Errors
    /// Returns an error if the source cannot be written.
    pub async fn put_source(&self, source: SourceRow) -> Result<(), StoreError> {
        let put = move |ledger: &mut Writes| {
            ledger.changed.settings = true;
            ledger.rows.put_source(&source)
        };
        self.database.write(put).await
    }

    /// Removes a registered source with its secrets and counts. Its events and incidents are kept.
    ///
    /// # Errors
    /// Returns an error if the source cannot be removed.
    pub async fn remove_source(&self, name: String) -> Result<(), StoreError> {
        let remove = move |ledger: &mut Writes| {
            ledger.changed.settings = true;
            ledger.rows.remove_source(&name)
        };
        self.database.write(remove).await
    }

    /// Returns the counts of sources that were stored last.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn tallies(&self, sources: Vec<Arc<str>>) -> Result<BTreeMap<Arc<str>, Tally>> {
        self.database.reads().tallies(sources).await
    }

    /// Adds to the counts of sources, and returns these counts, to which other hosts add too.
    ///
    /// # Errors
    /// Returns an error if they cannot be written.
    pub async fn add_tallies(&self, added: Vec<(Arc<str>, Tally)>) -> Result<Vec<(Arc<str>, Tally)>, StoreError> {
        let add = move |ledger: &mut Writes| {
            let mut tallies = Vec::new();
            for (source, new) in &added {
                let mut tally = ledger.rows.tally(source)?;
                tally.merge(new);
                ledger.count_refused(source, new.refused);
                tallies.push((source.clone(), tally));
            }
            ledger.rows.put_tallies(&tallies)?;
            Ok(tallies)
        };
        self.database.write(add).await
    }

    /// Returns since when a source is recorded as silent, in milliseconds since the Unix epoch; `None` if it is not.
    pub fn silent_since(&self, source: &str) -> Option<i64> {
        self.silent.load().get(source).copied()
    }

    /// Reads the silent sources again, which another host may have changed.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn refresh_silent(&self) -> Result<()> {
        self.silent.store(Arc::new(self.database.reads().silent_sources().await?));
        Ok(())
    }

    /// Records that a source is silent and queues the notifications about that, or records that it sends again.
    ///
    /// # Errors
    /// Returns an error if that cannot be written, or the lease was granted again.
    pub async fn set_silent(
        &self,
        under: &Grant,
        source: &str,
        is_silent: bool,
        message: Value,
    ) -> Result<(), StoreError> {
        let name = source.to_owned();
        let since = is_silent.then(|| self.clock.now_ms());
        self.write_under(under, move |ledger| ledger.set_silent(&name, since, &message)).await?;
        self.silent.rcu(|silent| {
            let mut silent = BTreeMap::clone(silent);
            match since {
                Some(since) => silent.insert(source.to_owned(), since),
                None => silent.remove(source),
            };
            silent
        });
        Ok(())
    }
}
