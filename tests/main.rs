//! The tests of the whole program: each starts real hosts, `hookmill serve` as a child process, and goes through what
//! people and programs outside can see: HTTP, the command line, files.
//!
//! What the mappers return is in the payload (`outcome.rs`), or the mapper is one of the small `guests/*.wat`; what the
//! real mappers make of real payloads is tested beside each of them.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test that fails should say so and end")]

mod guest;
mod host;
mod load;
mod outcome;
mod receiver;
mod server;

mod api;
mod config;
mod destinations;
mod durability;
mod inbound;
mod incidents;
mod limits;
mod logs;
mod mappers;
mod notifications;
mod notifiers;
mod outbound;
mod playbooks;
mod pressure;
mod pull;
mod releases;
mod reload;
mod schemes;
mod sources;
mod stream;
mod tls;
mod tokens;
