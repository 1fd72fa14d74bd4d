//! The host's side of one instance: its memory limit, its log, and an empty WASI.

use crate::bindings::log;
use crate::limits::CallSetup;
use crate::log::{LogLine, LogStream, PluginLog, lock};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// The greatest number of elements of one table.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 100_000;
const RANDOM_BYTES_PER_CALL: u64 = 1024 * 1024;
const RESOURCES_MAX: usize = 10_000;

/// The limit of memory or tables that an instance ran into, as the error that ends its call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemoryExceeded {
    #[error("the call needs more than {} MiB of memory", limit_bytes / (1024 * 1024))]
    Memory { limit_bytes: usize },
    #[error("the call needs a table of more than {TABLE_ELEMENTS_MAX} elements")]
    Table,
}

/// The host's side of one instance.
pub(crate) struct Guest {
    setup: CallSetup,
    memory_bytes: usize,
    /// The number of times that the call has yielded to other tasks.
    pub ticks: u32,
    log: Arc<Mutex<PluginLog>>,
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl Guest {
    /// Returns the host's side of a new instance.
    pub fn new(setup: CallSetup) -> Self {
        Self { setup, memory_bytes: 0, ticks: 0, log: Arc::default(), wasi: None }
    }

    /// Prepares for another call, with its own time and random numbers.
    pub fn begin(&mut self, setup: CallSetup) {
        self.setup = setup;
        self.ticks = 0;
        if let Some(wasi) = &mut self.wasi {
            wasi.0 = empty_wasi(setup, &self.log);
        }
    }

    /// Returns the most linear memory that the instance had.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Takes the lines that the plugin logged so far.
    pub fn take_log(&self) -> Vec<LogLine> {
        std::mem::take(&mut *lock(&self.log)).finish()
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes - current.min(self.memory_bytes) + desired;
        if total > self.setup.memory_bytes {
            return Err(MemoryExceeded::Memory { limit_bytes: self.setup.memory_bytes }.into());
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            return Err(MemoryExceeded::Table.into());
        }
        Ok(true)
    }
}

/// WASI for components that import it: no files, no network, no environment; the event's time and seeded random
/// numbers.
impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (setup, log) = (self.setup, &self.log);
        let wasi = self.wasi.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(RESOURCES_MAX);
            Box::new((empty_wasi(setup, log), table))
        });
        WasiCtxView { ctx: &mut wasi.0, table: &mut wasi.1 }
    }
}

fn empty_wasi(setup: CallSetup, log: &Arc<Mutex<PluginLog>>) -> WasiCtx {
    // Ids of the same moment differ in a few bits; their hashes differ in many.
    let seed: [u8; 32] = Sha256::digest(setup.seed).into();
    let random = || Xoshiro256PlusPlus::from_seed(seed);
    let mut builder = WasiCtxBuilder::new();
    builder
        .wall_clock(FrozenClock(setup.clock_ms))
        .monotonic_clock(FrozenClock(setup.clock_ms))
        .secure_random(random())
        .insecure_random(random())
        .insecure_random_seed(setup.seed.as_u128())
        .max_random_size(RANDOM_BYTES_PER_CALL)
        .stdout(LogStream(log.clone(), tracing::Level::INFO))
        .stderr(LogStream(log.clone(), tracing::Level::WARN));
    builder.build()
}

/// The time since a start that plugins see. Go's runtime does not start at 0.
const MONOTONIC_NS: u64 = 1;

/// A clock that does not move, so that the same event gives the same result whenever it is mapped.
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
        MONOTONIC_NS
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        lock(&self.log).push(level, &message);
    }
}
