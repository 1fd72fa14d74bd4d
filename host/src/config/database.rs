//! `database`, `database_profile` and `database_ca`.

use anyhow::{Context, Result};
use hookmill_connection::{CertificateFile, client_tls};
use hookmill_store::{DatabaseAddress, Profile};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// The database that several hosts share.
#[derive(Clone, Debug)]
pub struct SharedDatabase {
    /// The address, with its password.
    pub address: DatabaseAddress,
    /// The kind of the database.
    pub profile: Profile,
    ca: Option<PathBuf>,
    /// The digest of the URL, which may contain a password.
    digest: [u8; 32],
}

impl SharedDatabase {
    /// Reads the URL of a database. Its certificate is verified with the authorities in a file, or those of the system.
    ///
    /// # Errors
    /// Returns an error if the URL or the file cannot be used. The error does not quote the URL.
    pub(super) fn new(url: &str, profile: Option<Profile>, ca: Option<PathBuf>) -> Result<Self> {
        let file = ca.clone().map(|path| CertificateFile { path, password: None });
        let tls = client_tls(file.as_ref()).context("`database_ca`")?;
        let address = DatabaseAddress::parse(url, tls).context("`database`")?;
        Ok(Self { address, profile: profile.unwrap_or_default(), ca, digest: Sha256::digest(url).into() })
    }

    /// Returns the file of authorities.
    pub(super) fn ca(&self) -> Option<&PathBuf> {
        self.ca.as_ref()
    }
}

impl PartialEq for SharedDatabase {
    fn eq(&self, other: &Self) -> bool {
        (self.digest, self.profile, &self.ca) == (other.digest, other.profile, &other.ca)
    }
}
