//! Tests of the whole program. Each one starts real hosts, `hookmill serve` as a child process, and uses only the
//! public surface: HTTP, the command line, files.
//!
//! The payload contains the mapper's result (`outcome.rs`), or the mapper is one of the small `guests/*.wat`. The
//! bundled mappers are tested with real payloads in their own folders.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

mod database;
mod gate;
mod guest;
mod host;
mod json_schema;
mod load;
mod outcome;
mod quarantine;
mod receiver;
mod server;
mod wire;

mod api;
mod backup;
mod backup_files;
mod backup_schedule;
mod clocks;
mod commands;
mod config;
mod config_errors;
mod conformance;
mod console;
mod coverage;
mod dead_letters;
mod destinations;
mod durability;
mod event_stream;
mod files;
mod filters;
mod handshakes;
mod hosts;
mod inbound;
mod incident_commands;
mod incidents;
mod issuers;
mod journey;
mod limits;
mod logs;
mod mail;
mod mappers;
mod notifications;
mod notifiers;
mod ocsf;
mod outbound;
mod overview;
mod pacing;
mod playbooks;
mod plugin_files;
mod plugins_of_hosts;
mod pressure;
mod pull;
mod pull_auth;
mod pull_details;
mod pull_offsets;
mod pull_requests;
mod pull_ways;
mod refusals;
mod releases;
mod reload;
mod retention;
mod schemes;
mod search;
mod search_index;
mod senders;
mod service;
mod sessions;
mod shared_database;
mod signals;
mod slow_senders;
mod sources;
mod stats;
mod storage;
mod store_move;
mod stream;
mod thehive;
mod tls;
mod tokens;
mod traces;
mod vendors;
