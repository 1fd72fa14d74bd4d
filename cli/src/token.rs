//! `hookmill token`.

use super::data_folder::DataFolder;
use super::text::{clean, table, utc};
use anyhow::{Result, ensure};
use clap::Subcommand;
use hookmill_incident::Clock;
use hookmill_store::{Scope, TokenRow, Tokens};
use jiff::Timestamp;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Create a token and print it; the token is not shown again
    Create {
        /// The scope of the token
        #[arg(long)]
        scope: Scope,
        /// The token's name
        #[arg(long, default_value = "default")]
        name: String,
        /// When the token expires, e.g. 2027-01-31T00:00:00Z
        #[arg(long)]
        expires: Option<Timestamp>,
        #[command(flatten)]
        folder: DataFolder,
    },
    /// List the tokens
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: DataFolder,
    },
    /// Remove a token
    Revoke {
        /// The token's name
        name: String,
        #[command(flatten)]
        folder: DataFolder,
    },
}

fn open(folder: &DataFolder) -> Result<Tokens> {
    match folder.shared_database()? {
        Some(address) => Tokens::connect(&address),
        None => Tokens::open(&folder.path()?),
    }
}

impl Token {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Create { scope, name, expires, folder } => {
                ensure!(
                    expires.is_none_or(|time| time.as_millisecond() > Clock::default().now_ms()),
                    "--expires is in the past"
                );
                println!("{}", open(&folder)?.create(&name, scope, expires.map(Timestamp::as_millisecond))?);
            }
            Self::List { json, folder } => print(&open(&folder)?.list()?, json),
            Self::Revoke { name, folder } => {
                ensure!(open(&folder)?.revoke(&name)?, "there is no token `{name}`");
            }
        }
        Ok(())
    }
}

fn print(tokens: &[TokenRow], json: bool) {
    let time = |unix_ms| Timestamp::from_millisecond(unix_ms).ok();
    if json {
        let shown = tokens.iter().map(|token| {
            let (created_at, expires_at) = (time(token.created_at), token.expires_at.and_then(time));
            json!({"name": token.name, "scope": token.scope, "created_at": created_at, "expires_at": expires_at})
        });
        println!("{:#}", json!({"data": shown.collect::<Vec<_>>()}));
        return;
    }
    let rows = tokens.iter().map(|token| {
        let created = time(token.created_at).map(utc).unwrap_or_default();
        let expires = token.expires_at.and_then(time).map_or_else(|| "never".to_owned(), utc);
        [clean(&token.name), token.scope.to_string(), created, expires]
    });
    println!("{}", table(["NAME", "SCOPE", "CREATED (UTC)", "EXPIRES (UTC)"], rows.collect()));
}
