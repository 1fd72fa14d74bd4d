//! Certificates and private keys in PEM files.
//!
//! Both directions use it: the listener for its own certificate, outbound connections for authorities and client
//! certificates. Errors name the file, what is missing in it and what to do. They never quote the content of a file,
//! which may be secret.
//!
//! This crate makes no decisions about trust: the caller decides whether a certificate is accepted.

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
/// Returns an error if the file cannot be read, is damaged, or does not contain a certificate.
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
/// Returns an error if the file cannot be read, is damaged, does not contain a private key, or is accessible to every
/// user.
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
        pem::Error::NoItemsFound => anyhow!("{path} does not contain a {wanted}; a PEM file with `{begin}` is needed"),
        _ => anyhow!("{path} is damaged; a PEM file with `{begin}` and a whole {wanted} is needed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n";

    #[test]
    fn certificates_are_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.pem");
        write(&path, format!("a comment\n{CERTIFICATE}{KEY}{}", CERTIFICATE.replace("AQID", "BAUG"))).unwrap();
        let found = certificates(&path).unwrap();
        assert_eq!(found, [CertificateDer::from(vec![1, 2, 3]), CertificateDer::from(vec![4, 5, 6])]);
    }

    #[test]
    fn keys_that_every_user_can_access_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.key");
        write(&path, KEY).unwrap();
        for (mode, is_private) in [(0o600, true), (0o640, true), (0o604, false), (0o602, false), (0o644, false)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let read = private_key(&path);
            assert_eq!(read.is_ok(), is_private, "{mode:o}");
            assert!(read.err().is_none_or(|error| error.to_string().contains("chmod o= ")));
        }
    }

    #[test]
    fn errors_name_the_file_and_do_not_quote_it() {
        let folder = tempfile::tempdir().unwrap();
        for (content, expected) in [
            ("", "does not contain a certificate"),
            ("hunter2", "does not contain a certificate"),
            (KEY, "does not contain a certificate"),
            ("-----BEGIN CERTIFICATE-----\nhunter2\n", "is damaged"),
        ] {
            let path = folder.path().join("wrong.pem");
            write(&path, content).unwrap();
            let error = certificates(&path).unwrap_err().to_string();
            assert!(error.contains("wrong.pem") && error.contains(expected), "{error}");
            assert!(error.contains("`-----BEGIN CERTIFICATE-----`") && !error.contains("hunter2"), "{error}");
        }
        let error = private_key(&folder.path().join("none.key")).unwrap_err().to_string();
        assert!(error.contains("none.key") && error.contains("No such file"), "{error}");
    }
}
