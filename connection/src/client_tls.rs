//! TLS of connections that do not speak HTTP.

use crate::certificates::{CertificateFile, read_authorities};
use anyhow::Result;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;

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
