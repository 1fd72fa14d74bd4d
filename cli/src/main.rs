//! The `hookmill` program: `serve` runs a host in this process; the other commands call the API of a running host, work on
//! plugin projects, or open the data folder.
//!
//! - [`command`] has the commands, [`client`] the connection to a running host, [`text`] the layout for people;
//! - [`plugin`] builds, checks and tests plugins with the compilers that [`toolchain`] finds;
//! - [`demo`] runs a temporary host and sends samples to it.

mod client;
mod command;
mod compile;
mod deliveries;
mod demo;
mod destinations;
mod events;
mod incidents;
mod logs;
mod notification;
mod plugin;
mod serve;
mod text;
mod token;
mod toolchain;
mod webhook;

use clap::Parser;
use std::process::ExitCode;

/// Events are allocated on one thread and freed on that of the store, for which this allocator is fast.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match command::run(command::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
