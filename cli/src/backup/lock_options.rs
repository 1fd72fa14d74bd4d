//! The passphrase or key of a backup: from a file, the environment or the terminal, never from the command line, which other
//! users can see.

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hookmill_host::backup::{KeyState, Lock, LockFile, PASSPHRASE_VARIABLE};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// The options that give a passphrase or key.
#[derive(Debug, Args)]
pub(super) struct LockOptions {
    /// A file with the passphrase that seals the keys in the backup. Without one, the passphrase is in the environment
    /// variable HOOKMILL_BACKUP_PASSPHRASE, or is asked for on a terminal
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// A file with the key that seals the keys in the backup: 32 random bytes in base64, as `openssl rand -base64 32` prints
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl LockOptions {
    /// Returns what is given for a new backup, or asks for a passphrase on a terminal.
    ///
    /// # Errors
    /// Returns an error if nothing is given and there is no terminal, or what is given cannot be used.
    pub fn for_new_backup(self) -> Result<Lock> {
        if let Some(lock) = self.given()? {
            return Ok(lock);
        }
        if !std::io::stdin().is_terminal() {
            bail!(
                "a backup holds the key that encrypts the secrets of registered sources, and that key must be sealed; give \
                 --passphrase-file, --key-file or {PASSPHRASE_VARIABLE}. With --without-keys the key is left out, and a restore \
                 cannot read these secrets unless the key is kept elsewhere"
            );
        }
        let passphrase = ask("Passphrase of the backup: ")?;
        ensure!(ask("The same again: ")? == passphrase, "the two are not the same");
        Lock::passphrase(&passphrase)
    }

    /// Returns what is given for an existing backup, or asks for its passphrase on a terminal if it has one.
    ///
    /// # Errors
    /// Returns an error if what is given cannot be used.
    pub fn for_backup(self, keys: KeyState) -> Result<Option<Lock>> {
        match self.given()? {
            None if keys == KeyState::Passphrase && std::io::stdin().is_terminal() => {
                Lock::passphrase(&ask("Passphrase of the backup: ")?).map(Some)
            }
            given => Ok(given),
        }
    }

    fn given(self) -> Result<Option<Lock>> {
        if self.passphrase_file.is_some() || self.key_file.is_some() {
            return LockFile::new(self.passphrase_file, self.key_file, false)?.read();
        }
        match std::env::var(PASSPHRASE_VARIABLE) {
            Ok(text) => {
                let lock = Lock::passphrase(&text);
                lock.map(Some).with_context(|| format!("in the environment variable {PASSPHRASE_VARIABLE}"))
            }
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("the environment variable {PASSPHRASE_VARIABLE}")),
        }
    }
}

/// Asks for a line on the terminal, which does not show what is typed.
fn ask(question: &str) -> Result<String> {
    let terminal = std::io::stdin();
    let before = tcgetattr(&terminal).context("cannot read the settings of the terminal")?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &silent).context("cannot change the settings of the terminal")?;
    eprint!("{question}");
    let mut line = String::new();
    let read = std::io::stderr().flush().and_then(|()| terminal.lock().read_line(&mut line));
    let restored = tcsetattr(&terminal, OptionalActions::Flush, &before);
    eprintln!();
    read.context("cannot read the passphrase")?;
    restored.context("cannot change the settings of the terminal")?;
    Ok(line)
}
