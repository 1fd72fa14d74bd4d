//! The host: receives security vendors' webhooks, maps them to incidents, stores them durably and delivers what changed.
//!
//! Data flows one way: `receive` → `verify` → `map` → store → `deliver`; [`pipeline::Pipeline::accept`] is this sentence in
//! code. Beside it `pull` reads sources that do not post, `release` decides which plugins are live, `triage` has playbooks
//! look at incidents, and `remap` maps waiting events again.
//!
//! `api` and `receive` are the only modules that speak HTTP to clients. `config` turns the configuration file into each
//! module's own options; [`serve::start`] puts a host together. The order of the modules, in which none imports a later one,
//! is held by a test (`tests/module_order.rs` of the workspace's program) and described in ARCHITECTURE.md.

pub mod api;
pub mod aws;
pub mod bodies;
pub mod config;
pub mod deliver;
pub mod dry_run;
mod extract;
mod folder_watcher;
pub mod handshake;
pub mod host;
pub mod http_error;
pub mod loaded;
mod maintenance;
pub mod map;
pub mod metrics;
mod notices;
pub mod payload_file;
pub mod peer;
pub mod pipeline;
pub mod plugin_dry_run;
pub mod pull;
pub mod rate_limit;
pub mod receive;
pub mod recent_log;
pub mod registry;
pub mod release;
pub mod reload;
pub mod remap;
pub mod request_id;
pub mod serve;
pub mod source;
pub mod sources;
pub mod stream;
pub mod triage;
pub mod vault;
pub mod verify;
