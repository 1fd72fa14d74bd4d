//! TLS of a listener: read from files, replaceable while it serves.

use anyhow::{Context, Result};
use arc_swap::ArcSwapOption;
use hookmill_pem::{certificates, private_key};
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a listener's certificate and key are, all in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Its certificate, and those between it and the root after it.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Who signs clients' certificates. With it, a client without one is not served.
    pub client_ca: Option<PathBuf>,
}

/// What the next connection of a listener begins with: TLS, or none. Clones share it.
#[derive(Clone, Debug)]
pub struct LiveTls(Arc<ArcSwapOption<ServerConfig>>);

impl LiveTls {
    /// What these files say; no TLS without files.
    ///
    /// # Errors
    /// As [`TlsFiles::read`].
    pub fn new(files: Option<&TlsFiles>) -> Result<Self> {
        let config = files.map(TlsFiles::read).transpose()?;
        Ok(Self(Arc::new(ArcSwapOption::new(config))))
    }

    /// Puts a configuration in place of the one before, for connections from now on.
    pub fn replace(&self, config: Option<Arc<ServerConfig>>) {
        self.0.store(config);
    }

    pub(super) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.0.load_full()
    }
}

impl TlsFiles {
    /// Reads the files: TLS 1.2 or 1.3, HTTP/1.1.
    ///
    /// # Errors
    /// Which of the files cannot be used, and what to do.
    pub fn read(&self) -> Result<Arc<ServerConfig>> {
        let chain = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let unusable = || format!("{} holds no certificate authority that can be used", path.display());
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).with_context(unusable)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.with_context(unusable)?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).with_context(|| {
            format!("the key {} does not go with the certificate {}", self.key.display(), self.certificate.display())
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
