//! Encryption of the secrets of sources, so that the database alone does not reveal them.
//!
//! AES-256-GCM with a key from the environment or a key file. A sealed secret is bound to a label, so that it cannot be
//! moved to another row of the database.

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::env::VarError;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The environment variable with the key, if the key is not in a file.
pub const KEY_VARIABLE: &str = "HOOKMILL_SECRET_KEY";
/// The key file in the data folder.
pub const KEY_FILE: &str = "secret.key";
/// The length of a key.
pub const KEY_BYTES: usize = 32;

/// Seals and unseals secrets with one key.
pub struct Vault {
    key: LessSafeKey,
}

impl Vault {
    /// Uses the key in [`KEY_VARIABLE`], or else the key file in the data folder. If it is missing, it is created, unless
    /// other hosts share the secrets and need the same key.
    ///
    /// # Errors
    /// Returns an error that explains what to do if the key cannot be used.
    pub fn open(data_dir: &Path, is_shared: bool) -> Result<Self> {
        let path = data_dir.join(KEY_FILE);
        let (text, place) = match Self::key(data_dir)? {
            Some(key) => key,
            None if is_shared => bail!(
                "all hosts of a database need the same key for the secrets of sources; set {KEY_VARIABLE} on each of them \
                 (`openssl rand -base64 {KEY_BYTES}` makes one), or copy one {KEY_FILE} into their data folders"
            ),
            None => (make_key(&path)?, format!("the key file {}", path.display())),
        };
        Self::with_key(&text).context(format!("in {place}"))
    }

    /// Returns the key of a data folder in base64, with a description of its place; `None` if no key was made yet.
    ///
    /// # Errors
    /// Returns an error if the key cannot be read, or if other users can read it.
    pub fn key(data_dir: &Path) -> Result<Option<(String, String)>> {
        let variable = || format!("the environment variable {KEY_VARIABLE}");
        match std::env::var(KEY_VARIABLE) {
            Ok(text) => return Ok(Some((text.trim().to_owned(), variable()))),
            Err(VarError::NotPresent) => {}
            Err(error) => return Err(error).with_context(variable),
        }
        let path = data_dir.join(KEY_FILE);
        let text = path.exists().then(|| read_private(&path)).transpose()?;
        Ok(text.map(|text| (text.trim().to_owned(), format!("the key file {}", path.display()))))
    }

    /// Uses a key in base64.
    ///
    /// # Errors
    /// Returns an error if the text is not a key.
    pub fn with_key(text: &str) -> Result<Self> {
        let help =
            || anyhow!("a key is {KEY_BYTES} random bytes in base64; `openssl rand -base64 {KEY_BYTES}` makes one");
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| help())?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| help())?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Encrypts `plain`. [`Vault::unseal`] needs the same label.
    ///
    /// # Errors
    /// Returns an error if the system provides no random numbers.
    pub fn seal(&self, label: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        let mut sealed = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(label), &mut sealed)
            .map_err(|_| anyhow!("cannot encrypt"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts a secret that was sealed with this label.
    ///
    /// # Errors
    /// Returns an error if the secret was sealed with another key or label, or was changed.
    pub fn unseal(&self, label: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).context("the sealed value is too short")?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| anyhow!("the sealed value is too short"))?;
        match self.key.open_in_place(nonce, Aad::from(label), &mut plain) {
            Ok(opened) => Ok(opened.to_vec()),
            Err(_) => bail!("the value was sealed with another key; restore the previous {KEY_FILE} or {KEY_VARIABLE}"),
        }
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Vault").finish_non_exhaustive()
    }
}

/// Returns the label that binds a sealed secret to its source and number.
pub fn secret_label(source: &str, id: i64) -> String {
    format!("source {source} secret {id}")
}

/// Reads a file that other users must not be able to read.
///
/// # Errors
/// Returns an error if they can, or if the file cannot be read.
pub fn read_private(path: &Path) -> Result<String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the file {shown}"))?;
    let mode = std::fs::metadata(path)?.mode();
    ensure!(mode & 0o077 == 0, "other users can read the file {shown}; run `chmod 600 {shown}`");
    Ok(text)
}

/// Makes a new key, and returns only when the key is safely on disk.
fn make_key(path: &Path) -> Result<String> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key)?;
    let text = BASE64_STANDARD.encode(key);
    let make = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{text}")?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        // Only syncing the folder makes the file's name durable.
        anyhow::Ok(std::fs::File::open(folder)?.sync_all()?)
    };
    make().with_context(|| format!("cannot make the key file {}", path.display()))?;
    Ok(text)
}
