//! `hookmill plugin sign`.

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use hookmill_host::release::trust::{public_half, sign, signature_path};
use hookmill_incident::name::is_name;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The arguments of `hookmill plugin sign`.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Plugin files; the signature of NAME.wasm is written to NAME.wasm.sig
    #[arg(required_unless_present = "new_key")]
    files: Vec<PathBuf>,
    /// The file of the private key
    #[arg(long, required_unless_present = "new_key")]
    key: Option<PathBuf>,
    /// Create a key, write it to this file and print its public half, which is the value of the host's `plugins_key`
    #[arg(long, conflicts_with_all = ["key", "files"])]
    new_key: Option<PathBuf>,
}

impl Sign {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        if let Some(path) = self.new_key {
            return make_key(&path);
        }
        let key = read_key(&self.key.unwrap_or_default())?;
        for file in &self.files {
            let name = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".wasm"));
            let name = name.filter(|name| is_name(name));
            let name = name.with_context(|| format!("{} is not NAME.wasm; rename the file", file.display()))?;
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let signature = signature_path(file);
            std::fs::write(&signature, sign(&key, name, &bytes) + "\n")
                .with_context(|| format!("cannot write {}", signature.display()))?;
            println!("{} signed as {name}: {}", file.display(), signature.display());
        }
        Ok(())
    }
}

fn make_key(path: &Path) -> Result<()> {
    let document =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| anyhow!("cannot get random numbers"))?;
    let key =
        Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|error| anyhow!("cannot read the new key: {error}"))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create the key file {}", path.display()))?;
    writeln!(file, "{}", STANDARD.encode(document.as_ref()))?;
    file.sync_all()?;
    println!(
        "{} has the private key; keep this file away from the host, whose configuration needs only the public half:",
        path.display()
    );
    println!("plugins_key: {}", public_half(&key)?);
    Ok(())
}

fn read_key(path: &Path) -> Result<Ed25519KeyPair> {
    let help = "create one with `hookmill plugin sign --new-key FILE`";
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the key {}; {help}", path.display()))?;
    let document = STANDARD.decode(text.trim()).ok();
    let key = document.and_then(|document| Ed25519KeyPair::from_pkcs8(&document).ok());
    key.with_context(|| format!("{} does not have a key; {help}", path.display()))
}
