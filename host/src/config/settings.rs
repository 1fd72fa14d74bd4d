//! The settings of the host itself, most of which take effect only at a start.

use super::database::{DatabaseSettings, address};
use super::limits::Limits;
use super::value::read;
use crate::backup::Schedule;
use crate::release::options::Reload;
use crate::release::proof::ProofBounds;
use crate::release::trust::Trust;
use crate::traces::TracesOptions;
use anyhow::{Error, Result, ensure};
use hookmill_listen::TlsFiles;
use hookmill_sandbox::PluginLimits;
use hookmill_store::{DatabaseAddress, Profile, Retention};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The checked configuration except sources, destinations and notifications.
#[derive(Debug)]
pub struct Settings {
    /// The address for webhooks, and for everything else unless `admin_listen` is set.
    pub listen: SocketAddr,
    /// The address of the API, if the API is kept apart.
    pub admin_listen: Option<SocketAddr>,
    /// The certificate and key of `listen`.
    pub tls: Option<TlsFiles>,
    /// The certificate and key of `admin_listen`.
    pub admin_tls: Option<TlsFiles>,
    /// The database that this host shares with others; `None` for the embedded one in `data_dir`.
    pub database: Option<DatabaseSettings>,
    /// The folder of the embedded database and the compiled plugins.
    pub data_dir: PathBuf,
    /// The folder of the plugins.
    pub plugins_dir: PathBuf,
    /// Permission for other users to write in the plugins folder.
    pub plugins_dir_shared: bool,
    /// The folder of compiled plugins that were installed with the program.
    pub precompiled_dir: Option<PathBuf>,
    /// The digests or signatures that plugin files must have.
    pub trust: Trust,
    /// The limits of the host and of one call of a plugin.
    pub limits: Limits,
    /// The limits of single plugins.
    pub plugin_limits: BTreeMap<String, PluginLimits>,
    /// The condition under which a new version of a mapper goes live.
    pub reload: Reload,
    /// The size of the proof that a new version must pass.
    pub proof: ProofBounds,
    /// The time after its end within which the vendor can reopen an incident.
    pub reopen_within: Duration,
    /// The time that a stopping host waits for unfinished requests and deliveries.
    pub drain_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The time for which finished deliveries are kept.
    pub delivered_retention: Duration,
    /// The schedule of backups.
    pub backup: Option<Schedule>,
    /// The ages from which other rows are removed.
    pub retention: Retention,
    /// Where traces go; `None` if there are none.
    pub traces: Option<TracesOptions>,
}

impl Settings {
    /// Returns the address of another database, of the kind of `database` and with the same authorities of its certificate. The
    /// URL is interpolated as a value of the configuration.
    ///
    /// # Errors
    /// Returns an error if the URL cannot be used. The error does not quote the URL.
    pub fn database_address(&self, url: &str) -> Result<DatabaseAddress> {
        let url: String = read(url).map_err(Error::msg)?;
        let database = self.database.as_ref();
        let profile = database.map_or(Profile::Postgres, |database| database.profile);
        address(&url, profile, database.and_then(|database| database.ca.as_deref()))
    }

    /// Returns the keys that differ from another configuration and take effect only at a start.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        // All fields are named, so that a new one is not forgotten here.
        let Self {
            listen,
            admin_listen,
            tls,
            admin_tls,
            database,
            data_dir,
            plugins_dir,
            plugins_dir_shared,
            precompiled_dir,
            trust,
            limits,
            plugin_limits,
            reload,
            proof,
            reopen_within,
            drain_timeout,
            trusted_proxies,
            delivered_retention,
            backup,
            retention,
            traces,
        } = self;
        let differs = [
            ("listen", *listen != other.listen),
            ("admin_listen", *admin_listen != other.admin_listen),
            ("database", *database != other.database),
            ("data_dir", *data_dir != other.data_dir),
            ("plugins_dir", *plugins_dir != other.plugins_dir),
            ("plugins_dir_shared", *plugins_dir_shared != other.plugins_dir_shared),
            ("precompiled_dir", *precompiled_dir != other.precompiled_dir),
            ("plugins_lock or plugins_key", *trust != other.trust),
            ("limits", *limits != Limits { dedup: limits.dedup, ..other.limits.clone() }),
            ("plugins", *plugin_limits != other.plugin_limits),
            ("dedup_window or dedup_retention", limits.dedup != other.limits.dedup),
            ("reload", *reload != other.reload || *proof != other.proof),
            ("reopen_within", *reopen_within != other.reopen_within),
            ("delivered_retention", *delivered_retention != other.delivered_retention),
            ("backup", *backup != other.backup),
            ("retention", *retention != other.retention),
            ("tls", client_authentication(tls.as_ref()) != client_authentication(other.tls.as_ref())),
            ("admin_tls", client_authentication(admin_tls.as_ref()) != client_authentication(other.admin_tls.as_ref())),
            ("trusted_proxies", *trusted_proxies != other.trusted_proxies),
            ("drain_timeout", *drain_timeout != other.drain_timeout),
            ("traces", *traces != other.traces),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }

    /// Returns the number of plugins that keep instances between events.
    pub fn reusing_plugins(&self) -> u32 {
        self.plugin_limits.values().filter(|limits| limits.events_per_instance > NonZeroU32::MIN).count() as u32
    }

    /// Returns the certificates and keys of both addresses.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let tls = [&self.tls, &self.admin_tls].into_iter().flatten();
        let files = tls.flat_map(|files| [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]);
        let database = self.database.iter().filter_map(|database| database.ca.as_ref());
        files.flatten().chain(database).map(PathBuf::as_path)
    }

    /// Returns remarks on addresses that other machines can reach without TLS.
    pub(super) fn warnings(&self) -> Vec<String> {
        let addresses = [
            ("listen", Some(self.listen), "tls", &self.tls),
            ("admin_listen", self.admin_listen, "admin_tls", &self.admin_tls),
        ];
        let open = addresses.into_iter().filter_map(|(key, address, tls_key, tls)| {
            let address = address.filter(|address| !address.ip().is_loopback() && tls.is_none())?;
            Some(format!(
                "`{key}` {address} can be reached from other machines and has no TLS: others can read and change what is \
                 sent there; set `{tls_key}`, or listen on 127.0.0.1 behind a proxy that has TLS"
            ))
        });
        open.collect()
    }

    /// Returns whether the address of the API has TLS.
    pub fn api_has_tls(&self) -> bool {
        let (_, _, has_tls) = self.api_address();
        has_tls
    }

    /// Returns the base of links to this host, unless one is configured.
    ///
    /// # Errors
    /// Returns a warning if the host listens on all its addresses, because others cannot connect to 0.0.0.0.
    pub(super) fn own_url(&self) -> Result<String, String> {
        let (key, address, tls) = self.api_address();
        if address.ip().is_unspecified() {
            return Err(format!(
                "`{key}` {address} is not an address to which others can connect, so messages contain no link; set \
                 `public_url` to the address of this host as others see it"
            ));
        }
        Ok(url(address, tls))
    }

    /// Returns the URL at which programs on this machine reach the API.
    ///
    /// # Errors
    /// Returns an error if the system chooses the port.
    pub fn local_url(&self) -> Result<String> {
        let (key, address, _) = self.api_address();
        ensure!(address.port() != 0, "`{key}` has port 0, for which the system chooses one");
        Ok(self.local_url_at(address))
    }

    /// Returns the URL at which programs on this machine reach the API, which listens on this address.
    pub fn local_url_at(&self, mut address: SocketAddr) -> String {
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        url(address, self.api_has_tls())
    }

    /// Returns the key and the address at which the API is, with its certificate.
    fn api_address(&self) -> (&'static str, SocketAddr, bool) {
        match self.admin_listen {
            Some(address) => ("admin_listen", address, self.admin_tls.is_some()),
            None => ("listen", self.listen, self.tls.is_some()),
        }
    }
}

fn url(address: SocketAddr, has_tls: bool) -> String {
    format!("{}://{address}", if has_tls { "https" } else { "http" })
}

/// Returns whether there is TLS, and whether clients need certificates. The files may change while the host runs; the
/// requirement for client certificates may not.
fn client_authentication(tls: Option<&TlsFiles>) -> Option<bool> {
    tls.map(|files| files.client_ca.is_some())
}
