//! `hookmill config`.

use crate::text::clean;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use hookmill_host::config::{Config, DEFAULT};
use hookmill_host::serve::check;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a configuration file as `serve` does at its start, without serving
    Check {
        /// The configuration file
        #[arg(value_name = "FILE", default_value = "hookmill.yaml")]
        file: PathBuf,
    },
}

impl ConfigCommand {
    pub fn run(self) -> Result<()> {
        match self.action {
            None => print!("{DEFAULT}"),
            Some(Action::Check { file }) => {
                load_checked(&file)?;
                println!("{} is valid", file.display());
            }
        }
        Ok(())
    }
}

/// Loads a configuration file, prints its warnings and checks what it names.
///
/// # Errors
/// Returns an error if `serve` would refuse the configuration.
pub(super) fn load_checked(file: &Path) -> Result<Config> {
    let config = Config::load(file)?;
    config.warnings.iter().for_each(|warning| println!("warning: {}", clean(warning)));
    // The folders belong to the user of the service, as which an administrator does not check.
    let checks_folders = !rustix::process::geteuid().is_root();
    check(&config.settings, checks_folders).with_context(|| format!("in the configuration {}", file.display()))?;
    Ok(config)
}
