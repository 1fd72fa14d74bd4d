//! Tells operators of what happens to the host itself: sources that have sent nothing for longer than they may, once for
//! each silence, and plugin files that are not taken.

use crate::Host;
use hookmill_incident::id::unix_ms;
use hookmill_notify::Trigger;
use hookmill_sandbox::FILE_BYTES_MAX;
use crate::release::plugin_dir::Refusal;
use crate::source::Source;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tracing::warn;

const LOOK: Duration = Duration::from_secs(1);

impl Host {
    /// Looks until told to stop.
    pub async fn notice_silence(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let started_at = unix_ms();
        let stopped = stopped.wait_for(|stopped| *stopped);
        tokio::pin!(stopped);
        while tokio::time::timeout(LOOK, &mut stopped).await.is_err() {
            for source in self.sources.all().values() {
                if let Some(limit) = source.settings.silent_after {
                    self.look_at(source, limit, started_at).await;
                }
            }
        }
    }

    /// What was sent while the host was away is not known: its absence is no silence.
    async fn look_at(&self, source: &Source, limit: Duration, started_at: i64) {
        let last = source.tally.now().heard_at;
        let told_at = self.store.silent_since(&source.name);
        let is_silent = match told_at {
            Some(told_at) => last.is_none_or(|last| last <= told_at),
            None => unix_ms() - last.unwrap_or(started_at).max(started_at) >= limit.as_millis() as i64,
        };
        if is_silent == told_at.is_some() {
            return;
        }
        let silent_after = SignedDuration::try_from(limit).map(|limit| format!("{limit:#}")).unwrap_or_default();
        let object = json!({
            "name": &*source.name,
            "last_event_at": last.and_then(|at| Timestamp::from_millisecond(at).ok()),
            "silent_after": silent_after,
        });
        match self.store.set_silent(&source.name, is_silent, json!({"object": object})).await {
            Ok(told) if is_silent => {
                warn!(source = &*source.name, "source is silent: nothing came of it for {silent_after}");
                if told {
                    self.deliverer.wake();
                }
            }
            Ok(_) => {}
            Err(error) => warn!(source = &*source.name, "its silence was not written down: {error:#}"),
        }
    }

    /// Tells of plugin files that are not taken.
    pub async fn tell_of_refusals(self: Arc<Self>, mut refusals: mpsc::Receiver<Refusal>) {
        while let Some(Refusal { name, file, error }) = refusals.recv().await {
            if self.store.outbound().rules_for(Trigger::PluginRefused).next().is_none() {
                continue;
            }
            let is_readable = tokio::fs::metadata(&file).await.is_ok_and(|file| file.len() <= FILE_BYTES_MAX);
            let bytes = if is_readable { tokio::fs::read(&file).await.ok() } else { None };
            let sha256 = bytes.map(|bytes| hex::encode(Sha256::digest(bytes)));
            self.notice(Trigger::PluginRefused, json!({"name": name, "sha256": sha256, "error": error})).await;
        }
    }

    /// Tells whoever wants to know of something that happened to the host itself.
    pub async fn notice(&self, trigger: Trigger, object: serde_json::Value) {
        match self.store.notice(trigger, json!({"object": object})).await {
            Ok(true) => self.deliverer.wake(),
            Ok(false) => {}
            Err(error) => warn!("nobody was told of {trigger}: {error:#}"),
        }
    }
}
