//! `database`, `database_profile` and `database_ca`.

use super::value::Interpolated;
use anyhow::{Context, Result, ensure};
use hookmill_connection::{CertificateFile, client_tls};
use hookmill_store::{DatabaseAddress, Profile};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The database that several hosts share.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// The address, with its password.
    pub address: DatabaseAddress,
    /// The kind of database.
    pub(super) profile: Profile,
    /// The digest of the URL, which may contain a password.
    digest: [u8; 32],
    /// The file with the authorities of its certificate.
    pub(super) ca: Option<PathBuf>,
}

impl DatabaseSettings {
    /// Reads the keys; relative paths start at `folder`.
    ///
    /// # Errors
    /// Returns an error if the URL or the file cannot be used. The error does not quote the URL.
    pub(super) fn new(
        url: Option<Interpolated<String>>,
        profile: Option<Interpolated<Profile>>,
        ca: Option<Interpolated<PathBuf>>,
        folder: &Path,
    ) -> Result<Option<Self>> {
        let Some(Interpolated(url)) = url else {
            ensure!(
                profile.is_none() && ca.is_none(),
                "`database_profile` or `database_ca` is set without `database`; set `database`, or remove them"
            );
            return Ok(None);
        };
        let ca = ca.map(|path| folder.join(path.0));
        let profile = profile.map_or(Profile::Postgres, |profile| profile.0);
        let address = address(&url, profile, ca.as_deref()).context("`database`")?;
        Ok(Some(Self { address, profile, digest: Sha256::digest(&url).into(), ca }))
    }
}

/// Returns the address of the database of a kind with this URL. `ca` is the file with the authorities of its certificate.
///
/// # Errors
/// Returns an error if the URL or the file cannot be used. The error does not quote the URL.
pub(super) fn address(url: &str, profile: Profile, ca: Option<&Path>) -> Result<DatabaseAddress> {
    let file = ca.map(|path| CertificateFile { path: path.to_owned(), password: None });
    let tls = client_tls(file.as_ref()).context("`database_ca`")?;
    DatabaseAddress::parse(url, profile, tls)
}

impl PartialEq for DatabaseSettings {
    fn eq(&self, other: &Self) -> bool {
        (self.digest, self.profile, &self.ca) == (other.digest, other.profile, &other.ca)
    }
}
