//! The engine that compiles and runs plugins.
//!
//! Instances get their memory from a pool whose pages stay mapped from one event to the next, because a change of the
//! page table interrupts all cores. A call is a task: it yields at every tick of the epoch, so that a plugin that loops
//! or sleeps delays no other task, and it ends at its deadline.

use crate::bindings::log;
use crate::compiler::{Compiler, CompilerProgram};
use crate::engine_config::{Allocation, engine_config, portable_config};
use crate::guest::Guest;
use crate::limits::CallSetup;
use crate::ticker::{RunningCall, TICK, Ticker};
use anyhow::Result;
use hookmill_incident::Clock;
use std::fmt;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store, UpdateDeadline};

/// The number of ticks after which a plugin also sleeps for a tick each time. A thread that is never idle seldom polls
/// the network.
const TICKS_BEFORE_SLEEP: u32 = 10;

/// The engine with its pool of instances and its compiler.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<Guest>,
    compiler: Compiler,
    /// The clock that plugins see while they are loaded.
    clock: Clock,
    /// The threads that may compile at once: as many as there are cores.
    compilations: Semaphore,
    threads: usize,
    instances: u32,
    slots: Semaphore,
    ticker: Ticker,
}

impl Sandbox {
    /// Returns an engine that can run `instances` calls at the same time and keep the instances of `reusing` plugins
    /// between calls. It has a pool if the machine has enough address space.
    ///
    /// # Errors
    /// Returns an error if the machine cannot run WebAssembly.
    pub fn new(instances: u32, reusing: u32) -> Result<Self> {
        Self::with_allocation(Allocation::Pooled, instances, reusing).or_else(|error| {
            tracing::warn!(
                "cannot create a pool for plugin instances; each instance maps its own memory, which is slower: {error:#}"
            );
            Self::with_allocation(Allocation::OnDemand, instances, reusing)
        })
    }

    /// Returns an engine whose instances get their memory in this way.
    ///
    /// # Errors
    /// Returns an error if the machine does not support that.
    pub fn with_allocation(allocation: Allocation, instances: u32, reusing: u32) -> Result<Self> {
        // The limit of concurrent instances of each plugin, doubled because two versions of a plugin can be live while
        // one replaces the other.
        let idle = reusing.saturating_mul(2 * u32::try_from(share(instances))?);
        let engine = Engine::new(&engine_config(allocation, instances.saturating_add(idle)))?;
        let ticker = Ticker::start(engine.clone())?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        let slots = Semaphore::new(instances as usize);
        let threads = cores().max(1);
        let compilations = Semaphore::new(threads);
        let (compiler, clock) = (Compiler::in_this_process()?, Clock::default());
        Ok(Self { engine, linker, compiler, clock, compilations, threads, instances, slots, ticker })
    }

    /// Compiles plugin files with a program instead of threads of this process.
    #[must_use]
    pub fn with_compiler(self, program: CompilerProgram) -> Self {
        Self { compiler: Compiler::Program(program), ..self }
    }

    /// Shows plugins another clock than that of the system while they are loaded.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn linker(&self) -> &Linker<Guest> {
        &self.linker
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles a plugin file. Blocks, for up to minutes.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.compiler.compile(&self.engine, bytes)
    }

    /// Waits until a file of this size may be compiled, which is as long as the permit is kept.
    pub(crate) async fn turn_to_compile(&self, bytes: usize) -> Result<SemaphorePermit<'_>> {
        let threads = self.compiler.threads(bytes).min(self.threads);
        Ok(self.compilations.acquire_many(threads.try_into()?).await?)
    }

    /// Returns the component of a result of [`Sandbox::compile`]. Fails if another engine made the result.
    #[allow(unsafe_code, reason = "the bytes are native code")]
    pub(crate) fn restore(&self, compiled: &[u8]) -> Result<Component> {
        // SAFETY: the compiler made these bytes.
        Ok(unsafe { Component::deserialize(&self.engine, compiled) }?)
    }

    /// Returns the component of a file that [`CompiledCode`](crate::CompiledCode) returned. The code is mapped into memory
    /// and read when it is needed.
    #[allow(unsafe_code, reason = "the file has native code")]
    pub(crate) fn restore_file(&self, compiled: &File) -> Result<Component> {
        // The engine opens a file by its path; this path names the file that was checked, whatever its name has become.
        let path = format!("/proc/self/fd/{}", compiled.as_raw_fd());
        // SAFETY: the compiler made these bytes, and `CompiledCode` keeps them unchanged.
        Ok(unsafe { Component::deserialize_file(&self.engine, path) }?)
    }

    /// Returns the slots for instances of all plugins.
    pub(crate) fn slots(&self) -> &Semaphore {
        &self.slots
    }

    /// Lets the calls that run until the result is dropped yield to other tasks.
    pub(crate) fn run(&self) -> RunningCall<'_> {
        self.ticker.run()
    }

    /// Returns the slots that one plugin may take: one for each core or an eighth of all, but at most half, so that a
    /// plugin whose calls hang leaves slots to others.
    pub(crate) fn share_of_slots(&self) -> Semaphore {
        Semaphore::new(share(self.instances))
    }

    /// Prepares the store of an instance for another call.
    pub(crate) fn prepare(&self, store: &mut Store<Guest>, setup: CallSetup) {
        store.set_hostcall_fuel(setup.output_bytes);
        store.set_epoch_deadline(1);
        store.data_mut().begin(setup);
    }

    /// Returns a store for the first call of an instance.
    pub(crate) fn store(&self, setup: CallSetup) -> Store<Guest> {
        let output_bytes = setup.output_bytes;
        let mut store = Store::new(&self.engine, Guest::new(setup));
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(output_bytes);
        store.epoch_deadline_callback(move |mut context| {
            let guest = context.data_mut();
            guest.ticks += 1;
            let pause: Pin<Box<dyn Future<Output = ()> + Send>> = if guest.ticks < TICKS_BEFORE_SLEEP {
                Box::pin(tokio::task::yield_now())
            } else {
                Box::pin(tokio::time::sleep(TICK))
            };
            Ok(UpdateDeadline::YieldCustom(1, pause))
        });
        store.set_epoch_deadline(1);
        store
    }

    /// Returns a hash of the engine's version and settings, on which compiled code depends.
    pub(crate) fn compatibility(&self) -> u64 {
        compatibility(&self.engine)
    }
}

/// Returns a hash of the version and settings of the compiler for [`Machines::Others`](crate::Machines::Others).
///
/// # Errors
/// Returns an error if the compiler does not know the architecture of this machine.
pub fn portable_compatibility() -> Result<u64> {
    Ok(compatibility(&Engine::new(&portable_config()?)?))
}

fn compatibility(engine: &Engine) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the number of slots that one plugin may take.
fn share(instances: u32) -> usize {
    cores().max(instances as usize / 8).min(instances.div_ceil(2) as usize)
}

#[cfg(test)]
mod tests {
    use super::Sandbox;
    use crate::engine_config::Allocation;

    #[test]
    fn compiled_code_does_not_depend_on_the_allocation() {
        let compatibility = |allocation| Sandbox::with_allocation(allocation, 1, 0).unwrap().compatibility();
        assert_eq!(compatibility(Allocation::Pooled), compatibility(Allocation::OnDemand));
    }
}
