//! Queues notices about the host itself: sources that are silent for longer than configured, once per silence, and refused
//! plugin files.

use crate::release::plugin_dir::PluginRefusal;
use crate::source::Source;
use crate::sources::Sources;
use crate::tasks::{lease, pause};
use hookmill_incident::id::{row_key, row_key_ms};
use hookmill_notify::Trigger;
use hookmill_sandbox::FILE_BYTES_MAX;
use hookmill_store::{Grant, LeaseName, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tracing::warn;

const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The task that queues notices about the host itself.
#[derive(Debug)]
pub struct Notices {
    store: Arc<Store>,
    sources: Arc<Sources>,
}

impl Notices {
    /// Creates the task for these sources.
    pub fn new(store: Arc<Store>, sources: Arc<Sources>) -> Self {
        Self { store, sources }
    }

    /// Checks for silent sources until `stopped` is set.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let started_at = self.store.clock().now_ms();
        while let Some(lease) = lease(&self.store, LeaseName::Silence, &mut stopped).await {
            while pause(POLL_INTERVAL, &mut stopped).await && lease.goes_on() {
                for source in self.sources.all().values() {
                    if let Some(limit) = source.settings.silent_after {
                        self.check(lease.grant(), source, limit, started_at).await;
                    }
                }
            }
        }
    }

    /// Checks one source. Silence counts from the start of the host, because earlier requests may have been missed.
    async fn check(&self, under: &Grant, source: &Source, limit: Duration, started_at: i64) {
        let last = self.last_received_at(source).await;
        let notified_at = self.store.silent_since(&source.name);
        let is_silent = match notified_at {
            Some(notified_at) => last.is_none_or(|last| last <= notified_at),
            None => {
                self.store.clock().now_ms() - last.unwrap_or(started_at).max(started_at) >= limit.as_millis() as i64
            }
        };
        if is_silent == notified_at.is_some() {
            return;
        }
        let silent_after = SignedDuration::try_from(limit).map(|limit| format!("{limit:#}")).unwrap_or_default();
        let object = json!({
            "name": &*source.name,
            "last_event_at": last.and_then(|at| Timestamp::from_millisecond(at).ok()),
            "silent_after": silent_after,
        });
        match self.store.set_silent(under, &source.name, is_silent, json!({"object": object})).await {
            Ok(()) if is_silent => {
                warn!(source = &*source.name, "source is silent: no payload received for {silent_after}");
            }
            Ok(()) => {}
            Err(error) => warn!(source = &*source.name, "cannot record whether the source is silent: {error:#}"),
        }
    }

    /// Returns when the newest payload of a source came, also to another host.
    async fn last_received_at(&self, source: &Source) -> Option<i64> {
        let own = source.tally.now().last_received_at;
        if !self.store.is_shared() {
            return own;
        }
        match self.store.newest_event_ids(vec![source.name.to_string()], 1).await {
            Ok(ids) => own.max(ids.first().map(|id| row_key_ms(row_key(*id)))),
            Err(error) => {
                warn!(source = &*source.name, "cannot read when other hosts received a payload: {error:#}");
                own
            }
        }
    }

    /// Queues a notice for each plugin file that is refused.
    pub async fn report_refusals(self: Arc<Self>, mut refusals: mpsc::Receiver<PluginRefusal>) {
        while let Some(PluginRefusal { name, file, error }) = refusals.recv().await {
            if self.store.outbound().rules.with(Trigger::PluginRefused).next().is_none() {
                continue;
            }
            let is_readable = tokio::fs::metadata(&file).await.is_ok_and(|file| file.len() <= FILE_BYTES_MAX);
            let bytes = if is_readable { tokio::fs::read(&file).await.ok() } else { None };
            let sha256 = bytes.map(|bytes| hex::encode(Sha256::digest(bytes)));
            let object = json!({"name": name, "sha256": sha256, "error": error});
            if let Err(error) = self.store.enqueue_notice(Trigger::PluginRefused, json!({"object": object})).await {
                warn!("cannot queue notifications of {}: {error:#}", Trigger::PluginRefused);
            }
        }
    }
}
