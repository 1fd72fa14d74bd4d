//! `hookmill token`.

use crate::config::Config;
use crate::id::unix_ms;
use crate::store::{Scope, Tokens};
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token and print it; it is shown this once
    Create {
        /// What it may do
        #[arg(long)]
        scope: Scope,
        /// A name to know it by
        #[arg(long, default_value = "default")]
        name: String,
        /// When it ends to be valid, e.g. 2027-01-31T00:00:00Z
        #[arg(long)]
        expires: Option<Timestamp>,
        #[command(flatten)]
        folder: Folder,
    },
    /// List the tokens
    List {
        #[command(flatten)]
        folder: Folder,
    },
    /// Remove a token
    Revoke {
        /// Its name
        name: String,
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The configuration file, which names the data folder
    #[arg(long, default_value = "hookmill.yaml")]
    config: PathBuf,
    /// The data folder, instead of the configuration's
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

impl Folder {
    fn open(self) -> Result<Tokens> {
        let data_dir = match self.data_dir {
            Some(folder) => folder,
            None => Config::load(&self.config).context("give --config or --data-dir")?.data_dir,
        };
        Tokens::open(&data_dir)
    }
}

impl Token {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Create { scope, name, expires, folder } => {
                ensure!(expires.is_none_or(|time| time.as_millisecond() > unix_ms()), "--expires is in the past");
                println!("{}", folder.open()?.create(&name, scope, expires.map(Timestamp::as_millisecond))?);
            }
            Self::List { folder } => {
                for token in folder.open()?.list()? {
                    let time = |ms| Timestamp::from_millisecond(ms).map_or("?".to_owned(), |time| time.to_string());
                    let end = token.expires_at.map_or("never".to_owned(), time);
                    println!("{}\t{}\tmade {}\texpires {end}", token.name, token.scope, time(token.created_at));
                }
            }
            Self::Revoke { name, folder } => {
                ensure!(folder.open()?.revoke(&name)?, "there is no token `{name}`");
            }
        }
        Ok(())
    }
}
