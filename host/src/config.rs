//! The configuration file, decoded once: what leaves here needs no second look.
//!
//! The file's own shape is in [`file`], leaf by leaf text that is interpolated from the environment and then parsed;
//! this module turns it into [`Config`] and refuses what cannot work, with a sentence that says what to do.

mod connection;
mod destination;
mod file;
mod notification;
mod pull;
pub mod source;

use crate::deliver::{Destination, Notifications};
use crate::pull::Pulls;
use crate::release::decision::Reload;
use crate::release::proof::Bounds;
use crate::release::trust::Trust;
use crate::source::{Origin, Source};
use anyhow::{Context, Result, ensure};
use hookmill_listen::TlsFiles;
use hookmill_notify::Rule;
use hookmill_sandbox::PluginLimits;
use hookmill_store::Dedup;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// The certificate and key of `listen`.
    pub tls: Option<TlsFiles>,
    /// Those of `admin_listen`.
    pub admin_tls: Option<TlsFiles>,
    /// The folder of the database and the compiled plugins.
    pub data_dir: PathBuf,
    /// The folder of the plugins.
    pub plugins_dir: PathBuf,
    /// What a plugin file has to bring.
    pub trust: Trust,
    /// What one call of a plugin may use, and what the host takes in at once.
    pub limits: Limits,
    /// Limits of single plugins.
    pub plugin_limits: BTreeMap<String, PluginLimits>,
    /// When a new version of a mapper goes live.
    pub reload: Reload,
    /// What it has to get through before.
    pub proof: Bounds,
    /// How long after its end an incident can be opened again by its vendor.
    pub reopen_within: Duration,
    /// How long the end waits for what is in flight.
    pub drain_timeout: Duration,
    /// Proxies that are believed when they say whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
    /// The senders.
    pub sources: Vec<Source>,
    /// How the host reads those that do not post, by name.
    pub pulls: Pulls,
    /// Who is told what.
    pub outbound: Outbound,
    /// How long what was delivered is kept.
    pub delivered_retention: Duration,
    /// What works and should still be looked at.
    pub warnings: Vec<String>,
}

/// Everything that leaves the host.
#[derive(Debug, Default)]
pub struct Outbound {
    /// The receivers.
    pub destinations: Vec<Destination>,
    /// When they are told besides.
    pub rules: Vec<Rule>,
    /// What they are told then.
    pub notifications: Notifications,
    /// Where people reach this host, for links.
    pub public_url: String,
}

/// Every limit that is not one source's or destination's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What one call of a plugin may use.
    pub call: PluginLimits,
    /// How repeats are told: no source may believe a signature for longer than it is remembered.
    pub dedup: Dedup,
    /// The largest payload of a source that does not set its own.
    pub payload_bytes: usize,
    /// How many plugin instances may live at once.
    pub instances: u32,
    /// How many writes may wait for the store before events are answered `overloaded`.
    pub store_queue: usize,
    /// How many connections may be open at once.
    pub connections: u32,
    /// How long a connection may stay without sending the whole head of a request, or without taking anything of an answer.
    pub head_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How much memory the bodies of all requests may take.
    pub body_memory_bytes: usize,
    /// How many payloads of all sources are taken in a second.
    pub requests_per_second: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call: PluginLimits::default(),
            dedup: Dedup { retention: 7 * DAY, window: Duration::from_secs(300) },
            payload_bytes: MIB,
            instances: 16,
            store_queue: 4096,
            connections: 10_000,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            body_memory_bytes: 256 * MIB,
            requests_per_second: None,
        }
    }
}

impl Config {
    /// The keys that differ from another configuration and take effect only at a start.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("listen", self.listen != other.listen),
            ("admin_listen", self.admin_listen != other.admin_listen),
            ("data_dir", self.data_dir != other.data_dir),
            ("plugins_dir", self.plugins_dir != other.plugins_dir),
            ("plugins_lock or plugins_key", self.trust != other.trust),
            ("limits", self.limits != Limits { dedup: self.limits.dedup, ..other.limits.clone() }),
            ("plugins", self.plugin_limits != other.plugin_limits),
            ("dedup_window or dedup_retention", self.limits.dedup != other.limits.dedup),
            ("reload", self.reload != other.reload || self.proof != other.proof),
            ("reopen_within", self.reopen_within != other.reopen_within),
            ("delivered_retention", self.delivered_retention != other.delivered_retention),
            ("tls", presence(self.tls.as_ref()) != presence(other.tls.as_ref())),
            ("admin_tls", presence(self.admin_tls.as_ref()) != presence(other.admin_tls.as_ref())),
            ("trusted_proxies", self.trusted_proxies != other.trusted_proxies),
            ("drain_timeout", self.drain_timeout != other.drain_timeout),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }

    /// How many plugins keep instances between events.
    pub fn reusing_plugins(&self) -> u32 {
        self.plugin_limits.values().filter(|limits| limits.events_per_instance > NonZeroU32::MIN).count() as u32
    }

    /// The files that it is made of, its own path first.
    pub fn files(&self, path: &Path) -> Vec<PathBuf> {
        let tls = [&self.tls, &self.admin_tls].into_iter().flatten();
        let tls = tls.flat_map(|files| [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]);
        let of_destinations = self.outbound.destinations.iter().flat_map(Destination::files);
        let of_sources = self.pulls.values().flat_map(|pull| pull.endpoint.files());
        let files = tls.flatten().chain(of_destinations).chain(of_sources).map(PathBuf::as_path);
        std::iter::once(path).chain(files).map(Path::to_owned).collect()
    }

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
        let mut limits = limits(file.limits);
        let Dedup { retention, window } = limits.dedup;
        limits.dedup = Dedup {
            retention: file.dedup_retention.map_or(retention, |time| time.0.into()),
            window: file.dedup_window.map_or(window, |time| time.0.into()),
        };
        ensure!(
            limits.payload_bytes <= limits.body_memory_bytes,
            "`limits.body_memory_mib` is {}, which no payload of `payload_mib` {} fits in; raise it or lower that",
            limits.body_memory_bytes / MIB,
            limits.payload_bytes / MIB
        );
        let listen = file.listen.map_or(SocketAddr::from(([127, 0, 0, 1], 8080)), |address| address.0);
        let admin_listen = file.admin_listen.map(|address| address.0);
        ensure!(
            admin_listen.is_some() || file.admin_tls.is_none(),
            "`admin_tls` is for `admin_listen`, which is not set; set it, or use `tls`"
        );
        let mut warnings = Vec::new();
        for (key, address, tls_key, has_tls) in [
            ("listen", Some(listen), "tls", file.tls.is_some()),
            ("admin_listen", admin_listen, "admin_tls", file.admin_tls.is_some()),
        ] {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback() && !has_tls) {
                warnings.push(format!(
                    "`{key}` {address} is reached from elsewhere and has no TLS: what is sent there can be read and \
                     changed on its way; set `{tls_key}`, or listen on 127.0.0.1 behind a proxy that has it"
                ));
            }
        }
        let (mut sources, mut pulls) = (Vec::new(), Pulls::new());
        for (name, source) in file.sources {
            let (settings, pull) = source
                .with_files(folder)
                .and_then(|mut source| {
                    let (pull, secrets) = (source.take_pull()?, source.take_secrets()?);
                    Ok((source.into_settings(name.as_str(), &secrets, &limits, &mut warnings)?, pull))
                })
                .with_context(|| format!("sources.{name}"))?;
            let source = Source::new(name.into(), Origin::Configured, settings);
            pulls.extend(pull.map(|pull| (source.name.clone(), Arc::new(pull))));
            sources.push(source);
        }
        let has_tls = if admin_listen.is_some() { file.admin_tls.is_some() } else { file.tls.is_some() };
        let own = format!("{}://{}", if has_tls { "https" } else { "http" }, admin_listen.unwrap_or(listen));
        let public_url = file.public_url.map_or(own, |url| url.0.to_string());
        let public_url = public_url.trim_end_matches('/').to_owned();
        let outbound = outbound(file.webhooks, file.destinations, file.notifications, public_url, folder)?;
        let plugin_limits = file.plugins.into_iter().map(|(name, own)| (name.into(), own.over(&limits.call))).collect();
        Ok(Self {
            listen,
            admin_listen,
            tls: file.tls.map(|tls| tls.files(folder)),
            admin_tls: file.admin_tls.map(|tls| tls.files(folder)),
            data_dir: folder.join(file.data_dir.map_or(PathBuf::from(DATA_DIR), |path| path.0)),
            plugins_dir: folder.join(file.plugins_dir.map_or(PathBuf::from(PLUGINS_DIR), |path| path.0)),
            trust: Trust {
                lock: file.plugins_lock.map(|path| folder.join(path.0)),
                key: file.plugins_key.map(|key| key.0),
            },
            plugin_limits,
            reload: file.reload.map_or(Reload::Verified, |reload| reload.0),
            proof: Bounds {
                payloads: file.reload_payloads.map_or(PROOF_PAYLOADS, |count| count.0),
                time: file.reload_time.map_or(PROOF_TIME, |time| time.0.into()),
            },
            reopen_within: file.reopen_within.map_or(30 * DAY, |time| time.0.into()),
            drain_timeout: file.drain_timeout.map_or(Duration::from_secs(30), |time| time.0.into()),
            trusted_proxies: file.trusted_proxies.into_iter().map(|network| network.0).collect(),
            limits,
            sources,
            pulls,
            outbound,
            delivered_retention: file.delivered_retention.map_or(30 * DAY, |time| time.0.into()),
            warnings,
        })
    }
}

fn outbound(
    webhooks: BTreeMap<file::Name, destination::Receiver>,
    declared: BTreeMap<file::Name, destination::Receiver>,
    notifications: Vec<notification::Notification>,
    public_url: String,
    folder: &Path,
) -> Result<Outbound> {
    let mut outbound = Outbound { public_url, ..Outbound::default() };
    let mut recipes = BTreeMap::new();
    let webhooks = webhooks.into_iter().map(|(name, receiver)| {
        let webhook = receiver.into_webhook(name.as_str(), folder);
        webhook.with_context(|| format!("webhooks.{name}"))
    });
    let declared = declared.into_iter().map(|(name, receiver)| {
        let destination = receiver.into_destination(name.as_str(), folder);
        destination.with_context(|| format!("destinations.{name}"))
    });
    for declared in webhooks.chain(declared) {
        let (destination, recipe) = declared?;
        let name = destination.name.clone();
        ensure!(
            recipes.insert(name.clone(), recipe).is_none(),
            "`{name}` is among `webhooks` and among `destinations`; give one of them another name"
        );
        outbound.destinations.push(destination);
    }
    for notification in notifications {
        let name = notification.name().to_owned();
        let (rule, steps) = notification.into_rule(&recipes).with_context(|| format!("notifications: {name}"))?;
        ensure!(!outbound.notifications.contains_key(&name), "notifications: `{name}` is there twice");
        outbound.rules.extend(rule);
        outbound.notifications.insert(name, steps.into());
    }
    Ok(outbound)
}

/// A length of time as in the configuration: `30s`, `5m`, `2h`, `7d`.
///
/// # Errors
/// What is allowed.
pub fn period(text: &str) -> Result<Duration, String> {
    text.parse::<file::Period>().map(Duration::from)
}

/// Whether there is TLS, and with clients' certificates: the files may change, not what is asked of clients.
fn presence(tls: Option<&TlsFiles>) -> Option<bool> {
    tls.map(|files| files.client_ca.is_some())
}

const PROOF_PAYLOADS: usize = 200;
const PROOF_TIME: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn limits(file: file::Limits) -> Limits {
    let (call, default) = (file.call().over(&PluginLimits::default()), Limits::default());
    Limits {
        call,
        dedup: default.dedup,
        payload_bytes: file.payload_mib.map_or(default.payload_bytes, |mib| mib.0.bytes()),
        instances: file.instances.map_or(default.instances, |count| count.0.get()),
        store_queue: file.store_queue.map_or(default.store_queue, |count| count.0.get()),
        connections: file.connections.map_or(default.connections, |count| count.0.get()),
        head_timeout: file.head_timeout.map_or(default.head_timeout, |time| time.0.into()),
        body_timeout: file.body_timeout.map_or(default.body_timeout, |time| time.0.into()),
        body_memory_bytes: file.body_memory_mib.map_or(default.body_memory_bytes, |mib| mib.0.bytes()),
        requests_per_second: file.requests_per_second.map(|count| count.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

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
            .replace("notifications: []\n", "notifications:\n")
            .lines()
            .map(|line| match line.trim_start().strip_prefix("#:") {
                Some(rest) => format!("{}{rest}\n", &line[..line.len() - line.trim_start().len()]),
                None => format!("{line}\n"),
            })
            .collect();
        let folder = folder_with_certificates();
        let config = Config::parse(&in_force, folder.path()).unwrap();
        assert_eq!((config.sources.len(), config.outbound.destinations.len()), (9, 12));
        assert_eq!((config.outbound.rules.len(), config.outbound.notifications.len()), (5, 5));
        assert_eq!(config.files(Path::new("hookmill.yaml")).len(), 11);
        assert!(config.admin_listen.is_some());
    }

    /// The files that the reference names for destinations.
    fn folder_with_certificates() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tls")).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join("tls").join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        };
        let signed = rcgen::generate_simple_self_signed(["client.example".to_owned()]).unwrap();
        for name in ["partner-ca.pem", "client.pem"] {
            write(name, signed.cert.pem().as_bytes());
        }
        write("client.key", signed.signing_key.serialize_pem().as_bytes());
        let certificate = p12_keystore::Certificate::from_der(signed.cert.der()).unwrap();
        let key = p12_keystore::PrivateKey::from_der(&signed.signing_key.serialize_der()).unwrap();
        let chain = p12_keystore::PrivateKeyChain::new("1", key, [certificate.clone()]);
        for (name, entry) in [
            ("legacy-ca.p12", p12_keystore::KeyStoreEntry::Certificate(certificate)),
            ("client.p12", p12_keystore::KeyStoreEntry::PrivateKeyChain(chain)),
        ] {
            let mut store = p12_keystore::KeyStore::new();
            store.add_entry("one", entry);
            write(name, &store.writer("changeit").write().unwrap());
        }
        folder
    }
}
