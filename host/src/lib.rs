//! Hookmill: receives security vendors' webhooks, maps them to incidents with WebAssembly plugins, stores them durably
//! and delivers what changed.
//!
//! The pipeline is [`Host::accept`]; `ARCHITECTURE.md` has the map of the code.

pub mod api;
pub mod aws;
pub mod bodies;
pub mod cli;
pub mod compiled_cache;
pub mod config;
pub mod deliver;
pub mod extract;
pub mod handshake;
pub mod http_error;
pub mod map;
pub mod metrics;
mod notices;
pub mod payload_file;
pub mod peer;
pub mod plugin_dir;
pub mod plugin_trial;
pub mod proof;
pub mod pull;
pub mod rate_limit;
pub mod receive;
pub mod recent_log;
pub mod registry;
pub mod release;
pub mod reload;
pub mod remap;
pub mod request_id;
pub mod serve;
pub mod source;
pub mod stream;
pub mod toolchain;
pub mod triage;
pub mod trial;
pub mod trust;
pub mod vault;
pub mod verify;
pub mod versions;

use anyhow::{Context, Result};
use aws::Aws;
use axum::response::Response;
use bodies::Bodies;
use config::{Config, Outbound};
use deliver::{Deliverer, Destination};
use hookmill_listen::{LiveTls, TlsFiles};
use hookmill_incident::EventStatus;
use hookmill_signatures::Secret;
use http_error::HttpError;
use map::Mappers;
use metrics::Metrics;
use peer::TrustedProxies;
use plugin_dir::Loaded;
use rate_limit::RateLimit;
use receive::Unverified;
use registry::Registry;
use release::Releases;
use std::sync::Arc;
use hookmill_store::{Recorded, Store};
use stream::Stream;
use tokio::sync::Notify;
use tracing::warn;

/// Everything that a request needs.
#[derive(Debug)]
pub struct Host {
    /// The senders.
    pub sources: Arc<Registry>,
    /// Who may say for whom a request is.
    pub trusted_proxies: TrustedProxies,
    /// Fetches what Amazon's messages name.
    pub aws: Aws,
    /// Maps with what is loaded.
    pub mappers: Mappers,
    /// Keeps everything.
    pub store: Arc<Store>,
    /// Decides which versions of plugins are live.
    pub releases: Arc<Releases>,
    deliverer: Deliverer,
    stream: Arc<Stream>,
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    admin_token: Option<Secret>,
    waiting: Notify,
    to_triage: Notify,
    tls: LiveTls,
    admin_tls: LiveTls,
    /// Of all webhooks together.
    rate_limit: RateLimit,
    /// What is refused beyond this is counted and not logged.
    logged_refusals: RateLimit,
    bodies: Bodies,
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
    /// Goes on with the sources, destinations and certificates of another configuration.
    ///
    /// # Errors
    /// When a certificate cannot be used, a source is registered too, or the store fails; then nothing has changed.
    pub async fn reconfigure(&self, config: Config) -> Result<()> {
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
        let tls = config.tls.as_ref().map(TlsFiles::read).transpose().context("`tls`")?;
        let admin_tls = config.admin_tls.as_ref().map(TlsFiles::read).transpose().context("`admin_tls`")?;
        let Outbound { destinations, rules, notifications, public_url } = config.outbound;
        let rows = destinations.iter().map(Destination::row).collect();
        self.deliverer.expect(&notifications);
        self.sources.reconfigure(config.sources, self.store.set_outbound(rows, rules, public_url.clone())).await?;
        self.tls.replace(tls);
        self.admin_tls.replace(admin_tls);
        self.deliverer.replace(destinations, notifications, public_url).await;
        if let Err(error) = self.store.give_up_removed().await {
            warn!("what waits for destinations that were removed is given up at the next start: {error:#}");
        }
        Ok(())
    }

    /// The pipeline: receive → verify → map → store → deliver.
    ///
    /// # Errors
    /// Why the payload is not taken. Nothing is stored then.
    pub async fn accept(&self, unverified: Unverified) -> Result<Taken, HttpError> {
        let verified = verify::verify(unverified, &self.aws).await?;
        // After the signature, so that strangers cannot use up a sender's share.
        verified.source().settings.rate_limit.check()?;
        if let Some(answer) = handshake::answer(&verified, &self.aws).await? {
            return Ok(Taken::Handshake(answer));
        }
        let source = verified.source().clone();
        let mapped = self.mappers.map(verified, 1).await;
        self.mappers.remember(&source, &mapped.verdict);
        let was_tried = !mapped.tried.is_empty();
        let recorded = self.store.record(mapped).await?;
        self.wake_for_new(&recorded, was_tried);
        Ok(Taken::Recorded(recorded))
    }

    /// The same as [`Host::wake_for`] of a new event, which may be tried again.
    fn wake_for_new(&self, recorded: &Recorded, was_tried: bool) {
        self.wake_for(recorded);
        if recorded.state.status == EventStatus::Queued && was_tried {
            self.waiting.notify_one();
        }
    }

    /// Wakes those who have something to do about what was stored.
    fn wake_for(&self, recorded: &Recorded) {
        if recorded.delivers {
            self.deliverer.wake();
        }
        if recorded.triages {
            self.to_triage.notify_one();
        }
    }
}
