//! The `hookmill` program.

use clap::Parser;
use std::process::ExitCode;

/// What is allocated on one thread is mostly freed on another: an event's parts on the store's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match hookmill::cli::run(hookmill::cli::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
