//! The configuration file, decoded once: what leaves here needs no second look.
//!
//! The file's own shape is in [`file`], leaf by leaf text that is interpolated from the environment and then parsed;
//! this module turns it into [`Config`] and refuses what cannot work, with a sentence that says what to do.

mod file;
pub mod source;

use crate::deliver::Destination;
use crate::source::Source;
use anyhow::{Context, Result};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The commented default, which is the reference of every key.
pub const DEFAULT: &str = include_str!("../hookmill.default.yaml");

const MIB: usize = 1024 * 1024;
/// A secret below this is refused: it can be guessed.
const SECRET_BYTES_MIN: usize = 8;
/// A secret below this is worth a warning.
const SECRET_BYTES_GOOD: usize = 24;
/// The data folder, relative to the configuration file.
const DATA_DIR: &str = "data";
const PLUGINS_DIR: &str = "plugins";

/// What `serve` works with.
#[derive(Debug)]
pub struct Config {
    /// Where webhooks arrive, and everything else unless `admin_listen` is set.
    pub listen: SocketAddr,
    /// Where the API listens, when it is kept apart.
    pub admin_listen: Option<SocketAddr>,
    /// The folder of the database and the compiled plugins.
    pub data_dir: PathBuf,
    /// The folder of the plugins.
    pub plugins_dir: PathBuf,
    /// What one call of a plugin may use, and what the host takes in at once.
    pub limits: Limits,
    /// Limits of single plugins.
    pub plugin_limits: BTreeMap<String, CallLimits>,
    /// How repeats are told.
    pub dedup: Dedup,
    /// How long after its end an incident can be opened again by its vendor.
    pub reopen_within: Duration,
    /// How long the end waits for what is in flight.
    pub drain_timeout: Duration,
    /// Proxies that are believed when they say whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
    /// The senders.
    pub sources: Vec<Source>,
    /// The receivers of audit entries.
    pub webhooks: Vec<Destination>,
    /// What works and should still be looked at.
    pub warnings: Vec<String>,
}

/// How repeats of an event are told.
#[derive(Clone, Copy, Debug)]
pub struct Dedup {
    /// For how long an event is known by its signed timestamp or its sender's delivery id.
    pub retention: Duration,
    /// For how long it is known by its body alone, where there is neither.
    pub window: Duration,
}

/// Every limit that is not one source's or destination's.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What one call of a plugin may use.
    pub call: CallLimits,
    /// The largest payload of a source that does not set its own.
    pub payload_bytes: usize,
    /// How many plugin instances may live at once.
    pub instances: u32,
    /// How many writes may wait for the store before events are answered `overloaded`.
    pub store_queue: usize,
}

/// What one call of a plugin may use.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// Wall time from instantiation to the end of the call.
    pub deadline: Duration,
    /// Linear memory of an instance; none chooses by what the plugin imports and starts with.
    pub memory_bytes: Option<usize>,
    /// What it may return.
    pub output_bytes: usize,
    /// Incidents in one outcome.
    pub incidents: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { call: CallLimits::default(), payload_bytes: MIB, instances: 16, store_queue: 4096 }
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(1000), memory_bytes: None, output_bytes: MIB, incidents: 100 }
    }
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// What is wrong, with file, line, column and key, and what is allowed there.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read the configuration {}; `hookmill config` prints a commented default", path.display())
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).with_context(|| format!("in the configuration {}", path.display()))
    }

    /// Checks a configuration whose relative paths start at `folder`.
    ///
    /// # Errors
    /// As [`Config::load`], without the file's name.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let file = file::File::parse(text)?;
        let call = file.limits.call().over(&CallLimits::default());
        let limits = Limits {
            payload_bytes: file.limits.payload_mib.map_or(MIB, |mib| mib.0.bytes()),
            instances: file.limits.instances.map_or(Limits::default().instances, |count| count.0.get()),
            store_queue: file.limits.store_queue.map_or(Limits::default().store_queue, |count| count.0.get()),
            call,
        };
        let mut warnings = Vec::new();
        let mut sources = Vec::new();
        for (name, source) in file.sources {
            let settings = source
                .into_settings(name.as_str(), &limits, folder, &mut warnings)
                .with_context(|| format!("sources.{name}"))?;
            sources.push(Source::new(name.into(), settings));
        }
        let mut webhooks = Vec::new();
        for (name, webhook) in file.webhooks {
            let destination = webhook.into_destination(name.as_str()).with_context(|| format!("webhooks.{name}"))?;
            webhooks.push(destination);
        }
        let plugin_limits = file.plugins.into_iter().map(|(name, own)| (name.into(), own.over(&limits.call))).collect();
        Ok(Self {
            listen: file.listen.map_or(SocketAddr::from(([127, 0, 0, 1], 8080)), |address| address.0),
            admin_listen: file.admin_listen.map(|address| address.0),
            data_dir: folder.join(file.data_dir.map_or(PathBuf::from(DATA_DIR), |path| path.0)),
            plugins_dir: folder.join(file.plugins_dir.map_or(PathBuf::from(PLUGINS_DIR), |path| path.0)),
            plugin_limits,
            dedup: Dedup {
                retention: file.dedup_retention.map_or(7 * DAY, |time| time.0.into()),
                window: file.dedup_window.map_or(Duration::from_secs(300), |time| time.0.into()),
            },
            reopen_within: file.reopen_within.map_or(30 * DAY, |time| time.0.into()),
            drain_timeout: file.drain_timeout.map_or(Duration::from_secs(30), |time| time.0.into()),
            trusted_proxies: file.trusted_proxies.into_iter().map(|network| network.0).collect(),
            limits,
            sources,
            webhooks,
            warnings,
        })
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_valid_configuration() {
        let config = Config::parse(DEFAULT, Path::new("/etc/hookmill")).unwrap();
        assert_eq!(config.data_dir, Path::new("/etc/hookmill/data"));
    }

    /// Every key that the reference shows, also the ones that it shows commented out, is known.
    #[test]
    fn the_default_with_every_key_in_force_is_valid() {
        // What is empty by default has its members below it.
        let in_force: String = DEFAULT
            .replace(": {}\n", ":\n")
            .lines()
            .map(|line| match line.trim_start().strip_prefix("#:") {
                Some(rest) => format!("{}{rest}\n", &line[..line.len() - line.trim_start().len()]),
                None => format!("{line}\n"),
            })
            .collect();
        let config = Config::parse(&in_force, Path::new("")).unwrap();
        assert_eq!((config.sources.len(), config.webhooks.len()), (6, 1));
        assert!(config.admin_listen.is_some());
    }
}
