//! The `hookmill` program: `serve` runs a host in this process; the other commands talk to a running host over its API, work
//! on plugin projects, or open the data folder.
//!
//! - [`command`] has the commands, [`client`] the connection to a running host, [`text`] the layout for people;
//! - [`plugin`] builds, checks and tests plugins with the compilers that [`toolchain`] finds;
//! - [`demo`] runs a throw-away host and feeds it.

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

/// The parts of an event are allocated on one thread and freed on another, the store's, which this allocator does well.
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
