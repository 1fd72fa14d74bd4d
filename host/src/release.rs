//! Which version of each plugin is live.
//!
//! - [`plugin_dir`] owns the plugins folder and publishes the live plugins;
//! - [`decision`] decides on a file: it goes live unless its signature, its proof or an operator is against it;
//! - [`trust`] checks digests and signatures, [`proof`] compares a new version with the live one on known payloads, and
//!   [`report`] says what a proof found;
//! - [`versions`] keeps the files of former versions for a rollback, [`compiled_cache`] their compiled code.

pub mod compiled_cache;
pub mod decision;
pub mod plugin_dir;
pub mod proof;
pub mod report;
pub mod trust;
pub mod versions;
