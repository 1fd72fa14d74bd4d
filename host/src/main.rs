//! The `hookmill` program.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match hookmill::cli::run(hookmill::cli::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
