//! `hookmill logs`.

use super::client::{Connection, Query, print};
use super::text::{list, plain};
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Text that the lines contain, without case
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How many lines, at most 10000 [default: 100]
    #[arg(long, value_name = "N")]
    tail: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

impl Logs {
    pub fn run(self) -> Result<()> {
        let mut query = Query::new();
        query.extend(self.filter.map(|text| ("filter", text)));
        query.extend(self.tail.map(|count| ("tail", count.to_string())));
        let answer = self.connection.open()?.get(&["logs"], &query)?;
        print(self.connection.json, &answer, |answer| {
            list(&answer["data"]).iter().map(plain).collect::<Vec<_>>().join("\n")
        });
        Ok(())
    }
}
