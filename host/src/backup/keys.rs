//! The key of the vault in a backup: sealed with a passphrase, or with a key in a file.

use crate::vault::{KEY_BYTES, Vault, read_private};
use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use scrypt::Params;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The environment variable with the passphrase, if the passphrase is not in a file.
pub const PASSPHRASE_VARIABLE: &str = "HOOKMILL_BACKUP_PASSPHRASE";
/// Shorter passphrases are refused, because they can be guessed.
const PASSPHRASE_CHARS_MIN: usize = 12;
const SALT_BYTES: usize = 16;
/// The cost of trying one passphrase: 128 MiB and some tenths of a second. Another cost is another format.
const LOG_N: u8 = 17;
const R: u32 = 8;
const P: u32 = 1;

/// The secret that seals the key of the vault in a backup.
#[derive(Clone)]
pub enum Lock {
    /// A passphrase.
    Passphrase(String),
    /// A key in base64.
    Key(String),
}

impl Lock {
    /// Returns a lock with this passphrase.
    ///
    /// # Errors
    /// Returns an error if the passphrase is too short.
    pub fn passphrase(text: &str) -> Result<Self> {
        let text = text.trim_end_matches(['\r', '\n']);
        let chars = text.chars().count();
        ensure!(
            chars >= PASSPHRASE_CHARS_MIN,
            "the passphrase has {chars} characters; use at least {PASSPHRASE_CHARS_MIN}"
        );
        Ok(Self::Passphrase(text.to_owned()))
    }

    /// Reads a passphrase from a file.
    ///
    /// # Errors
    /// Returns an error if other users can read the file, or the passphrase cannot be used.
    pub fn passphrase_file(path: &Path) -> Result<Self> {
        Self::passphrase(&read_private(path)?).with_context(|| format!("in the file {}", path.display()))
    }

    /// Reads a key from a file.
    ///
    /// # Errors
    /// Returns an error if other users can read the file, or the key cannot be used.
    pub fn key_file(path: &Path) -> Result<Self> {
        let text = read_private(path)?;
        Vault::with_key(&text).with_context(|| format!("in the key file {}", path.display()))?;
        Ok(Self::Key(text))
    }

    fn vault(&self, salt: &[u8]) -> Result<Vault> {
        match self {
            Self::Key(text) => Vault::with_key(text),
            Self::Passphrase(text) => {
                let mut key = [0; KEY_BYTES];
                let params = Params::new(LOG_N, R, P).context("scrypt")?;
                scrypt::scrypt(text.as_bytes(), salt, &params, &mut key).context("scrypt")?;
                Vault::with_key(&BASE64_STANDARD.encode(key))
            }
        }
    }

    /// Seals the key of a vault. The part can be opened only beside the database with this digest.
    ///
    /// # Errors
    /// Returns an error if the system provides no random numbers.
    pub(super) fn seal(&self, key: &str, database_sha256: &str) -> Result<Vec<u8>> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let sealed = self.vault(&salt)?.seal(&label(database_sha256), key.as_bytes())?;
        let sealed = SealedKey { salt: BASE64_STANDARD.encode(salt), sealed: BASE64_STANDARD.encode(sealed) };
        Ok(serde_json::to_vec_pretty(&sealed)?)
    }

    /// Opens the part that [`Lock::seal`] made.
    ///
    /// # Errors
    /// Returns an error if the part was sealed with another passphrase or key, or for another database.
    pub(super) fn open(&self, part: &[u8], database_sha256: &str) -> Result<String> {
        let SealedKey { salt, sealed } = serde_json::from_slice(part)?;
        let (salt, sealed) = (BASE64_STANDARD.decode(salt)?, BASE64_STANDARD.decode(sealed)?);
        let opened = self.vault(&salt)?.unseal(&label(database_sha256), &sealed);
        let key = opened.map_err(|_| match self {
            Self::Passphrase(_) => anyhow!("wrong passphrase: the keys were sealed with another one"),
            Self::Key(_) => anyhow!("wrong key file: the keys were sealed with another one"),
        })?;
        Ok(String::from_utf8(key)?)
    }
}

/// The file with a [`Lock`], or the decision to do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockFile {
    /// A file with a passphrase.
    Passphrase(PathBuf),
    /// A file with a key.
    Key(PathBuf),
    /// The key of the vault is left out.
    WithoutKeys,
}

impl LockFile {
    /// Returns the one that is given.
    ///
    /// # Errors
    /// Returns an error unless exactly one is.
    pub fn new(passphrase_file: Option<PathBuf>, key_file: Option<PathBuf>, without_keys: bool) -> Result<Self> {
        match (passphrase_file, key_file, without_keys) {
            (Some(path), None, false) => Ok(Self::Passphrase(path)),
            (None, Some(path), false) => Ok(Self::Key(path)),
            (None, None, true) => Ok(Self::WithoutKeys),
            _ => bail!(
                "set one of passphrase_file, key_file and without_keys: a backup holds the key that encrypts the secrets of \
                 registered sources, sealed with a passphrase or another key"
            ),
        }
    }

    /// Reads the file; none without keys.
    ///
    /// # Errors
    /// Returns an error if the file cannot be used.
    pub fn read(&self) -> Result<Option<Lock>> {
        match self {
            Self::Passphrase(path) => Lock::passphrase_file(path).map(Some),
            Self::Key(path) => Lock::key_file(path).map(Some),
            Self::WithoutKeys => Ok(None),
        }
    }
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Passphrase(_) => "Passphrase",
            Self::Key(_) => "Key",
        })
    }
}

/// The content of the part.
#[derive(Serialize, Deserialize)]
struct SealedKey {
    /// The salt of the passphrase.
    salt: String,
    sealed: String,
}

fn label(database_sha256: &str) -> String {
    format!("hookmill backup of {database_sha256}")
}
