//! The files that a connection to another host needs, for destinations and for sources that the host reads.

use super::value::Interpolated;
use anyhow::{Result, ensure};
use hookmill_connection::{CertificateFile, ClientCertificate};
use std::path::{Path, PathBuf};

/// Returns the file of certificate authorities that `ca` and `ca_password` declare.
///
/// # Errors
/// Returns an error if there is a password without a file.
pub(super) fn authorities(
    folder: &Path,
    ca: Option<Interpolated<PathBuf>>,
    password: Option<Interpolated<String>>,
) -> Result<Option<CertificateFile>> {
    ensure!(ca.is_some() || password.is_none(), "`ca_password` is set without `ca`; set `ca` or remove `ca_password`");
    Ok(ca.map(|path| CertificateFile::new(folder, &path.0, password.map(|text| text.0))))
}

/// Returns the certificate that `client_certificate`, `client_key` and `client_password` declare.
///
/// # Errors
/// Returns an error if there is a key or a password without a certificate.
pub(super) fn client_certificate(
    folder: &Path,
    certificate: Option<Interpolated<PathBuf>>,
    key: Option<Interpolated<PathBuf>>,
    password: Option<Interpolated<String>>,
) -> Result<Option<ClientCertificate>> {
    ensure!(
        certificate.is_some() || (key.is_none() && password.is_none()),
        "`client_key` or `client_password` is set without `client_certificate`; set `client_certificate` or remove them"
    );
    Ok(certificate.map(|path| ClientCertificate {
        certificate: CertificateFile::new(folder, &path.0, password.map(|text| text.0)),
        key: key.map(|path| folder.join(path.0)),
    }))
}
