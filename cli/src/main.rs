//! The `hookmill` program: `serve` runs a host in this process; the other commands call the API of a running host, work on
//! plugin projects, or open the data folder.
//!
//! - [`command`] has the commands, [`client`] the connection to a running host, [`text`] the layout for people;
//! - [`plugin`] builds, checks and tests plugins with the compilers that [`toolchain`] finds;
//! - [`demo`] runs a temporary host and sends samples to it.

mod backup;
mod browser;
mod client;
mod command;
mod compile;
mod config;
mod data_folder;
mod deliveries;
mod demo;
mod destinations;
mod events;
mod healthcheck;
mod hosts;
mod incidents;
mod logs;
mod manual;
mod memory;
mod notification;
mod operator_actions;
mod plugin;
mod progress;
mod prune;
mod quarantine;
mod serve;
mod signals;
mod stats;
mod storage;
mod store;
mod text;
mod token;
mod toolchain;
mod upgrade;
mod vendors;
mod webhook;

use clap::Parser;
use std::fmt::Display;
use std::io::{Error, ErrorKind, Write};
use std::process::ExitCode;

/// Ends the program when its output cannot be written, which makes the printing macros of the standard library panic.
fn end_without_output() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        match text.strip_prefix("failed printing to ") {
            Some(text) => std::process::exit(without_output(text.contains("Broken pipe"), text).into()),
            None => report(panic),
        }
    }));
}

/// Returns the exit code for output that cannot be written, and says so unless only the reader has gone, such as `head`.
fn without_output(is_reader_gone: bool, reason: impl Display) -> u8 {
    if is_reader_gone {
        return 0;
    }
    // Standard error may be as full.
    let _ = writeln!(std::io::stderr(), "error: cannot write to {reason}");
    1
}

fn unwritten(error: &Error) -> ExitCode {
    without_output(error.kind() == ErrorKind::BrokenPipe, format_args!("stdout: {error}")).into()
}

fn main() -> ExitCode {
    end_without_output();
    let code = match command::Arguments::try_parse() {
        Ok(arguments) => match command::run(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
        // Help and the version are printed here, too.
        Err(message) => match message.print() {
            Ok(()) => ExitCode::from(message.exit_code().try_into().unwrap_or(1)),
            Err(error) => return unwritten(&error),
        },
    };
    // A last line without an end is written only now.
    std::io::stdout().flush().map_or_else(|error| unwritten(&error), |()| code)
}
