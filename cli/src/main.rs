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
mod memory;
mod notification;
mod operator_actions;
mod plugin;
mod prune;
mod serve;
mod signals;
mod stats;
mod text;
mod token;
mod toolchain;
mod webhook;

use clap::Parser;
use std::process::ExitCode;

/// Ends the program quietly if the reader of its output has gone, such as `head`. The printing macros of the standard
/// library panic then.
fn end_with_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to std") && text.contains("Broken pipe") {
            std::process::exit(0);
        }
        report(panic);
    }));
}

fn main() -> ExitCode {
    end_with_reader();
    match command::run(command::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
