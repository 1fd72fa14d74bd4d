//! Assembles a host from its configuration, and starts it.

use crate::aws::Aws;
use crate::backup::BackupTask;
use crate::bodies::Bodies;
use crate::config::{Config, OutboundConfig, Settings};
use crate::deliver::{Deliverer, Destination};
use crate::disk::Disk;
use crate::event_changes::EventChanges;
use crate::failed_tokens::FailedTokens;
use crate::host::{Edge, Host};
use crate::host_identity::new_identity;
use crate::issuers::Issuers;
use crate::loaded::Loaded;
use crate::map::Mappers;
use crate::metrics::Metrics;
use crate::notices::Notices;
use crate::peer::TrustedProxies;
use crate::pipeline::Pipeline;
use crate::pull::Puller;
use crate::rate_limit::RateLimit;
use crate::refusals::Refusals;
use crate::registry::Registry;
use crate::release::decision::Releases;
use crate::release::live_plugins::LivePlugins;
use crate::release::options::ReleaseOptions;
use crate::release::plugin_dir::{PluginDir, PluginRefusal};
use crate::release::plugin_files::PluginFiles;
use crate::release::precompiled::Precompiled;
use crate::release::proof::Prover;
use crate::remap::Remapper;
use crate::running::{Running, until_stopped};
use crate::sign_in_code::SignInCode;
use crate::sources::Sources;
use crate::stream::{Feed, READERS_MAX, ReaderPlaces, Stream};
use crate::traces::Traces;
use crate::triage::Triager;
use crate::{api, console, maintenance, near_miss, request_id, retention, service_manager};
use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn_with_state;
use hookmill_incident::Clock;
use hookmill_listen::{Bounds, Descriptors, Listener, LiveTls, PassedSockets};
use hookmill_sandbox::{CompilerProgram, FILE_BYTES_MAX, Sandbox};
use hookmill_store::private_files::refuse_writable_by_others;
use hookmill_store::{Policy, Store, credential_digest};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// Shorter admin tokens are refused, because they can be guessed.
const ADMIN_TOKEN_BYTES_MIN: usize = 24;
/// The number of connections that a separate `admin_listen` takes beside the readers of the stream. Few clients use the
/// API, and no webhook takes their place.
const ADMIN_CONNECTIONS: u32 = 256;
/// With few file descriptors, one in this many of them is for `admin_listen`.
const ADMIN_SHARE: u32 = 4;
/// One in this many connections may follow the stream.
const CONNECTIONS_PER_READER: u32 = 4;
/// The number of refusals and handshakes that are logged in a second.
const LOGGED_UNVERIFIED_PER_SECOND: u32 = 20;
/// The number of internal errors that are logged in a second.
const LOGGED_ERRORS_PER_SECOND: u32 = 20;
/// The memory of the bodies of API requests together: two plugin files of the largest size.
const API_BODY_MEMORY_BYTES: usize = 2 * FILE_BYTES_MAX as usize;
/// The number of refused plugin files that may wait for their notice.
const WAITING_PLUGIN_REFUSALS: usize = 64;

/// Opens the store, loads the plugins in the background, and listens. Plugin files are compiled by `compiler`, or by
/// threads of this process. `sockets` are listening sockets that a service manager opened. Every decision about times
/// uses `clock`.
///
/// # Errors
/// Returns an error that explains what prevents the start and what to do.
pub async fn start(
    config: Config,
    admin_token: Option<String>,
    compiler: Option<CompilerProgram>,
    sockets: Vec<TcpListener>,
    clock: Clock,
) -> Result<Running> {
    let Config { settings, sources: configured, pulls, outbound, listing, warnings } = config;
    warnings.iter().for_each(|warning| warn!("{warning}"));
    check_admin_token(admin_token.as_deref())?;
    let capacity = Capacity::of(&settings);
    let metrics = Arc::new(Metrics::default());
    let started =
        settings.traces.as_ref().map(|traces| Traces::start(traces, clock.clone(), metrics.clone())).transpose()?;
    let (traces, exporter) = started.map_or_else(Default::default, |(traces, exporter)| (traces, Some(exporter)));
    let started_at = clock.now();
    let store = Arc::new(open_store(&settings, &metrics, clock).await?);
    let loaded = Arc::new(Loaded::default());
    let sandbox =
        Sandbox::new(settings.limits.instances, settings.reusing_plugins())?.with_clock(store.clock().clone());
    let sandbox = Arc::new(match compiler {
        Some(program) => sandbox.with_compiler(program),
        None => sandbox,
    });
    let registry = Registry::open(store.clone(), &settings.data_dir, configured, settings.limits.clone()).await?;
    let sources = registry.sources().clone();
    let plugins = open_plugins(&settings, sandbox, &store, &sources, &loaded, &metrics)?;
    let deliverer = Deliverer::new(store.clone(), loaded.clone(), metrics.clone(), traces.clone());
    start_deliverer(&deliverer, outbound, &store).await?;
    let (aws, mappers) = (Aws::new()?, Mappers::new(loaded.clone(), metrics.clone()));
    let issuers = Issuers::new(store.clock().clone());
    let pipeline =
        Pipeline::new(aws, issuers, mappers, sources.clone(), store.clone(), metrics.clone(), traces.clone());
    let pipeline = Arc::new(pipeline);
    let backup = settings.backup.clone().map(|schedule| {
        BackupTask::new(schedule, settings.data_dir.clone(), store.clone(), metrics.clone()).map(Arc::new)
    });
    let refusals = Arc::new(Refusals::new(store.clock().clone()));
    let event_changes = Arc::new(EventChanges::new(store.clone(), refusals.clone()));
    let reader_places = ReaderPlaces::new(capacity.stream_readers);
    let stream = |feed| Stream::new(feed, store.clock().clone(), metrics.clone(), reader_places.clone());
    let triager = Triager::new(store.clone(), sources.clone(), loaded.clone(), metrics.clone(), traces.clone());
    let (reload, reload_requests) = mpsc::channel(1);
    let host = Arc::new(Host {
        registry,
        backup: backup.transpose().context("`backup`")?,
        releases: plugins.releases.clone(),
        deliverer,
        triager: Arc::new(triager),
        puller: Arc::new(Puller::new(pipeline.clone(), store.clone(), sources.clone(), loaded.clone())),
        stream: Arc::new(stream(Feed::Audit(store.clone()))),
        event_stream: Arc::new(stream(Feed::Events(event_changes.clone(), store.clone(), api::event_json))),
        reader_places,
        refusals,
        listing: ArcSwap::from_pointee(listing),
        reload,
        edge: edge(&settings, admin_token)?,
        started_at,
        store,
        sources,
        metrics,
        traces,
        loaded,
        pipeline,
    });
    host.puller.replace(pulls);

    let (stop, stopped) = watch::channel(false);
    let tasks = spawn_tasks(&host, &settings, plugins, event_changes, &stopped);
    let (servers, address, admin_address) = listen(&host, &settings, sockets, &capacity, &stopped).await?;
    let protocol = if settings.tls.is_some() { "https" } else { "http" };
    info!(%address, %admin_address, "hookmill listens on {protocol}://{address}");
    let (settings, reload_requests) = (Arc::new(settings), Some(reload_requests));
    let running = Running { address, admin_address, host, servers, tasks, stop, exporter, settings, reload_requests };
    info!("the console is at {}", running.console_url());
    Ok(running)
}

/// Checks what the settings name: the certificates, and with `checks_folders` who can write to the folders.
///
/// # Errors
/// Returns an error if [`start`] would refuse them.
pub fn check(settings: &Settings, checks_folders: bool) -> Result<()> {
    LiveTls::new(settings.tls.as_ref()).context("`tls`")?;
    LiveTls::new(settings.admin_tls.as_ref()).context("`admin_tls`")?;
    settings.precompiled_dir.as_deref().map(Precompiled::open).transpose().context("`precompiled_dir`")?;
    if checks_folders {
        let plugins_dir = Some(&settings.plugins_dir).filter(|_| !settings.plugins_dir_shared);
        let folders = [Some(&settings.data_dir), plugins_dir].into_iter().flatten();
        folders.filter(|folder| folder.exists()).try_for_each(|folder| refuse_writable_by_others(folder))?;
    }
    Ok(())
}

fn check_admin_token(token: Option<&str>) -> Result<()> {
    let Some(token) = token else { return Ok(()) };
    ensure!(
        token.len() >= ADMIN_TOKEN_BYTES_MIN,
        "HOOKMILL_ADMIN_TOKEN has {} characters; use at least {ADMIN_TOKEN_BYTES_MIN}",
        token.len()
    );
    Ok(())
}

/// The number of connections and of stream readers.
struct Capacity {
    bounds: Bounds,
    /// The bounds of a separate `admin_listen`.
    admin_bounds: Bounds,
    stream_readers: u32,
}

impl Capacity {
    fn of(settings: &Settings) -> Self {
        let mut descriptors = Descriptors::raise_limit();
        let bounds = |connections| Bounds { connections, head_timeout: settings.limits.head_timeout };
        let configured = settings.limits.connections;
        if settings.admin_listen.is_none() {
            let connections = descriptors.take_configured(configured);
            let stream_readers = READERS_MAX.min(connections / CONNECTIONS_PER_READER).max(1);
            return Self { bounds: bounds(connections), admin_bounds: bounds(1), stream_readers };
        }
        let readers = READERS_MAX.min(configured / CONNECTIONS_PER_READER).max(1);
        let admin = descriptors.take(ADMIN_CONNECTIONS + readers, ADMIN_SHARE);
        let connections = descriptors.take_configured(configured);
        let stream_readers = readers.min(admin / 2).max(1);
        Self { bounds: bounds(connections), admin_bounds: bounds(admin), stream_readers }
    }
}

async fn open_store(settings: &Settings, metrics: &Arc<Metrics>, clock: Clock) -> Result<Store> {
    let policy = Policy { dedup: settings.limits.dedup, reopen_within: settings.reopen_within };
    let counted = metrics.clone();
    let on_commit = Box::new(move |writes, took| counted.commit(writes, took));
    let (data_dir, queue) = (&settings.data_dir, settings.limits.store_queue);
    match &settings.database {
        Some(database) => {
            ensure!(
                settings.backup.is_none(),
                "`backup` copies the embedded database, and `database` is another one; remove `backup`, and use the tools \
                 of PostgreSQL"
            );
            let address = database.address.clone();
            let host = new_identity()?;
            metrics.set_host(&host);
            Store::connect(address, host, data_dir, queue, policy, on_commit, clock).await
        }
        None => Store::open(data_dir, queue, policy, on_commit, clock),
    }
}

/// The decisions on plugins, and the task that publishes plugins, which is not started yet.
struct PluginParts {
    releases: Arc<Releases>,
    plugin_dir: PluginDir,
    refusals: mpsc::Receiver<PluginRefusal>,
}

fn open_plugins(
    settings: &Settings,
    sandbox: Arc<Sandbox>,
    store: &Arc<Store>,
    sources: &Arc<Sources>,
    loaded: &Arc<Loaded>,
    metrics: &Arc<Metrics>,
) -> Result<PluginParts> {
    let (command_sender, commands) = mpsc::channel(1);
    let (refusal_sender, refusals) = mpsc::channel(WAITING_PLUGIN_REFUSALS);
    let (plugins_dir, trust) = (settings.plugins_dir.clone(), settings.trust.clone());
    let prover = Prover::new(store.clone(), sources.clone(), plugins_dir, trust, settings.proof.clone());
    let options = ReleaseOptions {
        data_dir: settings.data_dir.clone(),
        precompiled_dir: settings.precompiled_dir.clone(),
        trust: settings.trust.clone(),
        reload: settings.reload,
        limits: settings.plugin_limits.clone(),
        default_limits: settings.limits.call.clone(),
    };
    let releases = Releases::new(options, store.clone(), prover, sandbox, loaded.clone(), command_sender)?;
    let releases = Arc::new(releases);
    let (folder, lock) = (settings.plugins_dir.clone(), settings.trust.lock.clone());
    let files = PluginFiles::new(folder, settings.plugins_dir_shared, lock, store.clock().clone());
    let (loaded, live) = (loaded.clone(), LivePlugins::new(loaded.clone(), metrics.clone(), store.clone()));
    let plugin_dir = PluginDir::new(files, releases.clone(), store.clone(), live, loaded, commands, refusal_sender)?;
    Ok(PluginParts { releases, plugin_dir, refusals })
}

/// Gives the store the configured destinations and rules, and starts the task of each destination.
async fn start_deliverer(deliverer: &Deliverer, outbound: OutboundConfig, store: &Store) -> Result<()> {
    let OutboundConfig { destinations, rules, notifications, public_url } = outbound;
    store.set_outbound(destinations.iter().map(Destination::row).collect(), rules, public_url.clone()).await?;
    store.give_up_removed().await?;
    // A host that was killed may not have given up the deliveries of a destination that it had disabled.
    for disabled in store.outbound().destinations.values().filter(|state| state.disabled.is_some()) {
        store.give_up(&disabled.name).await?;
    }
    deliverer.replace(destinations, notifications, public_url).await;
    Ok(())
}

fn edge(settings: &Settings, admin_token: Option<String>) -> Result<Edge> {
    Ok(Edge {
        trusted_proxies: TrustedProxies::new(settings.trusted_proxies.clone()),
        admin_token: admin_token.as_deref().map(credential_digest),
        api_has_tls: settings.api_has_tls(),
        failed_tokens: FailedTokens::default(),
        failed_sessions: FailedTokens::default(),
        sign_in_code: SignInCode::default(),
        tls: LiveTls::new(settings.tls.as_ref()).context("`tls`")?,
        admin_tls: LiveTls::new(settings.admin_tls.as_ref()).context("`admin_tls`")?,
        logged_unverified: RateLimit::per_second(NonZeroU32::new(LOGGED_UNVERIFIED_PER_SECOND)),
        logged_errors: RateLimit::per_second(NonZeroU32::new(LOGGED_ERRORS_PER_SECOND)),
        rate_limit: RateLimit::per_second(settings.limits.requests_per_second),
        bodies: Bodies::new(settings.limits.body_memory_bytes, settings.limits.body_timeout),
        api_bodies: Bodies::new(API_BODY_MEMORY_BYTES, settings.limits.body_timeout),
        disk: Disk::new(settings.data_dir.clone(), settings.limits.free_disk_bytes, settings.limits.disk_forecast),
        retention: settings.retention,
        counted_at: Mutex::default(),
    })
}

fn spawn_tasks(
    host: &Arc<Host>,
    settings: &Settings,
    plugins: PluginParts,
    event_changes: Arc<EventChanges>,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let Host { store, sources, pipeline, loaded, .. } = &**host;
    let remapper = Remapper::new(pipeline.clone(), store.clone(), sources.clone(), loaded.clone());
    let notices = Arc::new(Notices::new(store.clone(), sources.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(host.triager.clone().run(stopped.clone()));
    tasks.spawn(Arc::new(remapper).run(stopped.clone()));
    tasks.spawn(event_changes.run(stopped.clone()));
    tasks.spawn(host.stream.clone().run(stopped.clone()));
    tasks.spawn(host.event_stream.clone().run(stopped.clone()));
    tasks.spawn(host.puller.clone().run(stopped.clone()));
    tasks.spawn(maintenance::purge_repeats(store.clone(), stopped.clone()));
    tasks.spawn(maintenance::purge_delivered(store.clone(), settings.delivered_retention, stopped.clone()));
    tasks.spawn(retention::remove_old_rows(host.clone(), settings.retention, stopped.clone()));
    tasks.spawn(maintenance::watch_storage(host.clone(), stopped.clone()));
    tasks.spawn(maintenance::follow_settings(host.clone(), stopped.clone()));
    tasks.spawn(maintenance::save_tallies(host.clone(), stopped.clone()));
    tasks.spawn(maintenance::watch_clock(store.clone(), stopped.clone()));
    tasks.spawn(maintenance::watch_store(host.clone(), stopped.clone()));
    tasks.spawn(maintenance::rest_idle_plugins(host.loaded.clone(), stopped.clone()));
    tasks.spawn(maintenance::put_marks(store.clone(), stopped.clone()));
    if let Some(backup) = &host.backup {
        tasks.spawn(backup.clone().run(stopped.clone()));
    }
    if let Some(interval) = service_manager::alive_interval() {
        tasks.spawn(maintenance::report_alive(store.clone(), interval, stopped.clone()));
    }
    tasks.spawn(notices.clone().run(stopped.clone()));
    tasks.spawn(until_stopped(notices.report_refusals(plugins.refusals), stopped.clone()));
    tasks.spawn(until_stopped(plugins.plugin_dir.run(), stopped.clone()));
    tasks
}

/// Listens, and returns the servers with the addresses of webhooks and of the API.
async fn listen(
    host: &Arc<Host>,
    settings: &Settings,
    sockets: Vec<TcpListener>,
    capacity: &Capacity,
    stopped: &watch::Receiver<bool>,
) -> Result<(JoinSet<()>, SocketAddr, SocketAddr)> {
    let (inbound, admin) = (api::inbound_routes(), api::admin_routes(host).merge(console::routes()));
    let everything = router(inbound.clone().merge(admin), host);
    let mut sockets = PassedSockets::new(sockets);
    let listener = Listener::open(settings.listen, &mut sockets, host.edge.tls.clone(), capacity.bounds).await?;
    let address = listener.address()?;
    let mut servers = JoinSet::new();
    let Some(admin_listen) = settings.admin_listen else {
        sockets.check_all_taken()?;
        servers.spawn(listener.serve(everything, stopped.clone()));
        return Ok((servers, address, address));
    };
    let admin_tls = host.edge.admin_tls.clone();
    let admin_listener = Listener::open(admin_listen, &mut sockets, admin_tls, capacity.admin_bounds).await?;
    sockets.check_all_taken()?;
    let admin_address = admin_listener.address()?;
    servers.spawn(listener.serve(router(inbound, host), stopped.clone()));
    servers.spawn(admin_listener.serve(everything, stopped.clone()));
    Ok((servers, address, admin_address))
}

fn router(routes: Router<Arc<Host>>, host: &Arc<Host>) -> Router {
    routes
        .fallback(near_miss::unknown_path)
        .method_not_allowed_fallback(near_miss::unknown_method)
        .layer(from_fn_with_state(host.clone(), request_id::identify))
        .with_state(host.clone())
}
