//! The files that connections are made of, for destinations and for sources that the host reads.

use super::file::Leaf;
use anyhow::{Result, ensure};
use hookmill_connection::{CertificateFile, ClientCertificate};
use std::path::{Path, PathBuf};

/// What `ca` and `ca_password` say.
pub(super) fn authorities(
    folder: &Path,
    ca: Option<Leaf<PathBuf>>,
    password: Option<Leaf<String>>,
) -> Result<Option<CertificateFile>> {
    ensure!(ca.is_some() || password.is_none(), "`ca_password` is for a `ca`, which is not set; set it or remove that");
    Ok(ca.map(|path| CertificateFile::new(folder, &path.0, password.map(|text| text.0))))
}

/// What `client_certificate`, `client_key` and `client_password` say.
pub(super) fn client_certificate(
    folder: &Path,
    certificate: Option<Leaf<PathBuf>>,
    key: Option<Leaf<PathBuf>>,
    password: Option<Leaf<String>>,
) -> Result<Option<ClientCertificate>> {
    ensure!(
        certificate.is_some() || (key.is_none() && password.is_none()),
        "`client_key` and `client_password` are for a `client_certificate`, which is not set; set it or remove them"
    );
    Ok(certificate.map(|path| ClientCertificate {
        certificate: CertificateFile::new(folder, &path.0, password.map(|text| text.0)),
        key: key.map(|path| folder.join(path.0)),
    }))
}
