//! `hookmill token`.

use super::text::{plain, table, time};
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use hookmill_host::config::Config;
use hookmill_incident::timestamp::unix_ms;
use hookmill_store::{Scope, TokenRow, Tokens};
use jiff::Timestamp;
use serde_json::{Value, json};
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
        /// Print JSON
        #[arg(long)]
        json: bool,
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
            Self::List { json, folder } => print(&folder.open()?.list()?, json),
            Self::Revoke { name, folder } => {
                ensure!(folder.open()?.revoke(&name)?, "there is no token `{name}`");
            }
        }
        Ok(())
    }
}

fn print(tokens: &[TokenRow], json: bool) {
    let at = |ms| json!(Timestamp::from_millisecond(ms).ok());
    let tokens = tokens.iter().map(|token| {
        let (made, end) = (at(token.created_at), token.expires_at.map(at));
        json!({"name": token.name, "scope": token.scope, "created_at": made, "expires_at": end})
    });
    let tokens: Vec<Value> = tokens.collect();
    if json {
        println!("{:#}", json!({"data": tokens}));
        return;
    }
    let rows = tokens.iter().map(|token| {
        let end = if token["expires_at"].is_null() { "never".to_owned() } else { time(&token["expires_at"]) };
        [plain(&token["name"]), plain(&token["scope"]), time(&token["created_at"]), end]
    });
    println!("{}", table(["NAME", "SCOPE", "MADE (UTC)", "EXPIRES (UTC)"], rows.collect()));
}
