//! The command line.

mod serve;
mod token;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Receives security vendors' webhooks, maps them to incidents with WebAssembly plugins, and delivers what changed.
#[derive(Debug, Parser)]
#[command(name = "hookmill", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a host
    Serve(serve::Serve),
    /// Print the commented default configuration
    Config,
    /// Make, list and revoke tokens of the API; opens the data folder itself, with or without a running host
    #[command(subcommand)]
    Token(token::Token),
}

/// Runs a command.
///
/// # Errors
/// What went wrong, for people.
pub fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Config => {
            print!("{}", crate::config::DEFAULT);
            Ok(())
        }
        Command::Token(token) => token.run(),
    }
}
