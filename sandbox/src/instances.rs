//! The instances of one plugin: a fresh one for each call, or a few that are reused.

use crate::call::{Call, CallError};
use crate::engine::Sandbox;
use crate::guest::Guest;
use crate::limits::CallSetup;
use crate::ticker::RunningCall;
use rustix::mm::{Advice, madvise};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre};

/// The time that a call waits for a free slot. Calls take microseconds, unless a plugin hangs.
const PERMIT_TIMEOUT: Duration = Duration::from_millis(500);
/// An instance whose memory has grown by more is not reused.
const GROWTH_BYTES_MAX: usize = 16 * 1024 * 1024;
const ONE_EVENT: NonZeroU32 = NonZeroU32::MIN;

/// The instances of one component.
pub(crate) struct Instances {
    sandbox: Arc<Sandbox>,
    component: InstancePre<Guest>,
    /// The slots that this plugin may use at the same time.
    share: Semaphore,
    events_per_instance: NonZeroU32,
    /// The instances that may take another event.
    idle: Mutex<Vec<Idle>>,
    /// Whether there was a call since the last check for idle plugins.
    was_called: AtomicBool,
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
    /// The initial memory of the instance.
    memory_bytes: usize,
}

impl Instances {
    /// Prepares to instantiate a component.
    pub fn new(sandbox: Arc<Sandbox>, component: InstancePre<Guest>, events_per_instance: NonZeroU32) -> Self {
        let share = sandbox.share_of_slots();
        Self {
            sandbox,
            component,
            share,
            events_per_instance,
            idle: Mutex::default(),
            was_called: AtomicBool::new(true),
        }
    }

    /// Returns the names of the interfaces that the component imports.
    pub fn imports(&self) -> Vec<String> {
        let component_type = self.component.component().component_type();
        component_type.imports(self.sandbox.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Runs one call in a fresh instance that is dropped afterwards, even if the limits allow reuse. Does not affect
    /// instances of other calls.
    pub async fn call_once<T, E>(
        &self,
        setup: CallSetup,
        deadline: Duration,
        run: impl AsyncFnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, E>>,
    ) -> Call<Result<Result<T, E>, CallError>> {
        let Some(permits) = self.permits().await else { return Call::refused(CallError::Busy, PERMIT_TIMEOUT) };
        let (call, instance) = self.call_in(Instant::now(), self.sandbox.store(setup), None, deadline, run).await;
        drop(instance);
        drop(permits);
        call
    }

    /// Runs one call in a fresh instance that is dropped afterwards, or, if the limits allow reuse, in an instance that
    /// took calls before. A call that such an instance fails on is repeated in a fresh one, because state left by the
    /// earlier calls may be the reason.
    pub async fn call<T, E>(
        &self,
        setup: CallSetup,
        deadline: Duration,
        run: impl AsyncFnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, E>> + Clone,
    ) -> Call<Result<Result<T, E>, CallError>> {
        let Some(permits) = self.permits().await else { return Call::refused(CallError::Busy, PERMIT_TIMEOUT) };
        let started = Instant::now();
        let mut reused = None;
        if let Some(Idle { mut store, used }) = self.take_idle() {
            self.sandbox.prepare(&mut store, setup);
            reused = Some(self.call_in(started, store, Some(used), deadline, run.clone()).await);
        }
        let (call, instance) = match reused.filter(|(call, _)| !may_be_due_to_state(&call.result)) {
            Some(ended) => ended,
            None => self.call_in(started, self.sandbox.store(setup), None, deadline, run).await,
        };
        if let Some(instance) = instance {
            self.keep_or_drop(instance);
        }
        drop(permits);
        call
    }

    /// Waits for a slot of this plugin and one of the engine; `None` if that takes too long. The call ends when the result
    /// is dropped.
    async fn permits(&self) -> Option<([SemaphorePermit<'_>; 2], RunningCall<'_>)> {
        let slots = self.sandbox.slots();
        let permits = match (self.share.try_acquire(), slots.try_acquire()) {
            (Ok(own), Ok(slot)) => [own, slot],
            (own, slot) => {
                drop((own, slot));
                let permits = async { Some([self.share.acquire().await.ok()?, slots.acquire().await.ok()?]) };
                tokio::time::timeout(PERMIT_TIMEOUT, permits).await.ok()??
            }
        };
        if !self.was_called.load(Ordering::Relaxed) {
            self.was_called.store(true, Ordering::Relaxed);
        }
        Some((permits, self.sandbox.run()))
    }

    /// Gives memory back if there was no call since the last check: the instances that are kept for reuse, and the pages of
    /// the compiled code.
    pub fn rest_if_idle(&self) {
        if self.was_called.swap(false, Ordering::Relaxed) {
            return;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        page_out(self.component.component());
    }

    /// Runs one call, which began at a time, in an instance; without `used`, the instance is made first. Also returns the
    /// instance if its call went well.
    async fn call_in<T, E>(
        &self,
        started: Instant,
        mut store: Store<Guest>,
        used: Option<Used>,
        deadline: Duration,
        run: impl AsyncFnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, E>>,
    ) -> (Call<Result<Result<T, E>, CallError>>, Option<Idle>) {
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
        let result = result.map_err(|error| error.with_log(&log));
        let call = Call { result, log, duration: started.elapsed(), memory_bytes };
        (call, used.map(|used| Idle { store, used }))
    }

    fn take_idle(&self) -> Option<Idle> {
        if self.events_per_instance == ONE_EVENT {
            return None;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps an instance if it may take another call and its memory has not grown too much.
    fn keep_or_drop(&self, instance: Idle) {
        let Idle { store, used } = &instance;
        let grown_bytes = store.data().memory_bytes().saturating_sub(used.memory_bytes);
        if used.calls < self.events_per_instance.get() && grown_bytes <= GROWTH_BYTES_MAX {
            // At most the plugin's share of instances is in use at the same time, so at most that many are kept.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
        }
    }
}

/// Gives the pages of compiled code back to the system, which reads them from their file again when they are needed. Code
/// that is not from a file stays in memory.
#[allow(unsafe_code, reason = "the function needs a raw address")]
fn page_out(component: &Component) {
    let code = component.image_range();
    let bytes = code.end.addr() - code.start.addr();
    // SAFETY: the range is mapped while `component` exists, and the advice changes no byte of it.
    let result = unsafe { madvise(code.start.cast_mut().cast(), bytes, Advice::LinuxPageOut) };
    if let Err(error) = result {
        tracing::debug!("the pages of an idle plugin stay in memory: {error}");
    }
}

/// Returns whether state of earlier calls can be the reason of a failure.
fn may_be_due_to_state<T>(result: &Result<T, CallError>) -> bool {
    matches!(result, Err(CallError::Memory(_) | CallError::Output(_) | CallError::Trap(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use uuid::Uuid;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const DEADLINE: Duration = Duration::from_secs(10);

    fn instances(events_per_instance: u32) -> Instances {
        let sandbox = Arc::new(Sandbox::new(2, 1).unwrap());
        let mut code = tempfile::tempfile().unwrap();
        code.write_all(&sandbox.compile(EMPTY_COMPONENT).unwrap()).unwrap();
        let component = sandbox.restore_file(&code).unwrap();
        let component = sandbox.linker().instantiate_pre(&component).unwrap();
        Instances::new(sandbox, component, NonZeroU32::new(events_per_instance).unwrap())
    }

    fn setup() -> CallSetup {
        CallSetup { clock_ms: 0, seed: Uuid::nil(), memory_bytes: 0, output_bytes: 0 }
    }

    async fn call(instances: &Instances, result: Result<(), ()>) {
        let run = async |_: &mut Store<Guest>, _: &Instance| Ok(result);
        assert_eq!(instances.call(setup(), DEADLINE, run).await.result.unwrap(), result);
    }

    async fn call_once(instances: &Instances) {
        let run = async |_: &mut Store<Guest>, _: &Instance| Ok(Ok::<(), ()>(()));
        instances.call_once(setup(), DEADLINE, run).await.result.unwrap().unwrap();
    }

    fn idle(instances: &Instances) -> Vec<u32> {
        instances.idle.lock().unwrap().iter().map(|idle| idle.used.calls).collect()
    }

    #[tokio::test]
    async fn instances_are_dropped_after_one_call_by_default() {
        let instances = instances(1);
        call(&instances, Ok(())).await;
        assert!(idle(&instances).is_empty());
    }

    #[tokio::test]
    async fn an_instance_is_reused_until_its_last_call_or_an_error() {
        let instances = instances(3);
        for expected in [vec![1], vec![2], vec![], vec![1]] {
            call(&instances, Ok(())).await;
            assert_eq!(idle(&instances), expected);
        }
        call(&instances, Err(())).await;
        assert!(idle(&instances).is_empty());
    }

    #[tokio::test]
    async fn an_idle_plugin_gives_its_memory_back_and_can_be_called_again() {
        let instances = instances(3);
        for _ in 0..2 {
            call(&instances, Ok(())).await;
            instances.rest_if_idle();
            assert_eq!(idle(&instances), [1], "there was a call since the last check");
            instances.rest_if_idle();
            assert!(idle(&instances).is_empty());
        }
    }

    #[tokio::test]
    async fn a_single_call_leaves_the_instances_of_other_calls_alone() {
        let instances = instances(3);
        call_once(&instances).await;
        assert!(idle(&instances).is_empty());
        call(&instances, Ok(())).await;
        call_once(&instances).await;
        assert_eq!(idle(&instances), [1]);
    }
}
