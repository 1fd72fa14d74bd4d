//! The shape of the configuration file: its keys and the type of each.

use super::backup::BackupDeclaration;
use super::destination::DestinationDeclaration;
use super::limits::{LimitsDeclaration, PluginLimitsDeclaration};
use super::notification::NotificationDeclaration;
use super::retention::RetentionDeclaration;
use super::scalar::{Name, Period};
use super::source::SourceDeclaration;
use super::traces::TracesDeclaration;
use super::value::Interpolated;
use crate::release::options::Reload;
use crate::release::trust::SigningKey;
use anyhow::{Result, anyhow};
use hookmill_listen::TlsFiles;
use hookmill_store::Profile;
use ipnet::IpNet;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConfigFile {
    pub listen: Option<Interpolated<SocketAddr>>,
    pub admin_listen: Option<Interpolated<SocketAddr>>,
    pub tls: Option<TlsDeclaration>,
    pub admin_tls: Option<TlsDeclaration>,
    pub database: Option<Interpolated<String>>,
    pub database_profile: Option<Interpolated<Profile>>,
    pub database_ca: Option<Interpolated<PathBuf>>,
    pub data_dir: Option<Interpolated<PathBuf>>,
    pub plugins_dir: Option<Interpolated<PathBuf>>,
    pub plugins_dir_shared: Option<Interpolated<bool>>,
    pub precompiled_dir: Option<Interpolated<PathBuf>>,
    pub plugins_lock: Option<Interpolated<PathBuf>>,
    pub plugins_key: Option<Interpolated<SigningKey>>,
    pub limits: LimitsDeclaration,
    pub plugins: BTreeMap<Name, PluginLimitsDeclaration>,
    pub dedup_retention: Option<Interpolated<Period>>,
    pub dedup_window: Option<Interpolated<Period>>,
    pub reload: Option<Interpolated<Reload>>,
    pub reload_payloads: Option<Interpolated<usize>>,
    pub reload_time: Option<Interpolated<Period>>,
    pub reopen_within: Option<Interpolated<Period>>,
    pub drain_timeout: Option<Interpolated<Period>>,
    pub trusted_proxies: Vec<Interpolated<IpNet>>,
    pub sources: BTreeMap<Name, SourceDeclaration>,
    pub webhooks: BTreeMap<Name, DestinationDeclaration>,
    pub destinations: BTreeMap<Name, DestinationDeclaration>,
    pub notifications: Vec<NotificationDeclaration>,
    pub public_url: Option<Interpolated<reqwest::Url>>,
    pub delivered_retention: Option<Interpolated<Period>>,
    pub backup: Option<BackupDeclaration>,
    pub retention: RetentionDeclaration,
    pub traces: Option<TracesDeclaration>,
}

/// `tls` or `admin_tls` as declared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsDeclaration {
    certificate: Interpolated<PathBuf>,
    key: Interpolated<PathBuf>,
    client_ca: Option<Interpolated<PathBuf>>,
}

impl ConfigFile {
    /// Parses the text of the file.
    ///
    /// # Errors
    /// Returns an error that names the position, the key and the allowed values. The error never quotes the file, which
    /// may hold secrets.
    pub fn parse(text: &str) -> Result<Self> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        // A snippet of the file could show a secret.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let key = error.location().and_then(|position| key_at(text, position.line(), position.column()));
            let key = key.map(|key| format!("`{key}`: ")).unwrap_or_default();
            let problem = error.to_string();
            anyhow!("{key}{}", problem.replace(", set DuplicateKeyPolicy in Options if acceptable", ""))
        })
    }
}

/// Returns the key whose value begins at a position; lines and columns count from 1.
fn key_at(text: &str, line: u64, column: u64) -> Option<&str> {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1).try_into().ok()?);
    let (start, column) = (lines.map(str::len).sum::<usize>(), column.saturating_sub(1).try_into().ok()?);
    if start == text.len() {
        return None;
    }
    let position = text[start..].char_indices().nth(column).map_or(text.len(), |(at, _)| start + at);
    let before = text[..position].trim_end_matches(|char: char| char.is_whitespace() || "[-\"'".contains(char));
    // An error about a key itself has the position of that key, and its text names the key.
    let in_list = || before.rsplit_once(": [").filter(|(_, items)| !items.contains(']')).map(|(key, _)| key);
    let key = before.strip_suffix(':').or_else(in_list)?;
    key.rsplit(|char: char| char.is_whitespace() || "{,\"'".contains(char)).next().filter(|key| !key.is_empty())
}

impl TlsDeclaration {
    /// Returns the files; relative paths start at `folder`.
    pub fn files(self, folder: &Path) -> TlsFiles {
        TlsFiles {
            certificate: folder.join(self.certificate.0),
            key: folder.join(self.key.0),
            client_ca: self.client_ca.map(|path| folder.join(path.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::key_at;

    #[test]
    fn the_key_of_a_position() {
        let text = "listen: x\nwebhooks:\n  soc: { url: \"u\", allow_networks: [a, b] }\n  two:\n    allow_networks:\n      - c\n";
        for (line, column, key) in [
            (1, 9, Some("listen")),
            (3, 15, Some("url")),
            (3, 37, Some("allow_networks")),
            (3, 40, Some("allow_networks")),
            (6, 9, Some("allow_networks")),
            (4, 3, None),
            (1, 1, None),
            (99, 99, None),
        ] {
            assert_eq!(key_at(text, line, column), key, "{line}:{column}");
        }
    }
}
