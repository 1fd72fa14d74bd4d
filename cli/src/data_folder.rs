//! The options of commands that open the data folder themselves, with or without a running host.

use anyhow::{Context, Result, ensure};
use clap::Args;
use hookmill_host::config::{Config, Settings};
use hookmill_store::DatabaseAddress;
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
    /// Returns an error if the configuration is needed and cannot be read, or its hosts share another database.
    pub fn path(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.data_dir {
            return Ok(folder.clone());
        }
        let settings = self.configured()?;
        ensure!(
            settings.database.is_none(),
            "this command opens the embedded database, and `database` is another one; use the tools of PostgreSQL, or name \
             a folder with --data-dir"
        );
        Ok(settings.data_dir)
    }

    /// Returns the database that several hosts share, if the configuration names one.
    ///
    /// # Errors
    /// Returns an error if the configuration is needed and cannot be read.
    pub fn shared_database(&self) -> Result<Option<DatabaseAddress>> {
        if self.data_dir.is_some() {
            return Ok(None);
        }
        Ok(self.configured()?.database.map(|database| database.address))
    }

    fn configured(&self) -> Result<Settings> {
        self.settings().context("cannot find the data folder; give --config or --data-dir")
    }

    /// Returns the settings in the configuration file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn settings(&self) -> Result<Settings> {
        Ok(Config::load(&self.config)?.settings)
    }
}
