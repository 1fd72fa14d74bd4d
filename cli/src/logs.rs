//! `hookmill logs`.

use super::client::{HostConnection, QueryParameters};
use super::text::clean;
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Only lines that contain this text, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// The maximum number of lines, up to 10000 [default: 100]
    #[arg(long, value_name = "N")]
    tail: Option<u32>,
    #[command(flatten)]
    connection: HostConnection,
}

impl Logs {
    pub fn run(self) -> Result<()> {
        let mut query = QueryParameters::new();
        query.extend(self.filter.map(|text| ("filter", text)));
        query.extend(self.tail.map(|count| ("tail", count.to_string())));
        self.connection.print_list("logs", &query, |lines: Vec<String>| {
            lines.iter().map(|line| clean(line)).collect::<Vec<_>>().join("\n")
        })
    }
}
