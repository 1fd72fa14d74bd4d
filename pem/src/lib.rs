//! Certificates and private keys in PEM files.
//!
//! Both directions use it: the listener for its own certificate, outbound connections for authorities and client
//! certificates. Errors name the file, what is missing in it and what to do. They never quote the content of a file,
//! which may be secret.
//!
//! This crate decides nothing about trust: whether a certificate is accepted is the caller's decision.

use anyhow::{Context, Result, anyhow, ensure};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The permission bits of users who are neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// Returns the certificates in a PEM file in their order, at least one.
///
/// # Errors
/// Returns an error if the file cannot be read, is damaged, or has no certificate.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .and_then(|found: Vec<_>| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) })
        .map_err(|error| unreadable(path, "certificate", error))
}

/// Returns the first private key in a PEM file.
///
/// Only the owner and the group may have access to the file: a key that every user can read is not secret. Access for
/// the group is how a service that does not run as root is usually given its key.
///
/// # Errors
/// Returns an error if the file cannot be read, is damaged, has no private key, or is accessible to every user.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, "private key", error))?;
    let metadata = metadata(path).with_context(|| format!("cannot read the permissions of {}", path.display()))?;
    let (path, mode) = (path.display(), metadata.permissions().mode() & 0o777);
    ensure!(
        mode & OTHERS == 0,
        "every user can read or change the key {path} (mode {mode:03o}); run `chmod o= {path}`"
    );
    Ok(key)
}

/// Describes why a file cannot be used, without quoting its content.
fn unreadable(path: &Path, wanted: &str, error: pem::Error) -> anyhow::Error {
    let (path, begin) = (path.display(), format!("-----BEGIN {}-----", wanted.to_uppercase()));
    match error {
        pem::Error::Io(error) => anyhow!("cannot read {path}: {error}"),
        pem::Error::NoItemsFound => anyhow!("{path} holds no {wanted}; a PEM file with `{begin}` is needed"),
        _ => anyhow!("{path} is damaged; a PEM file with `{begin}` and a whole {wanted} is needed"),
    }
}
