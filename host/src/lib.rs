//! The host: receives security vendors' webhooks, maps them to incidents, stores them durably and delivers the changes.
//!
//! Data flows one way: `receive` → `verify` → `map` → store → `deliver`, as `Pipeline::accept` shows.
//! Besides, `pull` reads sources that do not post, `release` decides which plugins are live, `triage` calls playbooks on
//! incidents, and `remap` maps waiting events again.
//!
//! Only `api` and `receive` answer HTTP requests. `config` turns the configuration file into the options of each module,
//! and [`serve::start`] assembles a host. No module imports a later one in the order of ARCHITECTURE.md, which
//! `tests/structure` checks.

pub mod api;
pub mod aws;
pub mod backup;
mod bodies;
pub mod config;
pub mod conformance;
mod console;
mod deliver;
pub mod disk;
mod event_changes;
mod extract;
mod failed_tokens;
mod field_changes;
mod folder_watcher;
mod handshake;
pub mod host;
mod host_identity;
mod housekeeping;
mod http_error;
pub mod issuers;
mod loaded;
mod maintenance;
pub mod map;
mod metrics;
pub mod moving;
mod near_miss;
mod negotiation;
mod notices;
pub mod payload_file;
mod peer;
mod pipeline;
pub mod plugin_dry_run;
mod products;
mod pull;
mod quarantine;
mod rate_limit;
mod receive;
pub mod recent_log;
mod refusals;
mod registry;
pub mod release;
pub mod reload;
mod remap;
mod request_id;
mod retention;
mod routes;
pub mod running;
pub mod serve;
pub mod service_manager;
mod sign_in_code;
pub mod source;
mod sources;
mod storage;
mod stream;
mod tasks;
pub mod traces;
mod triage;
mod vault;
pub mod vendors;
pub mod verify;

pub use pull::{Frame, FrameParser};
