//! Secrets of sources on the command line.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

/// The secret of a source. Without one the host makes it.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Secret {
    /// The secret; `-` reads it from standard input, where other users cannot see it
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// A file that holds the secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Secret {
    /// Reads the secret from its argument, its file or standard input.
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

/// The secret that the host made, which is shown this once.
pub(super) fn made(answer: &Value) -> String {
    match answer["secret"].as_str() {
        Some(secret) => format!("its secret, shown this once: {secret}"),
        None => String::new(),
    }
}
