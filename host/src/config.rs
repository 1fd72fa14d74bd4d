//! The configuration file, decoded once: the rest of the program gets typed, checked values.
//!
//! `file` has the shape of the file. Its values are texts, which `value` interpolates from the environment and parses.
//! The declarations of sources, destinations, notifications and limits become options of the modules that they
//! configure;
//! [`Config`] is all of them together. Whatever cannot work is refused here, with a sentence that says what to do.

mod choice;
mod connection;
mod destination;
mod file;
mod limits;
mod notification;
mod pull;
mod scalar;
mod source;
mod source_settings;
mod typed;
mod value;

pub use limits::Limits;
pub use source::SourceDeclaration;

use crate::deliver::{Destination, Notifications};
use crate::pull::Pulls;
use crate::release::decision::Reload;
use crate::release::proof::ProofBounds;
use crate::release::trust::Trust;
use crate::source::{Source, SourceOrigin};
use anyhow::{Context, Result, ensure};
use destination::DestinationDeclaration;
use file::File;
use hookmill_listen::TlsFiles;
use hookmill_notify::Rule;
use hookmill_sandbox::PluginLimits;
use ipnet::IpNet;
use notification::NotificationDeclaration;
use scalar::{Name, Period};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The commented default configuration, which is the reference of every key.
pub const DEFAULT: &str = include_str!("../hookmill.default.yaml");

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
const DATA_DIR: &str = "data";
const PLUGINS_DIR: &str = "plugins";
const PROOF_PAYLOADS: usize = 200;
const PROOF_TIME: Duration = Duration::from_secs(10);
const REOPEN_WITHIN: Duration = DAY.saturating_mul(30);
const DELIVERED_RETENTION: Duration = DAY.saturating_mul(30);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The address for webhooks, and for everything else unless `admin_listen` is set.
    pub listen: SocketAddr,
    /// The address of the API, if the API is kept apart.
    pub admin_listen: Option<SocketAddr>,
    /// The certificate and key of `listen`.
    pub tls: Option<TlsFiles>,
    /// The certificate and key of `admin_listen`.
    pub admin_tls: Option<TlsFiles>,
    /// The folder of the database and the compiled plugins.
    pub data_dir: PathBuf,
    /// The folder of the plugins.
    pub plugins_dir: PathBuf,
    /// Whether other users may be able to write in the plugins folder.
    pub plugins_dir_shared: bool,
    /// The digests or signatures that plugin files must have.
    pub trust: Trust,
    /// The limits of the host and of one call of a plugin.
    pub limits: Limits,
    /// The limits of single plugins.
    pub plugin_limits: BTreeMap<String, PluginLimits>,
    /// When a new version of a mapper goes live.
    pub reload: Reload,
    /// The size of the proof that a new version must pass.
    pub proof: ProofBounds,
    /// The time after its end within which the vendor can reopen an incident.
    pub reopen_within: Duration,
    /// The time that a stopping host waits for unfinished requests and deliveries.
    pub drain_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The sources.
    pub sources: Vec<Source>,
    /// The readers of the sources that do not post, by name.
    pub pulls: Pulls,
    /// Destinations and notifications.
    pub outbound: OutboundConfig,
    /// The time for which finished deliveries are kept.
    pub delivered_retention: Duration,
    /// Remarks on settings that are valid but probably not intended.
    pub warnings: Vec<String>,
}

/// Everything that decides what leaves the host.
#[derive(Debug, Default)]
pub struct OutboundConfig {
    /// The destinations.
    pub destinations: Vec<Destination>,
    /// The rules that select which events and audit entries cause a notification.
    pub rules: Vec<Rule>,
    /// The steps of the notifications.
    pub notifications: Notifications,
    /// The base of links to this host.
    pub public_url: String,
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Returns an error that names file, line, column and key, and says what is allowed there.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read the configuration {}; `hookmill config` prints a commented default", path.display())
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).with_context(|| format!("in the configuration {}", path.display()))
    }

    /// Checks the text of a configuration whose relative paths start at `folder`.
    ///
    /// # Errors
    /// Returns the same errors as [`Config::load`], without the name of the file.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let file = File::parse(text)?;
        let limits = file.limits.into_limits(file.dedup_retention, file.dedup_window)?;
        let listen = file.listen.map_or(SocketAddr::from(LISTEN), |address| address.0);
        let admin_listen = file.admin_listen.map(|address| address.0);
        let (tls, admin_tls) = (file.tls.map(|tls| tls.files(folder)), file.admin_tls.map(|tls| tls.files(folder)));
        ensure!(
            admin_listen.is_some() || admin_tls.is_none(),
            "`admin_tls` is set without `admin_listen`; set `admin_listen`, or use `tls`"
        );
        let mut warnings = Vec::new();
        warn_without_tls("listen", Some(listen), "tls", tls.as_ref(), &mut warnings);
        warn_without_tls("admin_listen", admin_listen, "admin_tls", admin_tls.as_ref(), &mut warnings);
        let (sources, pulls) = sources(file.sources, folder, &limits, &mut warnings)?;
        let api = admin_listen.map_or((listen, &tls), |address| (address, &admin_tls));
        let public_url = file.public_url.map_or_else(|| own_url(api.0, api.1.as_ref()), |url| url.0.to_string());
        let public_url = public_url.trim_end_matches('/').to_owned();
        let outbound = outbound(file.webhooks, file.destinations, file.notifications, public_url, folder)?;
        let plugin_limits = file.plugins.into_iter().map(|(name, own)| (name.into(), own.over(&limits.call))).collect();
        let duration =
            |period: Option<value::Interpolated<Period>>, default| period.map_or(default, |time| time.0.into());
        Ok(Self {
            listen,
            admin_listen,
            tls,
            admin_tls,
            data_dir: folder.join(file.data_dir.map_or(PathBuf::from(DATA_DIR), |path| path.0)),
            plugins_dir: folder.join(file.plugins_dir.map_or(PathBuf::from(PLUGINS_DIR), |path| path.0)),
            plugins_dir_shared: file.plugins_dir_shared.is_some_and(|shared| shared.0),
            trust: Trust {
                lock: file.plugins_lock.map(|path| folder.join(path.0)),
                key: file.plugins_key.map(|key| key.0),
            },
            plugin_limits,
            reload: file.reload.map_or(Reload::Verified, |reload| reload.0),
            proof: ProofBounds {
                payloads: file.reload_payloads.map_or(PROOF_PAYLOADS, |count| count.0),
                time: duration(file.reload_time, PROOF_TIME),
            },
            reopen_within: duration(file.reopen_within, REOPEN_WITHIN),
            drain_timeout: duration(file.drain_timeout, DRAIN_TIMEOUT),
            trusted_proxies: file.trusted_proxies.into_iter().map(|network| network.0).collect(),
            limits,
            sources,
            pulls,
            outbound,
            delivered_retention: duration(file.delivered_retention, DELIVERED_RETENTION),
            warnings,
        })
    }

    /// Returns the keys that differ from another configuration and take effect only at a start.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("listen", self.listen != other.listen),
            ("admin_listen", self.admin_listen != other.admin_listen),
            ("data_dir", self.data_dir != other.data_dir),
            ("plugins_dir", self.plugins_dir != other.plugins_dir),
            ("plugins_dir_shared", self.plugins_dir_shared != other.plugins_dir_shared),
            ("plugins_lock or plugins_key", self.trust != other.trust),
            ("limits", self.limits != Limits { dedup: self.limits.dedup, ..other.limits.clone() }),
            ("plugins", self.plugin_limits != other.plugin_limits),
            ("dedup_window or dedup_retention", self.limits.dedup != other.limits.dedup),
            ("reload", self.reload != other.reload || self.proof != other.proof),
            ("reopen_within", self.reopen_within != other.reopen_within),
            ("delivered_retention", self.delivered_retention != other.delivered_retention),
            ("tls", client_authentication(self.tls.as_ref()) != client_authentication(other.tls.as_ref())),
            (
                "admin_tls",
                client_authentication(self.admin_tls.as_ref()) != client_authentication(other.admin_tls.as_ref()),
            ),
            ("trusted_proxies", self.trusted_proxies != other.trusted_proxies),
            ("drain_timeout", self.drain_timeout != other.drain_timeout),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }

    /// Returns the number of plugins that keep instances between events.
    pub fn reusing_plugins(&self) -> u32 {
        self.plugin_limits.values().filter(|limits| limits.events_per_instance > NonZeroU32::MIN).count() as u32
    }

    /// Returns the files that the configuration consists of: its own path, then the certificates and keys that it
    /// names.
    pub fn files(&self, path: &Path) -> Vec<PathBuf> {
        let tls = [&self.tls, &self.admin_tls].into_iter().flatten();
        let tls = tls.flat_map(|files| [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]);
        let of_destinations = self.outbound.destinations.iter().flat_map(Destination::files);
        let of_sources = self.pulls.values().flat_map(|pull| pull.endpoint.files());
        let files = tls.flatten().chain(of_destinations).chain(of_sources).map(PathBuf::as_path);
        std::iter::once(path).chain(files).map(Path::to_owned).collect()
    }
}

fn warn_without_tls(
    key: &str,
    address: Option<SocketAddr>,
    tls_key: &str,
    tls: Option<&TlsFiles>,
    warnings: &mut Vec<String>,
) {
    if let Some(address) = address.filter(|address| !address.ip().is_loopback() && tls.is_none()) {
        warnings.push(format!(
            "`{key}` {address} can be reached from other machines and has no TLS: others can read and change what is \
             sent there; set `{tls_key}`, or listen on 127.0.0.1 behind a proxy that has TLS"
        ));
    }
}

fn own_url(address: SocketAddr, tls: Option<&TlsFiles>) -> String {
    format!("{}://{address}", if tls.is_some() { "https" } else { "http" })
}

fn sources(
    declared: BTreeMap<Name, SourceDeclaration>,
    folder: &Path,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Source>, Pulls)> {
    let (mut sources, mut pulls) = (Vec::new(), Pulls::new());
    for (name, declaration) in declared {
        let (settings, pull) = declaration
            .with_files(folder)
            .and_then(|mut source| {
                let (pull, secrets) = (source.take_pull()?, source.take_secrets()?);
                Ok((source.into_settings(name.as_str(), &secrets, limits, warnings)?, pull))
            })
            .with_context(|| format!("sources.{name}"))?;
        let source = Source::new(name.into(), SourceOrigin::Configured, settings);
        pulls.extend(pull.map(|pull| (source.name.clone(), Arc::new(pull))));
        sources.push(source);
    }
    Ok((sources, pulls))
}

fn outbound(
    webhooks: BTreeMap<Name, DestinationDeclaration>,
    destinations: BTreeMap<Name, DestinationDeclaration>,
    notifications: Vec<NotificationDeclaration>,
    public_url: String,
    folder: &Path,
) -> Result<OutboundConfig> {
    let mut outbound = OutboundConfig { public_url, ..OutboundConfig::default() };
    let mut recipes = BTreeMap::new();
    let webhooks = webhooks.into_iter().map(|(name, declaration)| {
        let webhook = declaration.into_webhook(name.as_str(), folder);
        webhook.with_context(|| format!("webhooks.{name}"))
    });
    let destinations = destinations.into_iter().map(|(name, declaration)| {
        let destination = declaration.into_destination(name.as_str(), folder);
        destination.with_context(|| format!("destinations.{name}"))
    });
    for built in webhooks.chain(destinations) {
        let (destination, recipe) = built?;
        let name = destination.name.clone();
        ensure!(
            recipes.insert(name.clone(), recipe).is_none(),
            "`{name}` is among `webhooks` and among `destinations`; give one of them another name"
        );
        outbound.destinations.push(destination);
    }
    for declaration in notifications {
        let name = declaration.name().to_owned();
        let (rule, steps) = declaration.into_rule(&recipes).with_context(|| format!("notifications: {name}"))?;
        ensure!(!outbound.notifications.contains_key(&name), "notifications: there are two with the name `{name}`");
        outbound.rules.extend(rule);
        outbound.notifications.insert(name, steps.into());
    }
    Ok(outbound)
}

/// Parses a length of time as the configuration writes it: `30s`, `5m`, `2h`, `7d`.
///
/// # Errors
/// Returns an error that says what is allowed.
pub fn period(text: &str) -> Result<Duration, String> {
    text.parse::<Period>().map(Duration::from)
}

/// Returns whether there is TLS, and whether clients need certificates. The files may change while the host runs; what
/// is required of clients may not.
fn client_authentication(tls: Option<&TlsFiles>) -> Option<bool> {
    tls.map(|files| files.client_ca.is_some())
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

    /// The host knows every key of the reference, including those that are commented out there.
    #[test]
    fn the_default_with_every_key_in_force_is_valid() {
        // Keys that are empty by default have their example members below them.
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

    /// Returns a folder with the files that the reference names for destinations.
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
