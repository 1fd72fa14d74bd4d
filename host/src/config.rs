//! The configuration file, decoded once: the rest of the program gets typed, checked values.
//!
//! `file` has the shape of the file. Its values are texts, which `value` interpolates from the environment and parses.
//! The declarations of sources, destinations, notifications and limits become options of the modules that they
//! configure; [`Config`] is all of them together. Values that cannot work are refused
//! here, with an error that explains what to do.

mod backup;
mod choice;
mod connection;
mod database;
mod destination;
mod file;
mod keys;
mod limits;
mod listing;
mod notification;
mod pull;
mod retention;
mod scalar;
mod settings;
mod source;
mod source_settings;
mod source_yaml;
mod traces;
mod typed;
mod value;

pub use database::DatabaseSettings;
pub use limits::Limits;
pub use listing::{ListedSetting, SettingOrigin, registered};
pub use settings::Settings;
pub use source::{SourceDeclaration, declaration_as_text};
pub use source_yaml::source_yaml;

use crate::deliver::{Destination, Notifications};
use crate::pull::Pulls;
use crate::release::options::Reload;
use crate::release::proof::ProofBounds;
use crate::release::trust::Trust;
use crate::source::{Source, SourceOrigin};
use anyhow::{Context, Result, anyhow, ensure};
use destination::{Base, DestinationDeclaration};
use file::ConfigFile;
use hookmill_connection::SystemTls;
use hookmill_notify::Rule;
use notification::NotificationDeclaration;
use scalar::{Age, Name, Period};
use std::collections::BTreeMap;
use std::net::SocketAddr;
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
    /// The settings of the host itself.
    pub settings: Settings,
    /// The sources.
    pub sources: Vec<Source>,
    /// The readers of the sources that do not post, by name.
    pub pulls: Pulls,
    /// Destinations and notifications.
    pub outbound: OutboundConfig,
    /// The values as operators see them.
    pub listing: Vec<ListedSetting>,
    /// Remarks on settings that are valid but probably not intended.
    pub warnings: Vec<String>,
}

/// The configuration of everything that the host sends.
#[derive(Debug, Default)]
pub struct OutboundConfig {
    /// The destinations.
    pub destinations: Vec<Destination>,
    /// The rules that select which events and audit entries cause a notification.
    pub rules: Vec<Rule>,
    /// The steps of the notifications.
    pub notifications: Notifications,
    /// The base of links to this host; empty if it is not known.
    pub public_url: String,
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Returns an error that names file, line, column, key and the allowed values.
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
        Self::read(text, folder).map_err(|error| {
            let message = format!("{error:#}");
            let shown = value::without_environment(&message, text);
            if shown == message { error } else { anyhow!(shown) }
        })
    }

    fn read(text: &str, folder: &Path) -> Result<Self> {
        let file = ConfigFile::parse(text)?;
        let limits = file.limits.into_limits(file.dedup_retention, file.dedup_window)?;
        let duration =
            |period: Option<value::Interpolated<Period>>, default| period.map_or(default, |time| time.0.into());
        let settings = Settings {
            listen: file.listen.map_or(SocketAddr::from(LISTEN), |address| address.0),
            admin_listen: file.admin_listen.map(|address| address.0),
            tls: file.tls.map(|tls| tls.files(folder)),
            admin_tls: file.admin_tls.map(|tls| tls.files(folder)),
            database: DatabaseSettings::new(file.database, file.database_profile, file.database_ca, folder)?,
            data_dir: folder.join(file.data_dir.map_or(PathBuf::from(DATA_DIR), |path| path.0)),
            plugins_dir: folder.join(file.plugins_dir.map_or(PathBuf::from(PLUGINS_DIR), |path| path.0)),
            plugins_dir_shared: file.plugins_dir_shared.is_some_and(|shared| shared.0),
            precompiled_dir: file.precompiled_dir.map(|path| folder.join(path.0)),
            trust: Trust {
                lock: file.plugins_lock.map(|path| folder.join(path.0)),
                key: file.plugins_key.map(|key| key.0),
            },
            plugin_limits: file.plugins.into_iter().map(|(name, own)| (name.into(), own.over(&limits.call))).collect(),
            limits,
            reload: file.reload.map_or(Reload::Verified, |reload| reload.0),
            proof: ProofBounds {
                payloads: file.reload_payloads.map_or(PROOF_PAYLOADS, |count| count.0),
                time: duration(file.reload_time, PROOF_TIME),
            },
            reopen_within: duration(file.reopen_within, REOPEN_WITHIN),
            drain_timeout: duration(file.drain_timeout, DRAIN_TIMEOUT),
            trusted_proxies: file.trusted_proxies.into_iter().map(|network| network.0).collect(),
            delivered_retention: duration(file.delivered_retention, DELIVERED_RETENTION),
            backup: file.backup.map(|backup| backup.schedule(folder)).transpose().context("`backup`")?,
            retention: file.retention.into_retention()?,
            traces: file.traces.map(|traces| traces.into_options(folder)).transpose().context("traces")?,
        };
        ensure!(
            settings.admin_listen.is_some() || settings.admin_tls.is_none(),
            "`admin_tls` is set without `admin_listen`; set `admin_listen`, or use `tls`"
        );
        let mut warnings = settings.warnings();
        let base = Base { folder, system_tls: &SystemTls::default() };
        let (sources, pulls) = sources(file.sources, base, &settings.limits, &mut warnings)?;
        let public_url = match file.public_url {
            Some(url) => url.0.to_string(),
            None => settings.own_url().unwrap_or_else(|warning| {
                warnings.push(warning);
                String::new()
            }),
        };
        let public_url = public_url.trim_end_matches('/').to_owned();
        let outbound = outbound(file.webhooks, file.destinations, file.notifications, public_url, base)?;
        if settings.traces.is_none() {
            warnings.extend(outbound.destinations.iter().filter(|to| to.channel.sends_traceparent()).map(|to| {
                format!(
                    "`traceparent` of destination `{}` has no effect without `traces`; set `traces`, or remove it",
                    to.name
                )
            }));
        }
        Ok(Self { settings, sources, pulls, outbound, listing: listing::listing(text, DEFAULT)?, warnings })
    }

    /// Returns the files that the configuration consists of: its own path, then the certificates and keys that it
    /// names.
    pub fn files(&self, path: &Path) -> Vec<PathBuf> {
        let of_destinations = self.outbound.destinations.iter().flat_map(Destination::files);
        let of_pulls = self.pulls.values().flat_map(|pull| pull.endpoint.files());
        let of_sources = self.sources.iter().flat_map(|source| source.settings.files());
        let outbound = of_destinations.chain(of_pulls).map(PathBuf::as_path).chain(of_sources);
        std::iter::once(path).chain(self.settings.files()).chain(outbound).map(Path::to_owned).collect()
    }
}

fn sources(
    declared: BTreeMap<Name, SourceDeclaration>,
    base: Base,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Source>, Pulls)> {
    let (mut sources, mut pulls) = (Vec::new(), Pulls::new());
    for (name, declaration) in declared {
        let (settings, pull) = declaration
            .with_files(base.folder)
            .and_then(|mut source| {
                let (pull, secrets) = (source.take_pull(base.system_tls)?, source.take_secrets()?);
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
    base: Base,
) -> Result<OutboundConfig> {
    let mut outbound = OutboundConfig { public_url, ..OutboundConfig::default() };
    let mut contents = BTreeMap::new();
    let webhooks = webhooks.into_iter().map(|(name, declaration)| {
        let webhook = declaration.into_webhook(name.as_str(), base);
        webhook.with_context(|| format!("webhooks.{name}"))
    });
    let destinations = destinations.into_iter().map(|(name, declaration)| {
        let destination = declaration.into_destination(name.as_str(), base);
        destination.with_context(|| format!("destinations.{name}"))
    });
    for built in webhooks.chain(destinations) {
        let (destination, content) = built?;
        let name = destination.name.clone();
        ensure!(
            contents.insert(name.clone(), content).is_none(),
            "`{name}` is defined in `webhooks` and in `destinations`; rename one of the two"
        );
        outbound.destinations.push(destination);
    }
    for declaration in notifications {
        let name = declaration.name().to_owned();
        let (rule, steps) = declaration.into_rule(&contents).with_context(|| format!("notifications: {name}"))?;
        ensure!(
            !outbound.notifications.contains_key(&name),
            "notifications: the name `{name}` is used twice; rename one of the notifications"
        );
        outbound.rules.extend(rule);
        outbound.notifications.insert(name, steps.into());
    }
    Ok(outbound)
}

/// Parses a duration in the form of the configuration: `30s`, `5m`, `2h`, `7d`.
///
/// # Errors
/// Returns an error that names the allowed forms.
pub fn period(text: &str) -> Result<Duration, String> {
    text.parse::<Period>().map(Duration::from)
}

/// Parses an age in the form of `retention`: `90d`, `1y`.
///
/// # Errors
/// Returns an error that names the allowed forms.
pub fn age(text: &str) -> Result<Duration, String> {
    let age = text.parse::<Age>()?.get();
    age.ok_or_else(|| "`never` is not a duration; write a duration such as `90d` or `2y`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_default_is_a_valid_configuration() {
        let config = Config::parse(DEFAULT, Path::new("/etc/hookmill")).unwrap();
        assert_eq!(config.settings.data_dir, Path::new("/etc/hookmill/data"));
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
        assert_eq!((config.sources.len(), config.outbound.destinations.len()), (23, 13));
        assert_eq!((config.outbound.rules.len(), config.outbound.notifications.len()), (5, 5));
        assert_eq!(config.files(Path::new("hookmill.yaml")).len(), 15);
        assert!(config.settings.admin_listen.is_some());
    }

    /// Returns a folder with the files that the reference names.
    fn folder_with_certificates() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tls")).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join("tls").join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        };
        let signed = rcgen::generate_simple_self_signed(["client.example".to_owned()]).unwrap();
        for name in ["partner-ca.pem", "issuer-ca.pem", "client.pem"] {
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
