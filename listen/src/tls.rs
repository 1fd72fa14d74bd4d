//! The TLS configuration of a listener, read from files and replaceable while the listener serves.

use anyhow::{Context, Result};
use arc_swap::ArcSwapOption;
use hookmill_pem::{certificates, private_key};
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;

/// The TLS files of a listener, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, followed by its intermediate certificates.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
    /// The authorities that sign client certificates. With this file, clients without such a certificate are refused.
    pub client_ca: Option<PathBuf>,
}

/// The TLS configuration for new connections, or none for connections without TLS. Clones share one configuration.
#[derive(Clone, Debug)]
pub struct LiveTls(Arc<ArcSwapOption<ServerConfig>>);

impl LiveTls {
    /// Reads the files; without files, there is no TLS.
    ///
    /// # Errors
    /// Returns an error as [`TlsFiles::read`] does.
    pub fn new(files: Option<&TlsFiles>) -> Result<Self> {
        let config = files.map(TlsFiles::read).transpose()?;
        Ok(Self(Arc::new(ArcSwapOption::new(config))))
    }

    /// Replaces the configuration. Open connections keep the configuration with which they began.
    pub fn replace(&self, config: Option<Arc<ServerConfig>>) {
        self.0.store(config);
    }

    /// Returns the configuration for a new connection.
    pub(crate) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.0.load_full()
    }
}

impl TlsFiles {
    /// Reads the files into a configuration for TLS 1.2 and 1.3 and HTTP/1.1.
    ///
    /// # Errors
    /// Returns an error that names the file that cannot be used, and the remedy.
    pub fn read(&self) -> Result<Arc<ServerConfig>> {
        let chain = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let unusable = || format!("{} does not contain a usable certificate authority", path.display());
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).with_context(unusable)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.with_context(unusable)?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).with_context(|| {
            format!("the key {} does not match the certificate {}", self.key.display(), self.certificate.display())
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
