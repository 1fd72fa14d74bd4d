//! The instances of one plugin: fresh ones for each call, or a few that are used again.

use crate::call::{Call, CallError};
use crate::engine::Sandbox;
use crate::guest::Guest;
use crate::limits::CallSetup;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// How long a call waits for a free slot. Slots are taken for microseconds, unless a plugin hangs.
const PERMIT_TIMEOUT: Duration = Duration::from_millis(500);
/// An instance that has grown by more is not used again.
const GROWTH_BYTES_MAX: usize = 16 * 1024 * 1024;
const ONE_EVENT: NonZeroU32 = NonZeroU32::MIN;

/// Makes the instances of one component and runs calls in them.
pub(crate) struct Instances {
    sandbox: Arc<Sandbox>,
    component: InstancePre<Guest>,
    /// The slots that this plugin may take at once.
    share: Semaphore,
    events_per_instance: NonZeroU32,
    /// Instances that may take another event.
    idle: Mutex<Vec<Idle>>,
}

/// An instance between two calls.
struct Idle {
    store: Store<Guest>,
    used: Used,
}

/// The history of an instance.
#[derive(Clone, Copy)]
struct Used {
    instance: Instance,
    calls: u32,
    /// The memory that the instance began with.
    memory_bytes: usize,
}

impl Instances {
    /// Prepares to instantiate a component.
    pub fn new(sandbox: Arc<Sandbox>, component: InstancePre<Guest>, events_per_instance: NonZeroU32) -> Self {
        let share = sandbox.share_of_slots();
        Self { sandbox, component, share, events_per_instance, idle: Mutex::default() }
    }

    /// Returns the names of the interfaces that the component imports.
    pub fn imports(&self) -> Vec<String> {
        let component_type = self.component.component().component_type();
        component_type.imports(self.sandbox.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Runs one call in a fresh instance that is dropped afterwards, whatever the limits allow.
    pub async fn call_once<T, E>(
        &self,
        setup: CallSetup,
        deadline: Duration,
        run: impl AsyncFnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, E>> + Clone,
    ) -> Call<Result<T, E>> {
        let call = self.call(setup, deadline, run).await;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        call
    }

    /// Runs one call in a fresh instance that is dropped afterwards, or, where the limits allow it, in an instance that
    /// took calls before. A call that such an instance fails on is repeated in a fresh one, because state left by the
    /// earlier calls may be the reason.
    pub async fn call<T, E>(
        &self,
        setup: CallSetup,
        deadline: Duration,
        run: impl AsyncFnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, E>> + Clone,
    ) -> Call<Result<T, E>> {
        let started = Instant::now();
        let permits = async { (self.share.acquire().await, self.sandbox.slots().acquire().await) };
        let Ok(permits) = tokio::time::timeout(PERMIT_TIMEOUT, permits).await else {
            return Call::refused(CallError::Busy, started.elapsed());
        };
        let started = Instant::now();
        let mut call = None;
        if let Some(Idle { mut store, used }) = self.take_idle() {
            self.sandbox.prepare(&mut store, setup);
            call = Some(self.call_in(store, Some(used), deadline, run.clone()).await);
        }
        let call = match call {
            Some(call)
                if !matches!(call.result, Err(CallError::Memory(_) | CallError::Output(_) | CallError::Trap(_))) =>
            {
                call
            }
            _ => self.call_in(self.sandbox.store(setup), None, deadline, run).await,
        };
        drop(permits);
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
            Ok(Err(error)) => (Err(CallError::of(&error)), None),
            Err(_) => (Err(CallError::Deadline(deadline)), None),
        };
        let (log, memory_bytes) = (store.data().take_log(), store.data().memory_bytes());
        self.keep_or_drop(store, used);
        Call { result, log, duration: started.elapsed(), memory_bytes }
    }

    fn take_idle(&self) -> Option<Idle> {
        if self.events_per_instance == ONE_EVENT {
            return None;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps an instance only if its call went well and it may take another one without having grown too much.
    fn keep_or_drop(&self, store: Store<Guest>, used: Option<Used>) {
        let may_go_on = |used: &Used| {
            let grown = store.data().memory_bytes().saturating_sub(used.memory_bytes);
            used.calls < self.events_per_instance.get() && grown <= GROWTH_BYTES_MAX
        };
        if let Some(used) = used.filter(may_go_on) {
            // No more than the plugin's share are in use at once, so no more are kept.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Idle { store, used });
        }
    }
}
