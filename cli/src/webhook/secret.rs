//! The secret of a source: given on the command line, or created by the host.

use anyhow::{Context, Result, bail};
use clap::Args;
use hookmill_host::api::shapes::IssuedSource;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

/// The options that give a secret. Without them, the host creates one.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SecretOptions {
    /// The secret; `-` reads the secret from standard input, where other users cannot see it
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// A file with the secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl SecretOptions {
    /// Returns the secret that the options give, or `None` if the host should create one.
    ///
    /// # Errors
    /// Returns an error if the secret is empty or cannot be read.
    pub fn read(self) -> Result<Option<String>> {
        let text = match (self.secret, self.secret_file) {
            (None, None) => return Ok(None),
            (None, Some(file)) => {
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?
            }
            (Some(secret), _) if secret != "-" => return Ok(Some(secret)),
            _ => {
                if std::io::stdin().is_terminal() {
                    eprintln!("Type the secret, then Enter and Ctrl-D:");
                }
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).context("cannot read the secret from standard input")?;
                text
            }
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            bail!("the secret is empty");
        }
        Ok(Some(secret.to_owned()))
    }
}

/// Returns a line with the secret that the host created, or nothing. No later answer contains the secret.
pub(super) fn created_secret(source: &IssuedSource) -> String {
    match &source.secret {
        Some(secret) => format!("its secret, shown this once: {secret}"),
        None => String::new(),
    }
}
