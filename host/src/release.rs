//! Releases: the choice of the live version of each plugin.
//!
//! - [`plugin_files`] finds new, changed and removed files in the plugins folder;
//! - [`plugin_dir`] is the task that loads them, and [`live_plugins`] publishes those that are live;
//! - [`decision`] decides on a file: it goes live unless its signature, its proof or an operator's [`command`] is
//!   against it;
//! - [`trust`] checks digests and signatures, [`proof`] compares a new version with the live one on [`samples`] and
//!   stored payloads, and [`report`] says why a version that failed does not go live;
//! - [`versions`] keeps the files of former versions for a rollback, in the [`version_folder`] or a shared database, and
//!   [`compiled_cache`] their compiled code;
//! - [`idle_versions`] are former versions and candidates that an operator calls with [`idle_calls`] while another version
//!   is live;
//! - [`shared_versions`] are those of all hosts that share a database;
//! - [`precompiled`] has the compiled code that was installed together with the program.

pub mod command;
pub mod compiled_cache;
pub mod decision;
pub mod idle_calls;
pub mod idle_versions;
pub mod live_plugins;
pub mod options;
pub mod plugin_dir;
pub mod plugin_files;
pub mod precompiled;
pub mod proof;
pub mod report;
pub mod samples;
pub mod shared_versions;
pub mod trust;
pub mod version_folder;
pub mod versions;
