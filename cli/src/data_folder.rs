//! The options of commands that open the data folder themselves, with or without a running host.

use anyhow::{Context, Result};
use clap::Args;
use hookmill_host::config::{Config, Settings};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct DataFolder {
    /// The configuration file, which names the data folder
    #[arg(long, default_value = "hookmill.yaml")]
    config: PathBuf,
    /// The data folder, instead of the one in the configuration file
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

impl DataFolder {
    /// Returns the path of the data folder.
    ///
    /// # Errors
    /// Returns an error if the configuration is needed and cannot be read.
    pub fn path(&self) -> Result<PathBuf> {
        match &self.data_dir {
            Some(folder) => Ok(folder.clone()),
            None => Ok(self.settings().context("cannot find the data folder; give --config or --data-dir")?.data_dir),
        }
    }

    /// Returns the settings in the configuration file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn settings(&self) -> Result<Settings> {
        Ok(Config::load(&self.config)?.settings)
    }
}
