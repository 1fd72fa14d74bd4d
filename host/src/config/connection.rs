//! The keys of a connection to another host, which destinations and sources that the host reads have in common.

use super::scalar::Period;
use super::value::Interpolated;
use anyhow::{Result, ensure};
use hookmill_connection::{CertificateFile, ClientCertificate, ConnectionOptions};
use ipnet::IpNet;
use reqwest::Url;
use std::path::{Path, PathBuf};

/// Takes the keys of a connection out of a declaration. The declarations do not embed [`ConnectionKeys`], because serde
/// reports unknown keys beside flattened ones at the wrong line and without the list of known keys.
macro_rules! take_connection {
    ($declared:expr) => {
        $crate::config::connection::ConnectionKeys {
            allow_networks: std::mem::take(&mut $declared.allow_networks),
            proxy: $declared.proxy.take(),
            ca: $declared.ca.take(),
            ca_password: $declared.ca_password.take(),
            client_certificate: $declared.client_certificate.take(),
            client_key: $declared.client_key.take(),
            client_password: $declared.client_password.take(),
            connect_timeout: $declared.connect_timeout.take(),
            timeout: $declared.timeout.take(),
        }
    };
}

pub(super) use take_connection;

/// The keys of a connection as declared.
pub(super) struct ConnectionKeys {
    pub allow_networks: Vec<Interpolated<IpNet>>,
    pub proxy: Option<Interpolated<Url>>,
    pub ca: Option<Interpolated<PathBuf>>,
    pub ca_password: Option<Interpolated<String>>,
    pub client_certificate: Option<Interpolated<PathBuf>>,
    pub client_key: Option<Interpolated<PathBuf>>,
    pub client_password: Option<Interpolated<String>>,
    pub connect_timeout: Option<Interpolated<Period>>,
    pub timeout: Option<Interpolated<Period>>,
}

impl ConnectionKeys {
    /// Returns the options of the connection. Relative paths start at `folder`.
    ///
    /// # Errors
    /// Returns an error if there is a password or a key without the file that it belongs to.
    pub fn into_options(self, folder: &Path) -> Result<ConnectionOptions> {
        let Self { ca, ca_password, client_certificate, client_key, client_password, .. } = self;
        ensure!(
            ca.is_some() || ca_password.is_none(),
            "`ca_password` is set without `ca`; set `ca` or remove `ca_password`"
        );
        ensure!(
            client_certificate.is_some() || (client_key.is_none() && client_password.is_none()),
            "`client_key` or `client_password` is set without `client_certificate`; set `client_certificate` or remove them"
        );
        let file = |path: Interpolated<PathBuf>, password: Option<Interpolated<String>>| {
            CertificateFile::new(folder, &path.0, password.map(|text| text.0))
        };
        Ok(ConnectionOptions {
            allow_networks: self.allow_networks.into_iter().map(|network| network.0).collect(),
            proxy: self.proxy.map(|url| url.0),
            ca: ca.map(|path| file(path, ca_password)),
            client: client_certificate.map(|path| ClientCertificate {
                certificate: file(path, client_password),
                key: client_key.map(|path| folder.join(path.0)),
            }),
            connect_timeout: self.connect_timeout.map(|time| time.0.into()),
            timeout: self.timeout.map(|time| time.0.into()),
            is_stream: false,
        })
    }
}
