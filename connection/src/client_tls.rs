//! TLS of connections to other servers.

use crate::certificates::{CertificateFile, read_authorities};
use anyhow::Result;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::{Arc, OnceLock};

/// The sessions that a client keeps to resume them: those of few servers, such as a receiver, its proxy and its token endpoint.
const SESSIONS: usize = 32;

/// The authorities of the system, which are read once for all connections that share them: they are many.
#[derive(Clone, Debug, Default)]
pub struct SystemTls(Arc<OnceLock<Arc<ClientConfig>>>);

impl SystemTls {
    /// Returns TLS for one client, which shares no session with others.
    ///
    /// # Errors
    /// Returns an error if the system has no authorities.
    pub(crate) fn of_client(&self) -> Result<ClientConfig> {
        let shared = match self.0.get() {
            Some(shared) => shared,
            None => {
                let read = client_tls(None)?;
                self.0.get_or_init(|| read)
            }
        };
        let mut own = ClientConfig::clone(shared);
        own.resumption = Resumption::in_memory_sessions(SESSIONS);
        own.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(own)
    }
}

/// Returns TLS that trusts these authorities, or without any those of the system.
///
/// # Errors
/// Returns an error if the file cannot be used, or the system has no authorities.
pub fn client_tls(ca: Option<&CertificateFile>) -> Result<Arc<ClientConfig>> {
    let builder =
        ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    let builder = match ca {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in read_authorities(file)? {
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_platform_verifier()?,
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}
