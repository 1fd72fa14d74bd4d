//! `database`, `database_profile` and `database_ca`.

use super::value::Interpolated;
use anyhow::{Context, Result, ensure};
use hookmill_connection::{CertificateFile, client_tls};
use hookmill_store::{Profile, SharedDatabase, Store};
use std::path::{Path, PathBuf};

/// The database that several hosts share.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// The database. Its name of this host is that of the machine.
    pub shared: SharedDatabase,
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
        let file = ca.clone().map(|path| CertificateFile { path, password: None });
        let tls = client_tls(file.as_ref()).context("`database_ca`")?;
        let profile = profile.map(|profile| profile.0).unwrap_or_default();
        let shared = SharedDatabase { url, profile, tls, host_name: host_name() };
        Store::check_address(&shared).context("`database`")?;
        Ok(Some(Self { shared, ca }))
    }
}

impl PartialEq for DatabaseSettings {
    fn eq(&self, other: &Self) -> bool {
        (&self.shared.url, self.shared.profile, &self.ca) == (&other.shared.url, other.shared.profile, &other.ca)
    }
}

/// Returns the name of this machine or container.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("host").to_owned()
}
