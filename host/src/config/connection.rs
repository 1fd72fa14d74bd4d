//! The keys of a connection to another host, which destinations and sources that the host reads have in common.

/// Declares a struct with the keys of a connection after its own, and `take_connection`, which reads them. Serde's
/// `flatten` would report unknown keys at the wrong line and without the list of known keys.
/// Files that use the macro import the types of the keys.
macro_rules! with_connection_keys {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident { $($own_keys:tt)* }) => {
        $(#[$attribute])*
        $visibility struct $name {
            $($own_keys)*
            pub(super) allow_networks: Vec<Interpolated<ipnet::IpNet>>,
            pub(super) proxy: Option<Interpolated<reqwest::Url>>,
            pub(super) ca: Option<Interpolated<PathBuf>>,
            pub(super) ca_password: Option<Interpolated<String>>,
            pub(super) client_certificate: Option<Interpolated<PathBuf>>,
            pub(super) client_key: Option<Interpolated<PathBuf>>,
            pub(super) client_password: Option<Interpolated<String>>,
            pub(super) connect_timeout: Option<Interpolated<Period>>,
            pub(super) timeout: Option<Interpolated<Period>>,
        }

        impl $name {
            /// Takes the keys of the connection, and returns its options. Relative paths start at `folder`.
            ///
            /// # Errors
            /// Returns an error if there is a password or a key without the file that it belongs to.
            pub(super) fn take_connection(&mut self, folder: &Path) -> Result<hookmill_connection::ConnectionOptions> {
                use hookmill_connection::{CertificateFile, ClientCertificate, ConnectionOptions};
                let (ca, ca_password) = (self.ca.take(), self.ca_password.take());
                let (certificate, key) = (self.client_certificate.take(), self.client_key.take());
                let password = self.client_password.take();
                ensure!(
                    ca.is_some() || ca_password.is_none(),
                    "`ca_password` is set without `ca`; set `ca` or remove `ca_password`"
                );
                ensure!(
                    certificate.is_some() || (key.is_none() && password.is_none()),
                    "`client_key` or `client_password` is set without `client_certificate`; set `client_certificate` or \
                     remove them"
                );
                let file = |path: Interpolated<PathBuf>, password: Option<Interpolated<String>>| {
                    CertificateFile::new(folder, &path.0, password.map(|text| text.0))
                };
                Ok(ConnectionOptions {
                    allow_networks: std::mem::take(&mut self.allow_networks).into_iter().map(|network| network.0).collect(),
                    proxy: self.proxy.take().map(|url| url.0),
                    ca: ca.map(|path| file(path, ca_password)),
                    client: certificate.map(|path| ClientCertificate {
                        certificate: file(path, password),
                        key: key.map(|path| folder.join(path.0)),
                    }),
                    connect_timeout: self.connect_timeout.take().map(|time| time.0.into()),
                    timeout: self.timeout.take().map(|time| time.0.into()),
                    ..ConnectionOptions::default()
                })
            }
        }
    };
}

pub(super) use with_connection_keys;
