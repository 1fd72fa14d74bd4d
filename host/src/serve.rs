//! Puts a host together from its configuration, runs it and ends it without leaving anything half done.

use crate::bodies::Bodies;
use crate::compiled_cache::CompiledCache;
use crate::config::Config;
use crate::deliver::Deliverer;
use crate::listen::{Bounds, Listener, LiveTls, TlsFiles};
use crate::map::Mappers;
use crate::metrics::Metrics;
use crate::plugin_dir::{Loaded, PluginDir};
use crate::rate_limit::RateLimit;
use crate::sandbox::Sandbox;
use crate::store::{Policy, Store};
use crate::{Host, api};
use anyhow::{Context, Result, ensure};
use axum::Router;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// Below this an admin token could be guessed.
const ADMIN_TOKEN_BYTES_MIN: usize = 24;
/// How many connections an `admin_listen` of its own takes: few work there, and no webhook takes their place.
const ADMIN_CONNECTIONS: u32 = 256;
/// How often repeats that are too old are forgotten.
const PURGE_EVERY: Duration = Duration::from_secs(60);

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
    drain_timeout: Duration,
    tls: LiveTls,
    admin_tls: LiveTls,
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
    let tls = LiveTls::new(config.tls.as_ref()).context("`tls`")?;
    let admin_tls = LiveTls::new(config.admin_tls.as_ref()).context("`admin_tls`")?;
    let metrics = Arc::new(Metrics::default());
    let policy = Policy { dedup: config.dedup, reopen_within: config.reopen_within };
    let store = Arc::new(Store::open(&config.data_dir, config.limits.store_queue, policy, metrics.clone())?);
    let sandbox = Arc::new(Sandbox::new(config.limits.instances)?);
    let cache = Arc::new(CompiledCache::open(&config.data_dir, store.clone())?);
    let loaded = Arc::new(Loaded::default());
    let (changed, plugins_changed) = watch::channel(());
    let plugin_dir = PluginDir::new(&config, sandbox, cache, metrics.clone(), loaded.clone(), changed)?;

    let webhooks = std::mem::take(&mut config.webhooks);
    store.set_destinations(webhooks.iter().map(|destination| destination.name_and_url()).collect()).await?;
    let sources: BTreeMap<_, _> =
        config.sources.into_iter().map(|source| (source.name.clone(), Arc::new(source))).collect();
    let host = Arc::new(Host {
        sources,
        mappers: Mappers::new(loaded.clone(), metrics.clone()),
        deliverer: Deliverer::start(webhooks, &store, &metrics),
        store,
        loaded,
        metrics,
        admin_token,
        waiting: Notify::new(),
        rate_limit: RateLimit::per_second(config.limits.requests_per_second),
        bodies: Bodies::new(config.limits.body_memory_bytes, config.limits.body_timeout),
    });

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(host.clone().remap_waiting(plugins_changed, stopped.clone()));
    tasks.spawn(forget_repeats(host.clone(), stopped.clone()));
    tasks.spawn(until_stopped(plugin_dir.run(), stopped.clone()));

    let mut servers = JoinSet::new();
    let inbound = api::inbound_routes();
    let admin = api::admin_routes(&host);
    let bounds = Bounds { connections: config.limits.connections, head_timeout: config.limits.head_timeout };
    let bounds = bounds.within_descriptors(ADMIN_CONNECTIONS);
    let listener = Listener::bind(config.listen, tls.clone(), bounds).await?;
    let address = listener.address()?;
    let admin_address = match config.admin_listen {
        None => {
            servers.spawn(listener.serve(router(inbound.merge(admin), &host), stopped));
            address
        }
        Some(admin_listen) => {
            let admin_bounds = Bounds { connections: ADMIN_CONNECTIONS, ..bounds };
            let admin_listener = Listener::bind(admin_listen, admin_tls.clone(), admin_bounds).await?;
            let admin_address = admin_listener.address()?;
            servers.spawn(listener.serve(router(inbound.clone(), &host), stopped.clone()));
            servers.spawn(admin_listener.serve(router(inbound.merge(admin), &host), stopped));
            admin_address
        }
    };
    let protocol = if config.tls.is_some() { "https" } else { "http" };
    info!(%address, %admin_address, "hookmill listens on {protocol}://{address}");
    Ok(Running {
        address,
        admin_address,
        host,
        servers,
        tasks,
        stop,
        drain_timeout: config.drain_timeout,
        tls,
        admin_tls,
    })
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

    /// Takes the certificates and keys of a configuration for connections from now on: those of both listeners or none.
    ///
    /// # Errors
    /// Which file cannot be used. What was in use stays.
    pub fn reload_tls(&self, config: &Config) -> Result<()> {
        let tls = config.tls.as_ref().map(TlsFiles::read).transpose().context("`tls`")?;
        let admin_tls = config.admin_tls.as_ref().map(TlsFiles::read).transpose().context("`admin_tls`")?;
        self.tls.replace(tls);
        self.admin_tls.replace(admin_tls);
        Ok(())
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
        info!("stopping: no new connections, {} s for what is in flight", self.drain_timeout.as_secs());
        self.stop.send_replace(true);
        let finished = async {
            while self.servers.join_next().await.is_some() {}
            self.host.deliverer.stop().await;
            while self.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(self.drain_timeout, finished).await.is_err() {
            warn!("some requests or deliveries were still in flight; deliveries go on at the next start");
        }
        let store = self.host.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
        info!("stopped");
    }
}

fn router(routes: Router<Arc<Host>>, host: &Arc<Host>) -> Router {
    let routes = routes.fallback(api::fallback).method_not_allowed_fallback(api::method_not_allowed);
    routes.with_state(host.clone())
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
