//! The commands of the program.

use crate::{
    backup, compile, config, deliveries, demo, destinations, events, healthcheck, hosts, incidents, logs, manual,
    notification, operator_actions, plugin, prune, quarantine, serve, stats, storage, store, token, upgrade, vendors,
    webhook,
};
use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

/// Receives security vendors' webhooks, maps them to incidents with WebAssembly plugins, and delivers the changes.
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
    /// Print the commented default configuration, or check a configuration file
    Config(config::ConfigCommand),
    /// Ask a running host whether it is ready; the exit code is the answer
    Healthcheck(healthcheck::Healthcheck),
    /// Check whether this version can take over a data folder and its configuration
    Upgrade(upgrade::Upgrade),
    /// Run a temporary host with the bundled mappers, send signed samples to it and show the results
    Demo(demo::Demo),
    /// Search, show and change the incidents of a running host
    #[command(subcommand)]
    Incidents(incidents::Incidents),
    /// List, show, replay and discard the events of a running host
    #[command(subcommand)]
    Events(events::Events),
    /// List, replay and discard the quarantine of a running host, in groups of events with the same cause
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// List and retry the deliveries of a running host
    #[command(subcommand)]
    Deliveries(deliveries::Deliveries),
    /// List the destinations of a running host, and enable disabled ones
    #[command(subcommand)]
    Destinations(destinations::Destinations),
    /// List the notifications of a running host, and show or send their messages
    #[command(subcommand)]
    Notification(notification::NotificationCommand),
    /// Show the newest lines of a running host's log
    Logs(logs::Logs),
    /// List what operators changed on a running host
    #[command(subcommand)]
    OperatorActions(operator_actions::OperatorActions),
    /// Show how many payloads, incidents and deliveries a running host had, by time
    Stats(stats::Stats),
    /// Show the hosts that share the database, with the work that each of them does
    Hosts(hosts::Hosts),
    /// Show the space that a running host uses, what retention removes next, and how long the disk will last
    Storage(storage::Storage),
    /// Remove old payloads, events and incidents from the database, with or without a running host
    Prune(prune::Prune),
    /// Create, build, check, run, test and list plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// List the vendors of the bundled mappers, or show how one is connected
    Vendors(vendors::Vendors),
    /// Add, list, test, rotate and remove the sources of a running host
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// Back up the data folder into one file, with or without a running host
    Backup(backup::Backup),
    /// Check a backup completely
    Verify(backup::Verify),
    /// Make a data folder of a backup
    Restore(backup::Restore),
    /// Move everything to another database
    #[command(subcommand)]
    Store(store::Store),
    /// Create, list and revoke tokens of the API in the data folder, with or without a running host
    #[command(subcommand)]
    Token(token::Token),
    /// Compile a plugin file from standard input to standard output; other commands start this one
    #[command(hide = true)]
    Compile(compile::Compile),
    /// Write the manual pages and the completions of shells into a folder; packages contain them
    #[command(hide = true)]
    Manual(manual::Manual),
}

/// Runs a command.
///
/// # Errors
/// Returns an error if the command fails; the error's text is for the user.
pub fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Config(config) => config.run(),
        Command::Healthcheck(healthcheck) => healthcheck.run(),
        Command::Upgrade(upgrade) => upgrade.run(),
        Command::Demo(demo) => demo.run(),
        Command::Incidents(incidents) => incidents.run(),
        Command::Events(events) => events.run(),
        Command::Quarantine(quarantine) => quarantine.run(),
        Command::Deliveries(deliveries) => deliveries.run(),
        Command::Destinations(destinations) => destinations.run(),
        Command::Notification(notification) => notification.run(),
        Command::Logs(logs) => logs.run(),
        Command::OperatorActions(actions) => actions.run(),
        Command::Stats(stats) => stats.run(),
        Command::Hosts(hosts) => hosts.run(),
        Command::Storage(storage) => storage.run(),
        Command::Prune(prune) => prune.run(),
        Command::Plugin(plugin) => plugin.run(),
        Command::Vendors(vendors) => vendors.run(),
        Command::Webhook(webhook) => webhook.run(),
        Command::Backup(backup) => backup.run(),
        Command::Verify(verify) => verify.run(),
        Command::Restore(restore) => restore.run(),
        Command::Store(store) => store.run(),
        Command::Token(token) => token.run(),
        Command::Compile(compile) => compile.run(),
        Command::Manual(manual) => manual.run(&Arguments::command()),
    }
}
