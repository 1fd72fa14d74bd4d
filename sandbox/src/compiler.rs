//! Compiles plugin files to native code: in this process, or in a child process that can use only so much memory and
//! time, because a small file can make the compiler need more of both than a machine has.

use crate::core_module::to_component;
use crate::engine_config::{Allocation, engine_config, portable_config};
use crate::sentences::cut;
use crate::shape::check_shape;
use anyhow::{Context, Result, anyhow};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::process::{Resource, Rlimit, Signal, getppid, nice, setrlimit};
use std::ffi::OsString;
use std::io::{Error as IoError, ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use wasmtime::Engine;

const MIB: u64 = 1024 * 1024;
/// The address space of a child process. The largest bundled plugin, in Python, needs a third.
const MEMORY_BYTES_MAX: u64 = 2048 * MIB;
/// The processor time of a child process, on all its threads. The largest bundled plugin needs 15 s.
const CPU_SECONDS_MAX: u64 = 120;
/// The time after which a child process ends that uses no processor time. Far more than [`CPU_SECONDS_MAX`], because a busy
/// machine must not decide whether a file is too much.
const WALL_TIME_MAX: Duration = Duration::from_secs(30 * 60);
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Compiling takes little of what serving needs, and still ends on a busy machine.
const NICENESS: i32 = 5;
/// The threads that compile a large file. Compiling a small one is mostly done by one thread.
const THREADS: usize = 2;
/// The size of a large file: those of interpreted languages are larger.
const LARGE_BYTES: usize = 2 * 1024 * 1024;
/// Exit codes of a child process.
const REFUSED: i32 = 1;
const OUT_OF_MEMORY: i32 = 3;
const OUT_OF_TIME: i32 = 4;
/// The bytes of a child's last line of errors that are shown.
const ERROR_BYTES_MAX: usize = 1024;

/// The program that compiles a plugin file: it calls [`compile_stdin`].
#[derive(Clone, Debug)]
pub struct CompilerProgram {
    /// The program.
    pub path: PathBuf,
    /// The arguments before `--threads N`.
    pub arguments: Vec<OsString>,
    /// The threads for each file, if their number does not depend on the file.
    pub threads: Option<NonZeroUsize>,
}

/// The reason why a file is not compiled although it may be valid. The same file would fail again.
#[derive(Debug, thiserror::Error)]
#[error("compiling the file takes more than {0}")]
pub(crate) struct TooMuch(String);

/// The way in which plugin files are compiled.
pub(crate) enum Compiler {
    /// On threads of this process, without limits.
    Threads(ThreadPool),
    /// In a child process.
    Program(CompilerProgram),
}

impl Compiler {
    /// Returns a compiler that uses threads of this process.
    pub fn in_this_process() -> Result<Self> {
        Ok(Self::Threads(thread_pool(THREADS)?))
    }

    /// Returns the threads that compile a file of this size.
    pub fn threads(&self, bytes: usize) -> usize {
        match self {
            Self::Program(program) => program.threads(bytes),
            Self::Threads(_) => threads(bytes),
        }
    }

    /// Compiles a plugin file for an engine. Blocks, for up to minutes.
    ///
    /// # Errors
    /// Returns [`TooMuch`] if the compiler exceeds its limits, or an error if the file is invalid.
    pub fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>> {
        check_shape(bytes)?;
        match self {
            Self::Threads(threads) => {
                let component = to_component(bytes)?;
                Ok(threads.install(|| engine.precompile_component(&component))?)
            }
            Self::Program(program) => program.compile(bytes),
        }
    }
}

/// The machines on which compiled code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machines {
    /// This machine, with all features of its processor.
    This,
    /// All machines of this architecture whose processors have some widespread features.
    Others,
}

impl CompilerProgram {
    /// Compiles a plugin file. Blocks, for up to minutes.
    ///
    /// # Errors
    /// Returns an error if the file is not valid, or the compiler exceeds its limits or cannot be started.
    pub fn compile(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let threads = self.threads(bytes.len());
        // Without the environment, which may contain secrets.
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .args(["--threads", &threads.to_string()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the compiler {}", self.path.display()))?;
        let Output { status, stdout, stderr } = exchange(child, bytes).context("the compiler cannot be reached")?;
        if status.success() {
            return Ok(stdout);
        }
        Err(reason(status, &stderr))
    }

    fn threads(&self, bytes: usize) -> usize {
        self.threads.map_or_else(|| threads(bytes), NonZeroUsize::get)
    }
}

/// Returns the threads that compile a file of this size.
fn threads(bytes: usize) -> usize {
    if bytes < LARGE_BYTES { 1 } else { THREADS }
}

/// Writes the input of a child process and reads its output.
fn exchange(mut child: Child, input: &[u8]) -> std::io::Result<Output> {
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // A child that ends early closes the pipe; its exit status has the reason.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    })
}

/// Returns why a child process did not compile a file.
fn reason(status: ExitStatus, stderr: &[u8]) -> anyhow::Error {
    let memory = || TooMuch(format!("{} MiB of memory", MEMORY_BYTES_MAX / MIB)).into();
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    let text = cut(text.strip_prefix("error: ").unwrap_or(text), ERROR_BYTES_MAX);
    match (status.code(), status.signal().and_then(Signal::from_named_raw)) {
        (Some(REFUSED), _) => anyhow!("{text}"),
        (Some(OUT_OF_MEMORY), _) => memory(),
        // On a busy machine this can happen to every file.
        (Some(OUT_OF_TIME), _) => anyhow!(
            "the compiler did not end within {} minutes; put the file there again when the machine is less busy",
            WALL_TIME_MAX.as_secs() / 60
        ),
        (_, Some(Signal::XCPU)) => TooMuch(format!("{CPU_SECONDS_MAX} s of processor time")).into(),
        // A failed allocation aborts; the kernel kills a child that it has no memory for.
        (_, Some(Signal::ABORT | Signal::KILL | Signal::SEGV | Signal::BUS)) => memory(),
        _ => anyhow!("the compiler failed with {status}: {text}"),
    }
}

/// Reads a plugin file from standard input and writes its compiled code for `machines` to standard output, with `threads`
/// threads, in a process of its own. The caller prints an error and exits with 1.
///
/// # Errors
/// Returns an error if the file is not a valid plugin file.
pub fn compile_stdin(threads: usize, machines: Machines) -> Result<()> {
    limit_this_process()?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let engine = Engine::new(&match machines {
        Machines::This => engine_config(Allocation::OnDemand, 1),
        Machines::Others => portable_config()?,
    })?;
    let compiler = Compiler::Threads(thread_pool(threads)?);
    match compiler.compile(&engine, &bytes) {
        Ok(code) => Ok(std::io::stdout().lock().write_all(&code)?),
        Err(error) if is_out_of_memory(&error) => std::process::exit(OUT_OF_MEMORY),
        Err(error) => Err(error),
    }
}

fn is_out_of_memory(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(|cause: &IoError| cause.kind() == ErrorKind::OutOfMemory))
}

/// Bounds the memory and the time of this process, and ends it when its parent ends.
fn limit_this_process() -> Result<()> {
    let limit =
        |resource, current, maximum| setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) });
    limit(Resource::As, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX).context("cannot limit the memory")?;
    // At the first value the process gets SIGXCPU, which tells the reason; at the second one the process is killed.
    limit(Resource::Cpu, CPU_SECONDS_MAX, CPU_SECONDS_MAX + 5).context("cannot limit the processor time")?;
    limit(Resource::Core, 0, 0).context("cannot switch core dumps off")?;
    // If the machine has too little memory, the kernel ends this process and not the host.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let (parent, started) = (getppid(), Instant::now());
    std::thread::Builder::new().name("watch".into()).spawn(move || {
        while getppid() == parent && started.elapsed() < WALL_TIME_MAX {
            std::thread::sleep(WATCH_EVERY);
        }
        std::process::exit(OUT_OF_TIME);
    })?;
    Ok(())
}

/// Returns threads with a lower priority than those that serve.
fn thread_pool(count: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|index| format!("compile-{index}"))
        .start_handler(|_| {
            // On Linux the priority is that of the thread. If the call fails, compiling only competes with serving.
            let _ = nice(NICENESS);
        })
        .build()?;
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::{OUT_OF_MEMORY, OUT_OF_TIME, REFUSED, TooMuch, reason};
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn the_exit_of_a_compiler_gives_the_reason() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        let killed = ExitStatus::from_raw;
        let (abort, kill, cpu_time) = (6, 9, 24);
        let busy = "the compiler did not end within 30 minutes; put the file there again when the machine is less busy";
        let memory = "compiling the file takes more than 2048 MiB of memory";
        for (status, text, is_too_much) in [
            (exited(REFUSED), "the file is not a component", false),
            (exited(OUT_OF_MEMORY), memory, true),
            (killed(abort), memory, true),
            (killed(kill), memory, true),
            (killed(cpu_time), "compiling the file takes more than 120 s of processor time", true),
            (exited(OUT_OF_TIME), busy, false),
            (exited(101), "the compiler failed with exit status: 101: the file is not a component", false),
        ] {
            let error = reason(status, b"error: the file is not a component\n");
            assert_eq!((error.to_string().as_str(), error.is::<TooMuch>()), (text, is_too_much), "{status}");
        }
    }
}
