//! `hookmill compile`: compiles a plugin file in a process of its own. Other commands start it, so that a file that
//! needs too much memory or time ends only this process.

use anyhow::{Context, Result};
use clap::Args;
use hookmill_sandbox::{CompilerProgram, Machines, compile_stdin};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The running program, also if its file has been replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// More threads would need more memory than a compiler may use.
const THREADS_MAX: usize = 8;

/// The arguments of `hookmill compile`.
#[derive(Debug, Args)]
pub(crate) struct Compile {
    /// The number of threads
    #[arg(long)]
    threads: NonZeroUsize,
    /// Compile for other machines of this architecture too
    #[arg(long)]
    portable: bool,
}

impl Compile {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let machines = if self.portable { Machines::Others } else { Machines::This };
        compile_stdin(self.threads.get(), machines)
    }
}

/// Returns the compiler for hosts, which compile several files at once.
pub(crate) fn beside_a_host() -> Result<CompilerProgram> {
    program(None, Machines::This)
}

/// Returns the compiler for interactive commands, which uses all cores.
pub(crate) fn on_all_cores(machines: Machines) -> Result<CompilerProgram> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    program(NonZeroUsize::new(cores.min(THREADS_MAX)), machines)
}

fn program(threads: Option<NonZeroUsize>, machines: Machines) -> Result<CompilerProgram> {
    let path = match Path::new(SELF).exists() {
        true => PathBuf::from(SELF),
        false => std::env::current_exe().context("cannot find the program of this process")?,
    };
    let mut arguments = vec!["compile".into()];
    if machines == Machines::Others {
        arguments.push("--portable".into());
    }
    Ok(CompilerProgram { path, arguments, threads })
}
