//! `hookmill plugin list`.

use crate::client::{Connection, print};
use crate::text::{list, plain, short, table, time};
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
}

impl List {
    pub fn run(self) -> Result<()> {
        let answer = self.connection.open()?.get(&["plugins"], &[])?;
        print(self.connection.json, &answer, |answer| {
            let rows = list(&answer["data"]).iter().map(|plugin| {
                [
                    plain(&plugin["name"]),
                    plain(&plugin["kind"]),
                    plain(&plugin["version"]),
                    short(&plugin["sha256"]),
                    plain(&plugin["state"]),
                    time(&plugin["loaded_at"]),
                    plain(&plugin["error"]),
                ]
            });
            table(["NAME", "KIND", "VERSION", "SHA256", "STATE", "LOADED", "LAST REFUSED"], rows.collect())
        });
        Ok(())
    }
}
