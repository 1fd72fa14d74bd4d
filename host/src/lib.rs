//! Hookmill: receives security vendors' webhooks, maps them to incidents with WebAssembly plugins, stores them durably
//! and delivers what changed.
//!
//! The pipeline is [`Host::accept`]; `ARCHITECTURE.md` has the map of the code.

pub mod api;
pub mod aws;
pub mod cli;
pub mod compiled_cache;
pub mod config;
pub mod deliver;
pub mod event;
pub mod handshake;
pub mod http_error;
pub mod id;
pub mod incident;
pub mod map;
pub mod metrics;
pub mod peer;
pub mod plugin;
pub mod plugin_dir;
pub mod receive;
pub mod remap;
pub mod sandbox;
pub mod serve;
pub mod source;
pub mod store;
pub mod timestamp;
pub mod toolchain;
pub mod verify;
mod words;

use aws::Aws;
use axum::response::Response;
use deliver::Deliverer;
use event::EventStatus;
use http_error::HttpError;
use map::Mappers;
use metrics::Metrics;
use peer::TrustedProxies;
use plugin_dir::Loaded;
use receive::Unverified;
use source::Source;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Recorded, Store};
use tokio::sync::Notify;

/// Everything that a request needs.
#[derive(Debug)]
pub struct Host {
    /// The senders by name.
    pub sources: BTreeMap<Arc<str>, Arc<Source>>,
    /// Who may say for whom a request is.
    pub trusted_proxies: TrustedProxies,
    /// Fetches what Amazon's messages name.
    pub aws: Aws,
    /// Maps with what is loaded.
    pub mappers: Mappers,
    /// Keeps everything.
    pub store: Arc<Store>,
    deliverer: Deliverer,
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    admin_token: Option<String>,
    waiting: Notify,
}

/// What came of a payload that was taken.
#[derive(Debug)]
pub enum Taken {
    /// It is an event, and stored.
    Recorded(Recorded),
    /// It asked whether anybody is here, and this is the answer.
    Handshake(Response),
}

impl Host {
    /// The pipeline: receive → verify → map → store → deliver.
    ///
    /// # Errors
    /// Why the payload is not taken. Nothing is stored then.
    pub async fn accept(&self, unverified: Unverified) -> Result<Taken, HttpError> {
        let verified = verify::verify(unverified, &self.aws).await?;
        if let Some(answer) = handshake::answer(&verified, &self.aws).await? {
            return Ok(Taken::Handshake(answer));
        }
        let mapped = self.mappers.map(verified, 1).await;
        let was_tried = !mapped.tried.is_empty();
        let recorded = self.store.record(mapped).await?;
        if recorded.delivers {
            self.deliverer.wake();
        }
        if recorded.state.status == EventStatus::Queued && was_tried {
            self.waiting.notify_one();
        }
        Ok(Taken::Recorded(recorded))
    }
}
