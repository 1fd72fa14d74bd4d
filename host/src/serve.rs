//! Puts a host together from its configuration, runs it and ends it without leaving anything half done.

use crate::aws::Aws;
use crate::bodies::Bodies;
use crate::config::{Config, OutboundConfig};
use crate::deliver::{Deliverer, Destination};
use crate::host::{Edge, Host};
use crate::loaded::Loaded;
use crate::map::Mappers;
use crate::metrics::Metrics;
use crate::notices::Notices;
use crate::peer::TrustedProxies;
use crate::pipeline::Pipeline;
use crate::pull::Puller;
use crate::rate_limit::RateLimit;
use crate::registry::Registry;
use crate::release::decision::{ReleaseOptions, Releases};
use crate::release::plugin_dir::PluginDir;
use crate::release::plugin_files::PluginFiles;
use crate::release::proof::Prover;
use crate::reload::{Reloader, Seen};
use crate::remap::Remapper;
use crate::stream::{READERS_MAX, Stream};
use crate::triage::Triager;
use crate::{api, request_id};
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::middleware::from_fn_with_state;
use hookmill_incident::id::{self, unix_ms};
use hookmill_listen::{Bounds, Listener, LiveTls};
use hookmill_sandbox::Sandbox;
use hookmill_signatures::Secret;
use hookmill_store::{Policy, Store};
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// Below this an admin token could be guessed.
const ADMIN_TOKEN_BYTES_MIN: usize = 24;
/// How many connections an `admin_listen` of its own takes beside those that follow the stream: few work there, and no
/// webhook takes their place.
const ADMIN_CONNECTIONS: u32 = 256;
/// One in so many connections may follow the stream.
const READERS_SHARE: u32 = 4;
/// How many refusals are written to the log in a second.
const LOGGED_REFUSALS_PER_SECOND: u32 = 20;
/// How often repeats that are too old are forgotten.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// How often what was delivered long ago is removed.
const PURGE_DELIVERED_EVERY: Duration = Duration::from_secs(60 * 60);
/// Refused plugin files that may wait to be told of.
const REFUSALS: usize = 64;
/// How often what sources have sent is written down.
const SAVE_TALLIES_EVERY: Duration = Duration::from_secs(5);

/// A host that listens.
#[derive(Debug)]
pub struct Running {
    /// Where webhooks arrive.
    pub address: SocketAddr,
    /// Where the API listens; the same unless it is kept apart.
    pub admin_address: SocketAddr,
    host: Arc<Host>,
    servers: JoinSet<()>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    /// What it was started with, without sources and destinations.
    config: Arc<Config>,
}

/// Opens the store, loads the plugins aside and listens.
///
/// # Errors
/// What keeps the host from running, and what to do about it.
pub async fn start(mut config: Config, admin_token: Option<String>) -> Result<Running> {
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    if let Some(token) = &admin_token {
        ensure!(
            token.len() >= ADMIN_TOKEN_BYTES_MIN,
            "HOOKMILL_ADMIN_TOKEN has {} characters; use at least {ADMIN_TOKEN_BYTES_MIN}",
            token.len()
        );
    }
    let metrics = Arc::new(Metrics::default());
    let store = Arc::new(open_store(&config, &metrics)?);
    let sandbox = Arc::new(Sandbox::new(config.limits.instances, config.reusing_plugins())?);
    let loaded = Arc::new(Loaded::default());
    let (configured, pulls) = (std::mem::take(&mut config.sources), std::mem::take(&mut config.pulls));
    let registry = Registry::open(store.clone(), &config.data_dir, configured, config.limits.clone()).await?;
    let sources = registry.sources().clone();

    let (order, orders) = mpsc::channel(1);
    let (refused, refusals) = mpsc::channel(REFUSALS);
    let prover = Prover::new(store.clone(), sources.clone(), config.plugins_dir.clone(), config.proof.clone());
    let options = ReleaseOptions {
        data_dir: config.data_dir.clone(),
        trust: config.trust.clone(),
        reload: config.reload,
        limits: config.plugin_limits.clone(),
        default_limits: config.limits.call.clone(),
    };
    let releases = Arc::new(Releases::new(options, store.clone(), prover, sandbox, loaded.clone(), order)?);
    let files = PluginFiles::new(config.plugins_dir.clone(), config.trust.lock.clone());
    let plugin_dir = PluginDir::new(files, releases.clone(), metrics.clone(), loaded.clone(), orders, refused)?;

    let deliverer = start_deliverer(&mut config, &store, &loaded, &metrics).await?;
    let bounds = Bounds { connections: config.limits.connections, head_timeout: config.limits.head_timeout };
    let bounds = bounds.within_descriptors(ADMIN_CONNECTIONS);
    let readers = READERS_MAX.min(bounds.connections / READERS_SHARE).max(1);
    let mappers = Mappers::new(loaded.clone(), metrics.clone());
    let pipeline = Arc::new(Pipeline {
        sources: sources.clone(),
        mappers,
        store: store.clone(),
        metrics: metrics.clone(),
        aws: Aws::new()?,
    });
    let host = Arc::new(Host {
        registry,
        releases,
        deliverer,
        triager: Arc::new(Triager::new(store.clone(), sources.clone(), loaded.clone(), metrics.clone())),
        puller: Arc::new(Puller::new(pipeline.clone(), loaded.clone())),
        stream: Arc::new(Stream::new(store.clone(), metrics, readers)),
        edge: Edge {
            trusted_proxies: TrustedProxies::new(config.trusted_proxies.clone()),
            admin_token: admin_token.map(Secret::new),
            tls: LiveTls::new(config.tls.as_ref()).context("`tls`")?,
            admin_tls: LiveTls::new(config.admin_tls.as_ref()).context("`admin_tls`")?,
            logged_refusals: RateLimit::per_second(NonZeroU32::new(LOGGED_REFUSALS_PER_SECOND)),
            rate_limit: RateLimit::per_second(config.limits.requests_per_second),
            bodies: Bodies::new(config.limits.body_memory_bytes, config.limits.body_timeout),
        },
        loaded,
        pipeline,
    });
    host.puller.replace(pulls);

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let remapper = Arc::new(Remapper::new(host.pipeline.clone(), host.loaded.clone()));
    let notices = Arc::new(Notices::new(store, sources));
    tasks.spawn(host.triager.clone().run(stopped.clone()));
    tasks.spawn(remapper.run(stopped.clone()));
    tasks.spawn(host.stream.clone().run(stopped.clone()));
    tasks.spawn(forget_repeats(host.clone(), stopped.clone()));
    tasks.spawn(save_tallies(host.clone(), stopped.clone()));
    tasks.spawn(purge_delivered(host.clone(), config.delivered_retention, stopped.clone()));
    tasks.spawn(host.puller.clone().run(stopped.clone()));
    tasks.spawn(notices.clone().run(stopped.clone()));
    tasks.spawn(until_stopped(notices.report_refusals(refusals), stopped.clone()));
    tasks.spawn(until_stopped(plugin_dir.run(), stopped.clone()));

    let mut servers = JoinSet::new();
    let inbound = api::inbound_routes();
    let admin = api::admin_routes(&host);
    let listener = Listener::bind(config.listen, host.edge.tls.clone(), bounds).await?;
    let address = listener.address()?;
    let admin_address = match config.admin_listen {
        None => {
            servers.spawn(listener.serve(router(inbound.merge(admin), &host), stopped));
            address
        }
        Some(admin_listen) => {
            let admin_bounds = Bounds { connections: ADMIN_CONNECTIONS + readers, ..bounds };
            let admin_listener = Listener::bind(admin_listen, host.edge.admin_tls.clone(), admin_bounds).await?;
            let admin_address = admin_listener.address()?;
            servers.spawn(listener.serve(router(inbound.clone(), &host), stopped.clone()));
            servers.spawn(admin_listener.serve(router(inbound.merge(admin), &host), stopped));
            admin_address
        }
    };
    let protocol = if config.tls.is_some() { "https" } else { "http" };
    info!(%address, %admin_address, "hookmill listens on {protocol}://{address}");
    Ok(Running { address, admin_address, host, servers, tasks, stop, config: Arc::new(config) })
}

fn open_store(config: &Config, metrics: &Arc<Metrics>) -> Result<Store> {
    let policy = Policy { dedup: config.limits.dedup, reopen_within: config.reopen_within };
    let counted = metrics.clone();
    let on_commit = Box::new(move |writes, took| counted.commit(writes, took));
    Store::open(&config.data_dir, config.limits.store_queue, policy, on_commit)
}

/// Tells the store what is configured, and starts the task of each destination.
async fn start_deliverer(
    config: &mut Config,
    store: &Arc<Store>,
    loaded: &Arc<Loaded>,
    metrics: &Arc<Metrics>,
) -> Result<Deliverer> {
    let OutboundConfig { destinations, rules, notifications, public_url } = std::mem::take(&mut config.outbound);
    store.set_outbound(destinations.iter().map(Destination::row).collect(), rules, public_url.clone()).await?;
    store.give_up_removed().await?;
    // A host that was killed may not have come to this.
    for disabled in store.outbound().destinations.iter().filter(|state| state.disabled.is_some()) {
        store.give_up(&disabled.name).await?;
    }
    let deliverer = Deliverer::new(store.clone(), loaded.clone(), metrics.clone());
    deliverer.replace(destinations, notifications, public_url).await;
    Ok(deliverer)
}

impl Running {
    /// What requests are given.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Whether every plugin file found at start has been loaded or refused.
    pub fn is_ready(&self) -> bool {
        self.host.loaded.is_settled()
    }

    /// Takes changes of the configuration file over from now on, and those since it was seen so.
    pub fn follow(&mut self, path: PathBuf, seen: Seen) {
        let reloader = Reloader::new(self.host.clone(), path, seen, self.config.clone());
        self.tasks.spawn(until_stopped(reloader.run(), self.stop.subscribe()));
    }

    /// Ends when a part of the host ends that should not before it is stopped.
    pub async fn broken(&mut self) {
        tokio::select! {
            Some(_) = self.tasks.join_next() => {}
            Some(_) = self.servers.join_next() => {}
        }
    }

    /// Stops accepting, finishes what is in flight, closes the store.
    pub async fn stop(mut self) {
        info!("stopping: no new connections, {} s for what is in flight", self.config.drain_timeout.as_secs());
        self.stop.send_replace(true);
        let finished = async {
            while self.servers.join_next().await.is_some() {}
            self.host.deliverer.stop().await;
            while self.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(self.config.drain_timeout, finished).await.is_err() {
            warn!("some requests or deliveries were still in flight; deliveries go on at the next start");
        }
        self.host.registry.save_tallies().await;
        let store = self.host.pipeline.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
        info!("stopped");
    }
}

fn router(routes: Router<Arc<Host>>, host: &Arc<Host>) -> Router {
    routes
        .fallback(api::fallback)
        .method_not_allowed_fallback(api::method_not_allowed)
        .layer(from_fn_with_state(host.clone(), request_id::identify))
        .with_state(host.clone())
}

async fn until_stopped(task: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = task => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn forget_repeats(host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PURGE_EVERY) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        while let Ok(true) = host.pipeline.store.purge_repeats().await {}
    }
}

async fn purge_delivered(host: Arc<Host>, retention: Duration, mut stopped: watch::Receiver<bool>) {
    loop {
        let mut after = 0;
        let before = id::key_at(unix_ms() - retention.as_millis() as i64);
        while !*stopped.borrow() {
            match host.pipeline.store.purge_delivered(after, before).await {
                Ok(Some(last)) => after = last,
                Ok(None) => break,
                Err(error) => {
                    warn!("what was delivered long ago is not removed: {error:#}");
                    break;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PURGE_DELIVERED_EVERY) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

async fn save_tallies(host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    let stopped = stopped.wait_for(|stopped| *stopped);
    tokio::pin!(stopped);
    while tokio::time::timeout(SAVE_TALLIES_EVERY, &mut stopped).await.is_err() {
        host.registry.save_tallies().await;
    }
}
