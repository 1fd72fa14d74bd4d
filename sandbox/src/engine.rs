//! The engine that runs plugins, and the setup around them.
//!
//! Every instance gets its memory from a pool whose pages stay in place from one event to the next, because a page
//! table that changes is paid for on all cores. It runs as a task: at every tick of the epoch it gives way, so that a
//! plugin that loops or sleeps holds up nobody, and ends when its deadline has passed.

use crate::bindings::log;
use crate::guest::{Guest, TABLE_ELEMENTS_MAX};
use crate::limits::CallSetup;
use anyhow::Result;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::Semaphore;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, UpdateDeadline};

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
const CORE_INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Stack of the guest, and of the task it runs on, which holds the host functions' frames too.
const WASM_STACK_BYTES: usize = 512 * 1024;
const TASK_STACK_BYTES: usize = 1024 * 1024;
const COMPILER_NICENESS: i32 = 10;

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
        log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
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

    /// Raises the setup around an instance that had other ones in its last call.
    pub(crate) fn prepare(&self, store: &mut Store<Guest>, setup: CallSetup) {
        store.set_hostcall_fuel(setup.output_bytes);
        store.set_epoch_deadline(1);
        store.data_mut().begin(setup);
    }

    /// A store for one instance, with its setup up.
    pub(crate) fn store(&self, setup: CallSetup) -> Store<Guest> {
        let output_bytes = setup.output_bytes;
        let mut store = Store::new(&self.engine, Guest::new(setup));
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
