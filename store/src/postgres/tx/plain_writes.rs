//! The writes that follow no decision.

use super::{PostgresTx, access, counts, sources, versions};
use crate::ledger::PlainWrites;
use crate::postgres::plugin_files;
use crate::postgres::reads::sources::tally;
use crate::rows::{OperatorAction, PluginFile, ProofReport, SessionRow, SourceRow, Tally, VersionState};
use anyhow::Result;
use hookmill_incident::PluginVersion;
use std::sync::Arc;

impl PlainWrites for PostgresTx<'_> {
    fn put_source(&mut self, source: &SourceRow) -> Result<()> {
        sources::put(self.direct()?, source)
    }

    fn remove_source(&mut self, name: &str) -> Result<()> {
        sources::remove(self.direct()?, name)
    }

    fn touch(&mut self) -> Result<()> {
        self.direct()?.execute("UPDATE head SET number = number", &[]).map(|_| ())
    }

    fn tally(&mut self, source: &str) -> Result<Tally> {
        self.direct()?.wait_for(async |client| tally(client, source).await)
    }

    fn put_storage_sample(&mut self, hour: i64, oldest: i64) -> Result<()> {
        counts::put_storage_sample(self.direct()?, hour, oldest)
    }

    fn release_pages(&mut self) -> Result<bool> {
        // The database does so by itself.
        Ok(false)
    }

    fn put_tallies(&mut self, tallies: &[(Arc<str>, Tally)]) -> Result<()> {
        sources::put_tallies(self.direct()?, tallies)
    }

    fn add_operator_action(&mut self, action: &OperatorAction, oldest: Option<i64>) -> Result<()> {
        access::add_operator_action(self.direct()?, action, oldest)
    }

    fn add_session(&mut self, session: &SessionRow, keep: usize) -> Result<()> {
        access::add_session(self.direct()?, session, keep)
    }

    fn set_session_used(&mut self, digest: &[u8; 32], used_at: i64) -> Result<()> {
        access::set_session_used(self.direct()?, digest, used_at)
    }

    fn remove_session(&mut self, digest: &[u8; 32]) -> Result<bool> {
        access::remove_session(self.direct()?, digest)
    }

    fn remove_token(&mut self, name: &str) -> Result<bool> {
        access::remove_token(self.direct()?, name)
    }

    fn put_version(&mut self, plugin: &PluginVersion, state: VersionState, report: Option<&ProofReport>) -> Result<()> {
        versions::put(self.direct()?, plugin, state, report, self.clock.now_ms())
    }

    fn put_live_version(&mut self, plugin: &PluginVersion, keep: usize) -> Result<Vec<String>> {
        versions::put_live(self.direct()?, plugin, keep, self.clock.now_ms())
    }

    fn put_plugin_file(&mut self, plugin: &PluginVersion, file: &PluginFile) -> Result<()> {
        self.direct()?.wait_for(async |client| plugin_files::put(client, plugin, file).await)
    }

    fn remove_versions(&mut self, plugin: &str) -> Result<()> {
        versions::remove(self.direct()?, plugin)
    }

    fn put_compiled(&mut self, plugin: &str, name: &str, digest: [u8; 32]) -> Result<Vec<String>> {
        versions::put_compiled(self.direct()?, plugin, name, digest, self.clock.now_ms())
    }
}
