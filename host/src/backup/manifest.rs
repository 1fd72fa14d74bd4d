//! The manifest: the first entry of a backup, which describes all others.

use anyhow::{Context, Result, bail, ensure};
use hookmill_incident::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the file's format. A change that an earlier version cannot read needs a new number.
const FORMAT: u32 = 1;
/// The largest manifest that is read.
pub(super) const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The names of the parts that are not plugins.
pub(super) const DATABASE: &str = "hookmill.db";
pub(super) const MARK: &str = "store.mark";
pub(super) const KEYS: &str = "keys.json";
/// The folder of the parts that are plugins.
pub(super) const VERSIONS: &str = "versions";

words!(
    /// The place of the key that encrypts the secrets of registered sources.
    KeyState {
        /// In the backup, sealed with a passphrase.
        Passphrase = "sealed_with_passphrase",
        /// In the backup, sealed with the key in a file.
        KeyFile = "sealed_with_key_file",
        /// Left out on request.
        LeftOut = "left_out",
        /// No key was made yet.
        NotMade = "not_made",
    }
);

/// The content of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The version of the hookmill that made the backup.
    pub hookmill: String,
    /// The version of the database's schema.
    pub schema: usize,
    /// The time at which the backup was begun: the backup holds everything that was acknowledged before.
    pub created_at: Timestamp,
    /// The place of the key.
    pub keys: KeyState,
    /// The parts, in their order in the file.
    pub parts: Vec<Part>,
    /// The number of rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The versions of plugins that were live.
    pub plugins: Vec<KeptPlugin>,
    /// Remarks on missing parts.
    pub warnings: Vec<String>,
}

/// One part of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The name of the entry.
    pub name: String,
    /// The size.
    pub bytes: u64,
    /// The digest, in hexadecimal.
    pub sha256: String,
}

/// A version of a plugin that was live once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPlugin {
    /// The plugin's name.
    pub name: String,
    /// The version that the plugin states.
    pub version: String,
    /// The digest of the file.
    pub sha256: String,
    /// Whether this version was the live one.
    pub live: bool,
    /// Whether the file is a part of the backup. The files of versions are removed some time after a newer one went live.
    pub kept: bool,
}

impl KeptPlugin {
    /// Returns the name of the part with the file.
    pub(super) fn part_name(&self) -> String {
        format!("{VERSIONS}/{}@{}.wasm", self.name, self.sha256)
    }
}

impl Manifest {
    pub(super) fn new(created_at: Timestamp, schema: usize, keys: KeyState) -> Self {
        Self {
            format: FORMAT,
            hookmill: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            created_at,
            keys,
            parts: Vec::new(),
            rows: BTreeMap::new(),
            plugins: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// Returns an error that names the version to use if the format is a newer one, or if the manifest is wrong.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            hookmill: String,
        }
        let Head { format, hookmill } = serde_json::from_slice(bytes).context("it is not a manifest")?;
        if format != FORMAT {
            bail!(
                "the backup was made by hookmill {hookmill} in format {format}, but this hookmill reads format {FORMAT}; use \
                 hookmill {hookmill} or newer"
            );
        }
        let manifest: Self = serde_json::from_slice(bytes).context("it is not a manifest of this format")?;
        for Part { name, .. } in &manifest.parts {
            ensure!(is_part_name(name), "it names an unknown part `{name}`");
        }
        for name in [DATABASE, MARK] {
            ensure!(manifest.part(name).is_some(), "it names no part `{name}`");
        }
        Ok(manifest)
    }

    /// Returns a part.
    pub(super) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }
}

/// Returns whether a part may have this name, which becomes the path of a file.
fn is_part_name(name: &str) -> bool {
    let is_file_name = |name: &str| {
        !name.starts_with('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
    };
    match name.split_once('/') {
        Some((folder, name)) => folder == VERSIONS && is_file_name(name),
        None => [DATABASE, MARK, KEYS].contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::is_part_name;

    #[test]
    fn no_part_is_written_elsewhere() {
        for (name, is_allowed) in [
            ("hookmill.db", true),
            ("versions/edr@00ff.wasm.sig", true),
            ("versions/../secret.key", false),
            ("versions/.a", false),
            ("versions/a/b", false),
            ("/versions/a", false),
            ("secret.key", false),
            ("../hookmill.db", false),
        ] {
            assert_eq!(is_part_name(name), is_allowed, "{name}");
        }
    }
}
