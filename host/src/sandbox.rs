//! The engine that runs plugins, and the walls around them.
//!
//! Every instance gets its memory from a pool whose pages stay in place from one event to the next, because a page
//! table that changes is paid for on all cores. It runs as a task: at every tick of the epoch it gives way, so that a
//! plugin that loops or sleeps holds up nobody, and ends when its deadline has passed.

use crate::id::unix_ms;
use anyhow::Result;
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sha2::{Digest, Sha256};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter, Store,
    UpdateDeadline,
};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// How often a running plugin gives way to others.
const TICK: Duration = Duration::from_millis(2);
/// After so many ticks it also rests for a tick each time: a thread that is never idle seldom looks at the network.
const PATIENCE_TICKS: u32 = 10;
/// What stays resident of a pool slot's memory and tables. More is given back to the system after the event.
const KEEP_RESIDENT_BYTES: usize = 1024 * 1024;
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 * 1024;
/// The most that any plugin's memory can be set to. Only address space is reserved.
pub const MEMORY_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Python components have about ten core instances, with a memory and a few tables.
const CORE_INSTANCES_PER_COMPONENT: u32 = 40;
const TABLE_ELEMENTS_MAX: usize = 100_000;
const CORE_INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Stack of the guest, and of the task it runs on, which holds the host functions' frames too.
const WASM_STACK_BYTES: usize = 512 * 1024;
const TASK_STACK_BYTES: usize = 1024 * 1024;
const COMPILER_NICENESS: i32 = 10;
const RANDOM_BYTES_PER_CALL: u64 = 1024 * 1024;
const RESOURCES_MAX: usize = 10_000;
const LOG_LINES_MAX: usize = 100;
const LOG_BYTES_MAX: usize = 16 * 1024;
const STREAM_WRITE_BYTES_MAX: usize = 4096;

/// Where an instance's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// From slots that are made once and kept.
    Pooled,
    /// From the system, for each instance anew.
    OnDemand,
}

/// Where plugins are compiled and run.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<Guest>,
    compiler: ThreadPool,
    instances: u32,
    slots: Semaphore,
}

impl Sandbox {
    /// An engine that can run `instances` plugins at once, and keep those of `reusing` plugins between calls; with a pool
    /// where the machine has the address space.
    ///
    /// # Errors
    /// When the machine cannot run WebAssembly.
    pub fn new(instances: u32, reusing: u32) -> Result<Self> {
        Self::with_allocation(Allocation::Pooled, instances, reusing).or_else(|error| {
            tracing::warn!("no pool for plugin instances, each will map its own memory (slower): {error:#}");
            Self::with_allocation(Allocation::OnDemand, instances, reusing)
        })
    }

    /// An engine whose instances get their memory in this way.
    ///
    /// # Errors
    /// When the machine cannot do so.
    pub fn with_allocation(allocation: Allocation, instances: u32, reusing: u32) -> Result<Self> {
        // Of each as many as it may run at once, also while one version takes the place of another.
        let idle = reusing.saturating_mul(2 * u32::try_from(share(instances))?);
        let engine = Engine::new(&engine_config(allocation, instances.saturating_add(idle)))?;
        let ticker = engine.weak();
        std::thread::Builder::new().name("epoch".into()).spawn(move || {
            while let Some(engine) = ticker.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        crate::plugin::add_to_linker(&mut linker)?;
        Ok(Self { engine, linker, compiler: compiler()?, instances, slots: Semaphore::new(instances as usize) })
    }

    pub(crate) fn linker(&self) -> &Linker<Guest> {
        &self.linker
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles a component. Takes up to seconds: not for a task that others wait for.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Component> {
        Ok(self.compiler.install(|| Component::from_binary(&self.engine, bytes))?)
    }

    /// Takes back what [`Component::serialize`] gave; `None` when it is of another engine.
    #[allow(unsafe_code, reason = "the cache checks the digest of these bytes against the database, which wrote it")]
    pub(crate) fn restore(&self, compiled: &[u8]) -> Option<Component> {
        // SAFETY: these are bytes that this program serialized, unchanged since.
        unsafe { Component::deserialize(&self.engine, compiled) }.ok()
    }

    /// Places for instances in all.
    pub(crate) fn slots(&self) -> &Semaphore {
        &self.slots
    }

    /// Places that one plugin may take: as many as can run at once and an eighth of all, but never more than half, so
    /// that several plugins whose calls do not end leave some to others.
    pub(crate) fn share_of_slots(&self) -> Semaphore {
        Semaphore::new(share(self.instances))
    }

    /// Raises the walls around an instance that had other ones in its last call.
    pub(crate) fn raise_again(&self, store: &mut Store<Guest>, walls: Walls) {
        store.set_hostcall_fuel(walls.output_bytes);
        store.set_epoch_deadline(1);
        store.data_mut().begin(walls);
    }

    /// A store for one instance, with its walls up.
    pub(crate) fn store(&self, walls: Walls) -> Store<Guest> {
        let output_bytes = walls.output_bytes;
        let mut store = Store::new(&self.engine, Guest::new(walls));
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(output_bytes);
        store.epoch_deadline_callback(move |mut context| {
            let guest = context.data_mut();
            guest.ticks += 1;
            let others: Pin<Box<dyn Future<Output = ()> + Send>> = if guest.ticks < PATIENCE_TICKS {
                Box::pin(tokio::task::yield_now())
            } else {
                Box::pin(tokio::time::sleep(TICK))
            };
            Ok(UpdateDeadline::YieldCustom(1, others))
        });
        store.set_epoch_deadline(1);
        store
    }

    /// What a compiled component is bound to: this build of the engine with these settings.
    pub(crate) fn compatibility(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

fn share(instances: u32) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.max(instances as usize / 8).min(instances.div_ceil(2) as usize)
}

/// Threads that compile: on half of the cores and with less claim to them than those that serve.
fn compiler() -> Result<ThreadPool> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = ThreadPoolBuilder::new()
        .num_threads(cores.div_ceil(2))
        .thread_name(|index| format!("compile-{index}"))
        .start_handler(|_| {
            // On Linux this is the thread's own; where it is refused, compiling is merely less polite.
            let _ = rustix::process::nice(COMPILER_NICENESS);
        })
        .build()?;
    Ok(pool)
}

fn engine_config(allocation: Allocation, instances: u32) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.concurrency_support(false);
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.async_stack_size(TASK_STACK_BYTES);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
    if allocation == Allocation::Pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
            .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
            .total_memories(instances.saturating_mul(2))
            .max_memories_per_component(2)
            .total_tables(instances.saturating_mul(8))
            .max_tables_per_component(8)
            .total_stacks(instances)
            .max_memory_size(MEMORY_BYTES_MAX)
            .table_elements(TABLE_ELEMENTS_MAX)
            .max_core_instance_size(CORE_INSTANCE_BYTES_MAX)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
            .pagemap_scan(Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// What one instance may see and use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walls {
    /// The clock that it sees, in milliseconds since the Unix epoch.
    pub clock_ms: i64,
    /// The seed of its random numbers.
    pub seed: Uuid,
    /// Linear memory, all memories together.
    pub memory_bytes: usize,
    /// What one call across the boundary may carry to the host.
    pub output_bytes: usize,
}

impl Walls {
    /// For an instance that is not given an event.
    pub fn without_event(memory_bytes: usize, output_bytes: usize) -> Self {
        Self { clock_ms: unix_ms(), seed: Uuid::nil(), memory_bytes, output_bytes }
    }
}

/// A limit that an instance ran into, as the error that ends its call.
#[derive(Debug)]
pub(crate) struct MemoryExceeded {
    limit_bytes: usize,
}

impl fmt::Display for MemoryExceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "it needs more than {} MiB of memory", self.limit_bytes / (1024 * 1024))
    }
}

impl std::error::Error for MemoryExceeded {}

/// The host's side of one instance.
pub(crate) struct Guest {
    walls: Walls,
    memory_bytes: usize,
    /// How often its call has given way.
    ticks: u32,
    log: Arc<Mutex<Log>>,
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl Guest {
    fn new(walls: Walls) -> Self {
        Self { walls, memory_bytes: 0, ticks: 0, log: Arc::default(), wasi: None }
    }

    /// Another call: what it sees of time and chance is its own.
    fn begin(&mut self, walls: Walls) {
        self.walls = walls;
        self.ticks = 0;
        if let Some(wasi) = &mut self.wasi {
            wasi.0 = empty_wasi(walls, &self.log);
        }
    }

    /// The most linear memory that it had.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Writes a line to the plugin's log.
    pub fn write_log(&self, level: tracing::Level, message: &str) {
        lock(&self.log).push(level, message);
    }

    /// The plugin's log so far.
    pub fn take_log(&self) -> Vec<LogLine> {
        std::mem::take(&mut *lock(&self.log)).finish()
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes - current.min(self.memory_bytes) + desired;
        if total > self.walls.memory_bytes {
            return Err(MemoryExceeded { limit_bytes: self.walls.memory_bytes }.into());
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            return Err(MemoryExceeded { limit_bytes: self.walls.memory_bytes }.into());
        }
        Ok(true)
    }
}

/// WASI for components that ask for it: no files, no network, no environment; the event's time and seeded randomness.
impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (walls, log) = (self.walls, &self.log);
        let wasi = self.wasi.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(RESOURCES_MAX);
            Box::new((empty_wasi(walls, log), table))
        });
        WasiCtxView { ctx: &mut wasi.0, table: &mut wasi.1 }
    }
}

fn empty_wasi(walls: Walls, log: &Arc<Mutex<Log>>) -> WasiCtx {
    // Ids of the same moment are alike; what comes of them is not.
    let seed: [u8; 32] = Sha256::digest(walls.seed).into();
    let random = || Xoshiro256PlusPlus::from_seed(seed);
    let mut builder = WasiCtxBuilder::new();
    builder
        .wall_clock(FrozenClock(walls.clock_ms))
        .monotonic_clock(FrozenClock(walls.clock_ms))
        .secure_random(random())
        .insecure_random(random())
        .insecure_random_seed(walls.seed.as_u128())
        .max_random_size(RANDOM_BYTES_PER_CALL)
        .stdout(LogStream(log.clone(), tracing::Level::INFO))
        .stderr(LogStream(log.clone(), tracing::Level::WARN));
    builder.build()
}

/// A clock that stands: the same event gives the same result whenever it is mapped.
struct FrozenClock(i64);

impl HostWallClock for FrozenClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }
}

impl HostMonotonicClock for FrozenClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// One line of a plugin's log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// What it says.
    pub message: String,
}

/// Puts what a plugin said into the host's own log.
pub fn log_said(request_id: impl std::fmt::Display, plugin: &str, lines: &[LogLine]) {
    for line in lines {
        tracing::info!(%request_id, plugin, plugin_level = line.level, said = line.message);
    }
}

/// A plugin's log within its bounds.
#[derive(Default)]
struct Log {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: usize,
    /// Per level what was written to a stream and is not a whole line yet.
    unfinished: [(Option<tracing::Level>, Vec<u8>); 2],
}

impl Log {
    fn push(&mut self, level: tracing::Level, message: &str) {
        if self.lines.len() >= LOG_LINES_MAX || self.bytes + message.len() > LOG_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        self.bytes += message.len();
        let level = match level {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            _ => "debug",
        };
        self.lines.push(LogLine { level, message: message.to_owned() });
    }

    fn stream(&mut self, level: tracing::Level, bytes: &[u8]) {
        let slot = usize::from(level == tracing::Level::WARN);
        self.unfinished[slot].0 = Some(level);
        for &byte in bytes {
            if byte == b'\n' {
                self.finish_line(slot);
            } else if self.unfinished[slot].1.len() < LOG_BYTES_MAX {
                self.unfinished[slot].1.push(byte);
            }
        }
    }

    fn finish_line(&mut self, slot: usize) {
        let (level, bytes) = &mut self.unfinished[slot];
        if let Some(level) = *level {
            let line = std::mem::take(bytes);
            self.push(level, &String::from_utf8_lossy(&line));
        }
    }

    fn finish(mut self) -> Vec<LogLine> {
        for slot in 0..self.unfinished.len() {
            if !self.unfinished[slot].1.is_empty() {
                self.finish_line(slot);
            }
        }
        if self.dropped > 0 {
            let message = format!("{} further lines were dropped", self.dropped);
            self.lines.push(LogLine { level: "warn", message });
        }
        self.lines
    }
}

fn lock(log: &Mutex<Log>) -> std::sync::MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A plugin's standard output or error.
#[derive(Clone)]
struct LogStream(Arc<Mutex<Log>>, tracing::Level);

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > STREAM_WRITE_BYTES_MAX {
            return Err(StreamError::trap("a write is larger than the stream permits"));
        }
        lock(&self.0).stream(self.1, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_WRITE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}
