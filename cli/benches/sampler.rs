//! Samples of where this process spends its processor time: at ticks of the kernel, the stack of the thread that runs.
//!
//! The kernel sends SIGPROF for processor time of the whole process, at most once a tick on each core. Time inside the
//! kernel has the stack of the system call. The crate `pprof` keeps one address of each function, which mixes stages that
//! the compiler inlined into one function; here every address is kept.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const PERIOD_US: libc::suseconds_t = 1000;
const DEPTH_MAX: usize = 128;
const SAMPLES_MAX: usize = 20_000;

/// The names of the functions of one stack, the innermost first.
pub type Stack = Vec<String>;

static SAMPLES: OnceLock<Samples> = OnceLock::new();

/// Return addresses of stacks, one stack after the other. Only this is written by the handler of the signal.
struct Samples {
    addresses: Vec<AtomicUsize>,
    count: AtomicUsize,
    is_running: AtomicBool,
}

/// Samples until [`stop`].
#[allow(unsafe_code, reason = "handlers of signals need it")]
pub fn start() {
    let samples = SAMPLES.get_or_init(|| Samples {
        addresses: (0..DEPTH_MAX * SAMPLES_MAX).map(|_| AtomicUsize::new(0)).collect(),
        count: AtomicUsize::new(0),
        is_running: AtomicBool::new(false),
    });
    samples.count.store(0, Ordering::Relaxed);
    samples.is_running.store(true, Ordering::Relaxed);
    // The unwinder sorts its tables when it first sees them, and allocates for it, which a handler must not.
    backtrace::trace(|_| true);
    let timer = libc::timeval { tv_sec: 0, tv_usec: PERIOD_US };
    // SAFETY: the handler reads the stack and writes to memory that exists; `action` is valid when all is zero.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_tick as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGPROF, &action, std::ptr::null_mut()), 0);
        let timer = libc::itimerval { it_interval: timer, it_value: timer };
        assert_eq!(libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut()), 0);
    }
}

#[allow(unsafe_code, reason = "the other function takes a lock, which a handler must not")]
extern "C" fn on_tick(_: c_int) {
    let Some(samples) = SAMPLES.get().filter(|samples| samples.is_running.load(Ordering::Relaxed)) else { return };
    let index = samples.count.fetch_add(1, Ordering::Relaxed);
    let Some(mut stack) = samples.addresses.get(index * DEPTH_MAX..(index + 1) * DEPTH_MAX) else { return };
    // SAFETY: no other thread changes the tables of the unwinder or calls what resolves names meanwhile.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            let Some((address, rest)) = stack.split_first() else { return false };
            address.store(frame.ip().addr(), Ordering::Relaxed);
            stack = rest;
            true
        });
    }
    if let Some(end) = stack.first() {
        end.store(0, Ordering::Relaxed);
    }
}

/// Ends the samples and returns their stacks.
pub fn stop() -> Vec<Stack> {
    let Some(samples) = SAMPLES.get() else { return Vec::new() };
    samples.is_running.store(false, Ordering::Relaxed);
    let mut names = HashMap::new();
    let stacks = samples.addresses.chunks(DEPTH_MAX).take(samples.count.load(Ordering::Relaxed));
    stacks
        .map(|stack| {
            let addresses =
                stack.iter().map(|address| address.load(Ordering::Relaxed)).take_while(|address| *address > 0);
            addresses.flat_map(|address| names.entry(address).or_insert_with(|| functions(address)).clone()).collect()
        })
        .collect()
}

/// Returns the function at an address, after those that are inlined in it.
fn functions(address: usize) -> Vec<String> {
    let mut names = Vec::new();
    backtrace::resolve(address as *mut c_void, |symbol| {
        names.extend(symbol.name().map(|name| format!("{name:#}")));
    });
    names
}
