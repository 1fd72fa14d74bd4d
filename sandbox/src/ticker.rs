//! Increments the epoch of an engine while calls run, so that running plugins yield.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, Thread, park, sleep};
use std::time::Duration;
use wasmtime::Engine;

/// The time between two increments.
pub(crate) const TICK: Duration = Duration::from_millis(2);
/// The number of ticks without a call after which the thread rests: under load it is seldom woken.
const IDLE_TICKS_MAX: u32 = 50;

/// A thread that increments the epoch and rests while no call runs.
pub(crate) struct Ticker {
    state: Arc<State>,
    thread: Thread,
}

#[derive(Default)]
struct State {
    running: AtomicUsize,
    is_resting: AtomicBool,
    has_ended: AtomicBool,
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// Returns an error if the system has no thread left.
    pub fn start(engine: Engine) -> Result<Self> {
        let state = Arc::new(State::default());
        let own = state.clone();
        let thread = Builder::new().name("epoch".into()).spawn(move || own.tick(&engine));
        let thread = thread.context("cannot start the thread that interrupts plugins")?.thread().clone();
        Ok(Self { state, thread })
    }

    /// Increments the epoch until the result is dropped.
    pub fn run(&self) -> RunningCall<'_> {
        // Each side writes its own flag and then reads that of the other side, in one order for all threads: either this
        // call sees that the thread rests, or the thread sees this call.
        self.state.running.fetch_add(1, Ordering::SeqCst);
        if self.state.is_resting.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        RunningCall(&self.state)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl State {
    fn tick(&self, engine: &Engine) {
        let mut idle_ticks = 0;
        while !self.has_ended.load(Ordering::SeqCst) {
            if self.running.load(Ordering::SeqCst) > 0 {
                idle_ticks = 0;
            } else if idle_ticks < IDLE_TICKS_MAX {
                idle_ticks += 1;
            } else {
                self.rest();
                idle_ticks = 0;
            }
            sleep(TICK);
            engine.increment_epoch();
        }
    }

    /// Waits until a call runs or the ticker ends.
    fn rest(&self) {
        self.is_resting.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.has_ended.load(Ordering::SeqCst) {
            park();
        }
        self.is_resting.store(false, Ordering::SeqCst);
    }
}

/// A call for which the epoch is incremented.
pub(crate) struct RunningCall<'a>(&'a State);

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::Ticker;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};
    use wasmtime::{Config, Engine, Instance, Module, Store};

    const LOOP: &str = r#"(module (func (export "loop") (loop (br 0))))"#;

    fn wait_until(condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < Duration::from_secs(30), "the condition did not come true");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_call_that_begins_while_the_ticker_rests_is_interrupted() {
        let engine = Engine::new(Config::new().epoch_interruption(true)).unwrap();
        let module = Module::new(&engine, wat::parse_str(LOOP).unwrap()).unwrap();
        let ticker = Ticker::start(engine.clone()).unwrap();
        for _ in 0..3 {
            wait_until(|| ticker.state.is_resting.load(Ordering::SeqCst));
            let _running = ticker.run();
            let mut store = Store::new(&engine, ());
            store.set_epoch_deadline(1);
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let endless = instance.get_typed_func::<(), ()>(&mut store, "loop").unwrap();
            assert!(endless.call(&mut store, ()).is_err());
        }
    }

    #[test]
    fn the_thread_ends_with_the_ticker() {
        let ticker = Ticker::start(Engine::new(Config::new().epoch_interruption(true)).unwrap()).unwrap();
        let state = std::sync::Arc::downgrade(&ticker.state);
        wait_until(|| ticker.state.is_resting.load(Ordering::SeqCst));
        drop(ticker);
        wait_until(|| state.strong_count() == 0);
    }
}
