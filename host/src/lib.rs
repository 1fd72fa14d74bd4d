//! The host: receives security vendors' webhooks, maps them to incidents, stores them durably and delivers the changes.
//!
//! Data flows one way: `receive` → `verify` → `map` → store → `deliver`, as [`pipeline::Pipeline::accept`] shows.
//! Besides, `pull` reads sources that do not post, `release` decides which plugins are live, `triage` calls playbooks on
//! incidents, and `remap` maps waiting events again.
//!
//! Only `api` and `receive` answer HTTP requests. `config` turns the configuration file into the options of each module,
//! and [`serve::start`] assembles a host. No module imports a later one in the order that ARCHITECTURE.md describes; a
//! test of the program (`module_order`) checks this.

pub mod api;
pub mod aws;
pub mod bodies;
pub mod config;
pub mod deliver;
pub mod dry_run;
mod extract;
mod failed_tokens;
mod folder_watcher;
pub mod handshake;
pub mod host;
mod housekeeping;
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
mod tasks;
pub mod triage;
pub mod vault;
pub mod verify;
