//! The parts of a running host that HTTP routes use.

use crate::backup::BackupTask;
use crate::bodies::Bodies;
use crate::config::{Config, ListedSetting, OutboundConfig};
use crate::deliver::{Deliverer, Destination};
use crate::disk::Disk;
use crate::failed_tokens::FailedTokens;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::peer::TrustedProxies;
use crate::pipeline::Pipeline;
use crate::pull::Puller;
use crate::rate_limit::RateLimit;
use crate::refusals::Refusals;
use crate::registry::Registry;
use crate::release::decision::Releases;
use crate::sign_in_code::SignInCode;
use crate::sources::Sources;
use crate::storage::Storage;
use crate::stream::{ReaderPlaces, Stream};
use crate::traces::Traces;
use crate::triage::Triager;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use hookmill_listen::{LiveTls, TlsFiles};
use hookmill_store::{Retention, Store};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::warn;

/// A request to apply the configuration file again, answered with the reason if that fails.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Everything that a request needs.
#[derive(Debug)]
pub struct Host {
    /// The incidents, events and deliveries.
    pub store: Arc<Store>,
    /// The known sources.
    pub sources: Arc<Sources>,
    /// The counts that `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// The source of spans.
    pub traces: Traces,
    /// The stages that process every payload.
    pub pipeline: Arc<Pipeline>,
    /// Changes the registered sources.
    pub registry: Registry,
    /// The live plugins.
    pub loaded: Arc<Loaded>,
    /// Decides which versions of plugins are live.
    pub releases: Arc<Releases>,
    /// Calls playbooks on incidents.
    pub triager: Arc<Triager>,
    /// Sends deliveries.
    pub deliverer: Deliverer,
    /// Reads sources that do not post.
    pub puller: Arc<Puller>,
    /// Streams audit entries to clients.
    pub stream: Arc<Stream>,
    /// Streams changes of events and refused requests to clients.
    pub event_stream: Arc<Stream>,
    /// The places of the clients of both streams.
    pub reader_places: ReaderPlaces,
    /// The newest refused requests.
    pub refusals: Arc<Refusals>,
    /// The values of the configuration as operators see them.
    pub listing: ArcSwap<Vec<ListedSetting>>,
    /// Asks for the configuration file to be applied again.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Makes backups, if they are configured.
    pub backup: Option<Arc<BackupTask>>,
    /// When the host started.
    pub started_at: Timestamp,
    /// The limits and identities of requests.
    pub edge: Edge,
}

/// The limits and identities at the edge.
#[derive(Debug)]
pub struct Edge {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// The digest of the admin token from the environment.
    pub admin_token: Option<[u8; 32]>,
    /// The certificate of `listen`.
    pub tls: LiveTls,
    /// The certificate of `admin_listen`.
    pub admin_tls: LiveTls,
    /// Whether the address of the API has TLS.
    pub api_has_tls: bool,
    /// The requests to the API with a token that was not valid.
    pub failed_tokens: FailedTokens,
    /// The same with the id of a session. They are counted apart, so that a page whose session has ended does not keep its
    /// user from beginning another one.
    pub failed_sessions: FailedTokens,
    /// The code that begins one session, if there is one.
    pub sign_in_code: SignInCode,
    /// The rate limit of all webhooks together.
    pub rate_limit: RateLimit,
    /// The rate limit of log lines about refusals and handshakes, which every sender can cause.
    pub logged_unverified: RateLimit,
    /// The rate limit of logged internal errors.
    pub logged_errors: RateLimit,
    /// The limits of payloads.
    pub bodies: Bodies,
    /// The limits of the bodies of API requests, whose memory no payload can use.
    pub api_bodies: Bodies,
    /// The disk that holds the data folder.
    pub disk: Disk,
    /// The ages from which rows are removed.
    pub retention: Retention,
    /// When the rows that `/metrics` shows were last counted.
    pub counted_at: Mutex<Option<Instant>>,
}

impl Host {
    /// Returns the space that is used now.
    ///
    /// # Errors
    /// Returns an error if it cannot be read.
    pub async fn storage(&self) -> Result<Storage> {
        let store = &self.store;
        Ok(Storage::new(store.storage().await?, &self.edge.disk, store.clock().now_ms()))
    }

    /// Replaces sources, destinations and certificates by those of another configuration.
    ///
    /// # Errors
    /// Returns an error if a certificate cannot be used, a registered source has the name of a configured one, or the
    /// store fails. Nothing has changed then.
    pub async fn reconfigure(&self, config: Config) -> Result<()> {
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
        let tls = config.settings.tls.as_ref().map(TlsFiles::read).transpose().context("`tls`")?;
        let admin_tls = config.settings.admin_tls.as_ref().map(TlsFiles::read).transpose().context("`admin_tls`")?;
        let OutboundConfig { destinations, rules, notifications, public_url } = config.outbound;
        let rows = destinations.iter().map(Destination::row).collect();
        let queue = self.store.set_outbound(rows, rules, public_url.clone());
        let outbound = self.deliverer.expect(&notifications, queue);
        self.registry.reconfigure(config.sources, outbound).await?;
        self.puller.replace(config.pulls);
        self.edge.tls.replace(tls);
        self.edge.admin_tls.replace(admin_tls);
        self.deliverer.replace(destinations, notifications, public_url).await;
        self.listing.store(Arc::new(config.listing));
        if let Err(error) = self.store.give_up_removed().await {
            warn!("deliveries to removed destinations become dead letters at the next start: {error:#}");
        }
        Ok(())
    }
}
