//! Checks of plugin files, for plugins folders in which untrusted users can write: a file must be listed in a lock file
//! or be signed.

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_store::private_files::refuse_writable_by_others;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const PUBLIC_KEY_BYTES: usize = 32;
/// Larger signature files are not read.
const SIGNATURE_BYTES_MAX: u64 = 1024;

/// The public half of a signing key, in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey([u8; PUBLIC_KEY_BYTES]);

impl FromStr for SigningKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            "the value is not a public key; `hookmill plugin sign --new-key FILE` makes and prints one".to_owned()
        })
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0))
    }
}

/// The requirements on plugin files; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// A file that lists the digests of allowed files, as `sha256sum *.wasm` prints them.
    pub lock: Option<PathBuf>,
    /// The key that must have signed a file.
    pub key: Option<SigningKey>,
}

impl Trust {
    /// Returns the signature beside a file, if signatures are required and there is one.
    pub fn signature(&self, path: &Path) -> Option<String> {
        let path = signature_path(path);
        self.key.as_ref()?;
        std::fs::metadata(&path).ok().filter(|file| file.len() <= SIGNATURE_BYTES_MAX)?;
        std::fs::read_to_string(path).ok()
    }

    /// Checks the bytes of a plugin's file and the signature beside the file.
    ///
    /// # Errors
    /// Returns an error that explains why the file may not be loaded and what to do.
    pub fn check(&self, name: &str, signature: Option<&str>, bytes: &[u8]) -> Result<()> {
        if self.lock.is_none() && self.key.is_none() {
            return Ok(());
        }
        let digest = hex::encode(Sha256::digest(bytes));
        if let Some(lock) = &self.lock {
            check_lock(lock, &format!("{name}.wasm"), &digest)?;
        }
        if let Some(key) = &self.key {
            check_signature(key, signature, name, &digest)?;
        }
        Ok(())
    }

    /// Checks the bytes of a plugin's sample, which a lock file lists like plugin files, as `NAME.samples/FILE`.
    ///
    /// # Errors
    /// Returns an error if a lock file is required and does not list the sample.
    pub fn check_sample(&self, file: &str, bytes: &[u8]) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| check_lock(lock, file, &hex::encode(Sha256::digest(bytes))))
    }
}

/// Reads the lock file anew for each file, so that the lock can be written before the file arrives.
fn check_lock(lock: &Path, file: &str, digest: &str) -> Result<()> {
    let text = std::fs::read_to_string(lock)
        .with_context(|| format!("no plugin is loaded without the lock file {}", lock.display()))?;
    refuse_writable_by_others(lock)?;
    let listed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .filter(|(_, listed)| listed.trim().trim_start_matches(['*', '.', '/']) == file)
        .map(|(digest, _)| digest)
        .collect();
    match listed[..] {
        [] => bail!("{} does not list {file}; add the line that `sha256sum {file}` prints", lock.display()),
        ref digests if digests.iter().any(|listed| listed.eq_ignore_ascii_case(digest)) => Ok(()),
        _ => bail!("the digest of the file is {digest}, but {} lists another digest for {file}", lock.display()),
    }
}

fn check_signature(key: &SigningKey, signature: Option<&str>, name: &str, digest: &str) -> Result<()> {
    let help = format!("sign it with `hookmill plugin sign {name}.wasm --key KEY`");
    let text = signature.with_context(|| format!("the signature file {name}.wasm.sig does not exist; {help}"))?;
    let signature = STANDARD.decode(text.trim()).map_err(|_| anyhow!("{name}.wasm.sig is not a signature; {help}"))?;
    UnparsedPublicKey::new(&ED25519, key.0).verify(signed_text(name, digest).as_bytes(), &signature).map_err(|_| {
        anyhow!("the signature {name}.wasm.sig does not match this file, this name and `plugins_key`; {help}")
    })
}

/// Signs a plugin file under a name, and returns the signature in base64.
pub fn sign(key: &Ed25519KeyPair, name: &str, bytes: &[u8]) -> String {
    STANDARD.encode(key.sign(signed_text(name, &hex::encode(Sha256::digest(bytes))).as_bytes()))
}

/// Returns the path of a file's signature.
pub fn signature_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Returns the public half of a key.
///
/// # Errors
/// Returns an error if the key does not have the length of an Ed25519 key.
pub fn public_half(key: &Ed25519KeyPair) -> Result<SigningKey> {
    use ring::signature::KeyPair;
    Ok(SigningKey(key.public_key().as_ref().try_into()?))
}

/// Returns the text that is signed. The name is part of it, so that a signed file cannot replace another plugin.
fn signed_text(name: &str, digest: &str) -> String {
    format!("hookmill plugin\n{name}\n{digest}\n")
}
