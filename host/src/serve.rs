//! Puts a host together from its configuration, runs it and ends it without leaving anything half done.

use crate::aws::Aws;
use crate::bodies::Bodies;
use crate::config::{Config, Outbound};
use crate::deliver::{Deliverer, Destination};
use hookmill_incident::id::{self, unix_ms};
use crate::map::Mappers;
use crate::metrics::Metrics;
use crate::peer::TrustedProxies;
use crate::release::plugin_dir::{Loaded, PluginDir};
use crate::release::proof::Prover;
use crate::rate_limit::RateLimit;
use crate::registry::Registry;
use crate::release::Releases;
use crate::reload::{Reloader, Seen};
use hookmill_sandbox::Sandbox;
use hookmill_store::{Policy, Store};
use crate::stream::{READERS_MAX, Stream};
use crate::{Host, api, request_id};
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::middleware::from_fn_with_state;
use hookmill_listen::{Bounds, Listener, LiveTls};
use hookmill_signatures::Secret;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
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
    let policy = Policy { dedup: config.limits.dedup, reopen_within: config.reopen_within };
    let store = Arc::new(Store::open(&config.data_dir, config.limits.store_queue, policy, metrics.clone())?);
    let sandbox = Arc::new(Sandbox::new(config.limits.instances, config.reusing_plugins())?);
    let loaded = Arc::new(Loaded::default());
    let configured = std::mem::take(&mut config.sources);
    let sources = Registry::open(store.clone(), &config.data_dir, configured, config.limits.clone()).await?;
    let sources = Arc::new(sources);

    let (changed, plugins_changed) = watch::channel(());
    let (order, orders) = mpsc::channel(1);
    let (refused, refusals) = mpsc::channel(REFUSALS);
    let prover = Prover::new(store.clone(), sources.clone(), config.plugins_dir.clone(), config.proof.clone());
    let releases = Arc::new(Releases::new(&config, store.clone(), prover, sandbox, loaded.clone(), order)?);
    let plugin_dir =
        PluginDir::new(&config, releases.clone(), metrics.clone(), loaded.clone(), orders, changed, refused)?;

    let Outbound { destinations, rules, notifications, public_url } = std::mem::take(&mut config.outbound);
    store.set_outbound(destinations.iter().map(Destination::row).collect(), rules, public_url.clone()).await?;
    store.give_up_removed().await?;
    // What a host that was killed had not come to.
    for disabled in store.outbound().destinations.iter().filter(|state| state.disabled.is_some()) {
        store.give_up(&disabled.name).await?;
    }
    let deliverer = Deliverer::new(store.clone(), loaded.clone(), metrics.clone());
    deliverer.replace(destinations, notifications, public_url).await;
    let bounds = Bounds { connections: config.limits.connections, head_timeout: config.limits.head_timeout };
    let bounds = bounds.within_descriptors(ADMIN_CONNECTIONS);
    let readers = READERS_MAX.min(bounds.connections / READERS_SHARE).max(1);
    let host = Arc::new(Host {
        sources,
        trusted_proxies: TrustedProxies::new(config.trusted_proxies.clone()),
        aws: Aws::new()?,
        mappers: Mappers::new(loaded.clone(), metrics.clone()),
        releases,
        deliverer,
        stream: Arc::new(Stream::new(store.clone(), metrics.clone(), readers)),
        store,
        loaded,
        metrics,
        admin_token: admin_token.map(Secret::new),
        waiting: Notify::new(),
        to_triage: Notify::new(),
        tls: LiveTls::new(config.tls.as_ref()).context("`tls`")?,
        admin_tls: LiveTls::new(config.admin_tls.as_ref()).context("`admin_tls`")?,
        logged_refusals: RateLimit::per_second(NonZeroU32::new(LOGGED_REFUSALS_PER_SECOND)),
        rate_limit: RateLimit::per_second(config.limits.requests_per_second),
        bodies: Bodies::new(config.limits.body_memory_bytes, config.limits.body_timeout),
    });

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(host.clone().triage_waiting(plugins_changed.clone(), stopped.clone()));
    tasks.spawn(host.clone().remap_waiting(plugins_changed, stopped.clone()));
    tasks.spawn(host.stream.clone().run(stopped.clone()));
    tasks.spawn(forget_repeats(host.clone(), stopped.clone()));
    tasks.spawn(save_tallies(host.clone(), stopped.clone()));
    tasks.spawn(purge_delivered(host.clone(), config.delivered_retention, stopped.clone()));
    tasks.spawn(host.clone().pull_sources(stopped.clone()));
    tasks.spawn(host.clone().notice_silence(stopped.clone()));
    tasks.spawn(until_stopped(host.clone().tell_of_refusals(refusals), stopped.clone()));
    tasks.spawn(until_stopped(plugin_dir.run(), stopped.clone()));

    let mut servers = JoinSet::new();
    let inbound = api::inbound_routes();
    let admin = api::admin_routes(&host);
    let listener = Listener::bind(config.listen, host.tls.clone(), bounds).await?;
    let address = listener.address()?;
    let admin_address = match config.admin_listen {
        None => {
            servers.spawn(listener.serve(router(inbound.merge(admin), &host), stopped));
            address
        }
        Some(admin_listen) => {
            let admin_bounds = Bounds { connections: ADMIN_CONNECTIONS + readers, ..bounds };
            let admin_listener = Listener::bind(admin_listen, host.admin_tls.clone(), admin_bounds).await?;
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
        self.host.sources.save_tallies().await;
        let store = self.host.store.clone();
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
        while let Ok(true) = host.store.purge_repeats().await {}
    }
}

async fn purge_delivered(host: Arc<Host>, retention: Duration, mut stopped: watch::Receiver<bool>) {
    loop {
        let mut after = 0;
        let before = id::key_at(unix_ms() - retention.as_millis() as i64);
        while !*stopped.borrow() {
            match host.store.purge_delivered(after, before).await {
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
        host.sources.save_tallies().await;
    }
}
