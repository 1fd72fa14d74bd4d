//! One plugin: a compiled component with its name, its kind, its digest and its limits, and how it is called.

mod notifier;
mod playbook;
mod stored_incident;

pub use notifier::Notification;
pub use stored_incident::ShownIncident;

use crate::compiled_cache::CompiledCache;
use crate::config::CallLimits;
use crate::event::{Event, NamedValue};
use crate::incident::PluginVersion;
use crate::sandbox::{Guest, LogLine, MemoryExceeded, Sandbox, Walls};
use crate::words::words;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Store, Trap};

#[allow(missing_docs, reason = "generated from wit/plugin.wit, where every item is described")]
pub(crate) mod wit {
    wasmtime::component::bindgen!({
        path: "../wit",
        // Never the world of one plugin: what all kinds share has the same types here.
        inline: "
            package hookmill:host;
            world every-kind {
                include hookmill:plugin/mapper-plugin@0.1.0;
                include hookmill:plugin/playbook-plugin@0.1.0;
                include hookmill:plugin/notifier-plugin@0.1.0;
            }
        ",
        world: "hookmill:host/every-kind",
        ownership: Borrowing { duplicate_if_necessary: true },
        exports: { default: async },
    });
}

use wit::exports::hookmill::plugin as interfaces;
use wit::hookmill::plugin::log;
pub(crate) use wit::hookmill::plugin::types as shapes;

/// A plugin file larger than this is not looked at.
pub const FILE_BYTES_MAX: u64 = 64 * MIB as u64;
/// The package of the interfaces that this host calls, each named like its kind.
const PACKAGE: &str = "hookmill:plugin";
const API_VERSION: &str = "0.1.0";
const MIB: usize = 1024 * 1024;
const MEMORY_BYTES: usize = 64 * MIB;
/// For plugins that import WASI or start with more than [`SMALL_START_BYTES`]: interpreters.
const MEMORY_BYTES_LARGE: usize = 256 * MIB;
const SMALL_START_BYTES: u64 = 8 * MIB as u64;
/// For the trial call of `describe`, where an interpreter starts for the first time.
const TRIAL_DEADLINE: Duration = Duration::from_secs(5);
/// How long a call waits for a place. Places are taken for microseconds, unless a plugin hangs.
const PLACE_TIMEOUT: Duration = Duration::from_millis(500);
/// An instance that has grown by more is not used again.
const GROWTH_BYTES_MAX: usize = 16 * MIB;
const ONE_EVENT: NonZeroU32 = NonZeroU32::MIN;
/// The first instance has the system seal the image of its memory, which it refuses while it looks at those pages itself.
const BUSY_TRIES: u32 = 10;
const BUSY_PAUSE: Duration = Duration::from_millis(100);
const DESCRIPTION_BYTES_MAX: usize = 4096;

pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    log::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    Ok(())
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        self.write_log(level, &message);
    }
}

words!(
    /// What a plugin is for: the interface that it exports.
    Kind {
        /// Maps payloads to incidents.
        Mapper = "mapper",
        /// Judges incidents.
        Playbook = "playbook",
        /// Renders audit entries.
        Notifier = "notifier",
    }
);

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// A name for people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it maps.
    pub summary: String,
    /// The scheme that its vendor signs with.
    pub scheme: Option<String>,
}

/// A plugin that is ready to be called.
pub struct Plugin {
    /// Name, version and digest.
    pub version: Arc<PluginVersion>,
    /// What it says of itself.
    pub description: Description,
    /// The version of the interface that it was built for.
    pub api_version: String,
    limits: CallLimits,
    memory_bytes: usize,
    sandbox: Arc<Sandbox>,
    share: Semaphore,
    /// Instances that may take another event.
    idle: Mutex<Vec<Idle>>,
    component: InstancePre<Guest>,
    interface: Interface,
}

/// An instance between two calls.
struct Idle {
    store: Store<Guest>,
    used: Used,
}

/// What an instance has behind it.
#[derive(Clone, Copy)]
struct Used {
    instance: Instance,
    calls: u32,
    /// The memory that it began with.
    memory_bytes: usize,
}

/// Where a plugin's functions are in its component.
enum Interface {
    Mapper(interfaces::mapper::GuestIndices),
    Playbook(interfaces::playbook::GuestIndices),
    Notifier(interfaces::notifier::GuestIndices),
}

/// What a call came to.
#[derive(Debug)]
pub struct Call<T> {
    /// Its result, or why there is none.
    pub result: Result<T, CallError>,
    /// What the plugin wrote.
    pub log: Vec<LogLine>,
    /// From instantiation to the end of the call.
    pub duration: Duration,
    /// The most linear memory that it had.
    pub memory_bytes: usize,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Its instances are all taken; nothing was called.
    #[error("all its instances are busy")]
    Busy,
    /// It took too long.
    #[error("it took longer than {} ms", .0.as_millis())]
    Deadline(Duration),
    /// It wanted too much memory.
    #[error("{0}")]
    Memory(String),
    /// It returned too much.
    #[error("{0}")]
    Output(String),
    /// It trapped.
    #[error("{0}")]
    Trap(String),
    /// It has no such function; nothing was called.
    #[error("it is a {is} and no {wanted}")]
    Kind {
        /// What it is.
        is: Kind,
        /// What it was called as.
        wanted: Kind,
    },
}

impl Plugin {
    /// Compiles a file's bytes, checks what they import and export, and calls `describe` once.
    ///
    /// # Errors
    /// What is wrong with the file and how to mend it.
    pub async fn load(
        name: &str,
        bytes: Vec<u8>,
        sandbox: Arc<Sandbox>,
        limits: CallLimits,
        cache: Option<Arc<CompiledCache>>,
    ) -> Result<Self> {
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let component = tokio::task::spawn_blocking({
            let (name, sha256, sandbox) = (name.to_owned(), sha256.clone(), sandbox.clone());
            move || compile(&name, &sha256, &bytes, &sandbox, cache.as_deref())
        })
        .await??;
        let (kind, api_version) = check_exports(&sandbox, &component)?;
        let instance = sandbox.linker().instantiate_pre(&component).map_err(|error| {
            anyhow!(
                "it imports what plugins are not given: {error:#}; only `hookmill:plugin/log` and WASI 0.2 are there"
            )
        })?;
        let memory_bytes = limits.memory_bytes.unwrap_or_else(|| default_memory(&sandbox, &instance));
        let interface = match kind {
            Kind::Mapper => Interface::Mapper(interfaces::mapper::GuestIndices::new(&instance)?),
            Kind::Playbook => Interface::Playbook(interfaces::playbook::GuestIndices::new(&instance)?),
            Kind::Notifier => Interface::Notifier(interfaces::notifier::GuestIndices::new(&instance)?),
        };
        let version = PluginVersion { name: name.to_owned(), version: String::new(), sha256 };
        let description =
            Description { name: String::new(), version: String::new(), summary: String::new(), scheme: None };
        let share = sandbox.share_of_slots();
        let version = Arc::new(version);
        let component = instance;
        let idle = Mutex::default();
        let mut plugin = Self {
            version,
            description,
            api_version,
            limits,
            memory_bytes,
            sandbox,
            share,
            idle,
            component,
            interface,
        };
        let mut described = plugin.describe().await;
        for _ in 0..BUSY_TRIES {
            if !described.as_ref().is_err_and(|error| error.to_string().contains(&Errno::BUSY.to_string())) {
                break;
            }
            tokio::time::sleep(BUSY_PAUSE).await;
            described = plugin.describe().await;
        }
        plugin.description = described?;
        // The instance of the trial has seen no event, and takes none.
        plugin.idle = Mutex::default();
        plugin.version =
            Arc::new(PluginVersion { version: plugin.description.version.clone(), ..(*plugin.version).clone() });
        Ok(plugin)
    }

    async fn describe(&self) -> Result<Description> {
        let walls = Walls::without_event(self.memory_bytes, self.limits.output_bytes);
        let call = self
            .call(walls, TRIAL_DEADLINE, async |store, instance| {
                let described = match &self.interface {
                    Interface::Mapper(indices) => indices.load(&mut *store, instance)?.call_describe(store).await,
                    Interface::Playbook(indices) => indices.load(&mut *store, instance)?.call_describe(store).await,
                    Interface::Notifier(indices) => indices.load(&mut *store, instance)?.call_describe(store).await,
                };
                Ok(Ok::<_, Infallible>(described?))
            })
            .await;
        let Ok(described) = call.result.map_err(|error| anyhow!("its trial instantiation failed: {error}"))?;
        let description = Description {
            name: described.name,
            version: described.version,
            summary: described.summary,
            scheme: described.scheme,
        };
        let scheme_bytes = description.scheme.as_ref().map_or(0, String::len);
        let bytes = description.name.len() + description.version.len() + description.summary.len() + scheme_bytes;
        ensure!(bytes <= DESCRIPTION_BYTES_MAX, "its description has {bytes} bytes; at most {DESCRIPTION_BYTES_MAX}");
        Ok(description)
    }

    /// Maps one event in an instance of its own.
    pub async fn to_incidents(
        &self,
        event: &Event,
        settings: &[NamedValue],
    ) -> Call<Result<shapes::Outcome, shapes::MappingError>> {
        let Interface::Mapper(indices) = &self.interface else { return self.not_a(Kind::Mapper) };
        let walls = Walls {
            clock_ms: event.received_at,
            seed: event.id,
            memory_bytes: self.memory_bytes,
            output_bytes: self.limits.output_bytes,
        };
        let mut id = uuid::Uuid::encode_buffer();
        let id = event.id.hyphenated().encode_lower(&mut id);
        let (headers, context, settings) = (fields(&event.headers), fields(&event.context), fields(settings));
        let argument = shapes::Event {
            id,
            source: &event.source,
            received_at: event.received_at.unsigned_abs(),
            content_type: event.content_type.as_deref(),
            headers: &headers,
            context: &context,
            settings: &settings,
            body: &event.body,
        };
        self.call(walls, self.limits.deadline, async |store, instance| {
            indices.load(&mut *store, instance)?.call_to_incidents(store, argument.clone()).await
        })
        .await
    }

    /// Runs one call in a fresh instance that is gone afterwards, or, where the plugin is set so, in one that has taken
    /// calls before and may take more. What such a one fails on is tried in a fresh one: it may have failed on what was
    /// left of the calls before.
    async fn call<T, E>(
        &self,
        walls: Walls,
        deadline: Duration,
        run: impl AsyncFnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, E>> + Clone,
    ) -> Call<Result<T, E>> {
        let started = Instant::now();
        let places = async { (self.share.acquire().await, self.sandbox.slots().acquire().await) };
        let Ok(places) = tokio::time::timeout(PLACE_TIMEOUT, places).await else {
            let (log, duration) = (Vec::new(), started.elapsed());
            return Call { result: Err(CallError::Busy), log, duration, memory_bytes: 0 };
        };
        let started = Instant::now();
        let mut call = None;
        if let Some(Idle { mut store, used }) = self.take_idle() {
            self.sandbox.raise_again(&mut store, walls);
            call = Some(self.call_in(store, Some(used), deadline, run.clone()).await);
        }
        let call = match call {
            Some(call)
                if !matches!(call.result, Err(CallError::Memory(_) | CallError::Output(_) | CallError::Trap(_))) =>
            {
                call
            }
            _ => self.call_in(self.sandbox.store(walls), None, deadline, run).await,
        };
        drop(places);
        Call { duration: started.elapsed(), ..call }
    }

    async fn call_in<T, E>(
        &self,
        mut store: Store<Guest>,
        used: Option<Used>,
        deadline: Duration,
        run: impl AsyncFnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, E>>,
    ) -> Call<Result<T, E>> {
        let started = Instant::now();
        let called = tokio::time::timeout(deadline, async {
            let used = match used {
                Some(used) => used,
                None => {
                    let instance = self.component.instantiate_async(&mut store).await?;
                    Used { instance, calls: 0, memory_bytes: store.data().memory_bytes() }
                }
            };
            let value = run(&mut store, &used.instance).await?;
            Ok((value, Used { calls: used.calls + 1, ..used }))
        })
        .await;
        let (result, used) = match called {
            Ok(Ok((value, used))) => {
                let used = value.is_ok().then_some(used);
                (Ok(value), used)
            }
            Ok(Err(error)) => (Err(explain(&error)), None),
            Err(_) => (Err(CallError::Deadline(deadline)), None),
        };
        let (log, memory_bytes) = (store.data().take_log(), store.data().memory_bytes());
        self.keep_or_drop(store, used);
        Call { result, log, duration: started.elapsed(), memory_bytes }
    }

    fn take_idle(&self) -> Option<Idle> {
        if self.limits.events_per_instance == ONE_EVENT {
            return None;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// An instance is kept only after calls that went well, and not when it has taken its share or grown.
    fn keep_or_drop(&self, store: Store<Guest>, used: Option<Used>) {
        let may_go_on = |used: &Used| {
            let grown = store.data().memory_bytes().saturating_sub(used.memory_bytes);
            used.calls < self.limits.events_per_instance.get() && grown <= GROWTH_BYTES_MAX
        };
        if let Some(used) = used.filter(may_go_on) {
            // No more than its share are in use at once, so no more are kept.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Idle { store, used });
        }
    }

    /// What becomes of a call that is for plugins of another kind.
    fn not_a<T>(&self, wanted: Kind) -> Call<T> {
        let error = CallError::Kind { is: self.kind(), wanted };
        Call { result: Err(error), log: Vec::new(), duration: Duration::ZERO, memory_bytes: 0 }
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        match self.interface {
            Interface::Mapper(_) => Kind::Mapper,
            Interface::Playbook(_) => Kind::Playbook,
            Interface::Notifier(_) => Kind::Notifier,
        }
    }

    /// The interfaces that it imports.
    pub fn imports(&self) -> Vec<String> {
        let component_type = self.component.component().component_type();
        component_type.imports(self.sandbox.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// The largest number of incidents that one outcome may have.
    pub fn incidents_max(&self) -> usize {
        self.limits.incidents
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Plugin").field("version", &self.version).finish_non_exhaustive()
    }
}

fn compile(
    name: &str,
    sha256: &str,
    bytes: &[u8],
    sandbox: &Sandbox,
    cache: Option<&CompiledCache>,
) -> Result<Component> {
    let cached = cache.and_then(|cache| cache.get(name, sha256, sandbox));
    if let Some(component) = cached.and_then(|compiled| sandbox.restore(&compiled)) {
        return Ok(component);
    }
    let component = sandbox.compile(&to_component(bytes)?)?;
    if let Some(cache) = cache {
        cache.put(name, sha256, sandbox, &component.serialize()?);
    }
    Ok(component)
}

/// Makes a component of a core module that carries its component type; leaves a component as it is.
///
/// # Errors
/// When it is neither.
pub fn to_component(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    const CORE: [u8; 8] = *b"\0asm\x01\0\0\0";
    const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";
    if bytes.starts_with(&COMPONENT) {
        return Ok(bytes.into());
    }
    if !bytes.starts_with(&CORE) {
        bail!("it is not a WebAssembly binary; text format is not taken, build it with `hookmill plugin build`");
    }
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder
        .validate(true)
        .module(bytes)
        .context("it is a core module without a component type; build it against wit/plugin.wit")?;
    let component = encoder.encode().context("its core module does not fit the component type that it carries")?;
    Ok(component.into())
}

fn fields(values: &[NamedValue]) -> Vec<shapes::FieldParam<'_>> {
    values.iter().map(|(name, value)| shapes::FieldParam { name, value }).collect()
}

/// Tells what kind a plugin is of and for which version it was built, by the interface that it exports.
fn check_exports(sandbox: &Sandbox, component: &Component) -> Result<(Kind, String)> {
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for (name, item) in component.component_type().exports(sandbox.engine()) {
        if let (ComponentItem::ComponentInstance(_), Some((interface, version))) = (&item.ty, name.split_once('@')) {
            let word = interface.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/'));
            if let Some(kind) = word.and_then(|word| Kind::ALL.iter().find(|kind| kind.as_str() == word)) {
                if !is_compatible(version) {
                    bail!("it was built for {interface}@{version} and this host has {API_VERSION}; build it anew");
                }
                found.push((*kind, version.to_owned()));
            }
        }
        seen.push(name.to_owned());
    }
    match &found[..] {
        [found] => Ok(found.clone()),
        [(one, _), (other, _), ..] => bail!("it is a {one} and a {other}; a plugin is of one kind, make two of it"),
        [] => {
            let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") };
            let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("{PACKAGE}/{kind}@{API_VERSION}")).collect();
            bail!("it exports {seen} and none of {}; use the SDK's export macro", kinds.join(", "))
        }
    }
}

/// Versions that differ in the third number only add to each other; `wit/CHANGES.md` has the rule.
fn is_compatible(version: &str) -> bool {
    let series = |version: &str| version.rsplit_once('.').map(|(series, _)| series.to_owned());
    series(version) == series(API_VERSION)
}

fn default_memory(sandbox: &Sandbox, instance: &InstancePre<Guest>) -> usize {
    let component = instance.component();
    let component_type = component.component_type();
    let imports_wasi = component_type.imports(sandbox.engine()).any(|(name, _)| name.starts_with("wasi:"));
    let starts_large = component
        .resources_required()
        .is_none_or(|needs| needs.max_initial_memory_size.is_some_and(|bytes| bytes > SMALL_START_BYTES));
    if imports_wasi || starts_large { MEMORY_BYTES_LARGE } else { MEMORY_BYTES }
}

/// Tells from an error which wall the instance ran into.
fn explain(error: &wasmtime::Error) -> CallError {
    if let Some(exceeded) = error.downcast_ref::<MemoryExceeded>() {
        return CallError::Memory(exceeded.to_string());
    }
    let text = format!("{:#}", error);
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return CallError::Output("it passes more than output_mib to the host".into());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => CallError::Trap("its stack overflowed".into()),
        Some(trap) => CallError::Trap(trap.to_string()),
        // What stands before the cause is the guest's backtrace, over several lines.
        None => CallError::Trap(error.root_cause().to_string()),
    }
}
