//! `hookmill logs`.

use super::client::{Connection, Query, print_shape};
use super::text::clean;
use anyhow::Result;
use clap::Args;
use hookmill_host::api::shapes::List;

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Only lines that contain this text, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// The maximum number of lines, up to 10000 [default: 100]
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
        print_shape(self.connection.json, &answer, |lines: List<String>| {
            lines.data.iter().map(|line| clean(line)).collect::<Vec<_>>().join("\n")
        })
    }
}
