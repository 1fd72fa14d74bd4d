//! `hookmill plugin list`.

use crate::client::{Connection, print};
use crate::text::{clean, short, table, time};
use anyhow::Result;
use clap::Args;
use hookmill_host::api::shapes::{self, ShownPlugin};
use serde_json::json;

/// The arguments of `hookmill plugin list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
}

impl List {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let answer = self.connection.open()?.get(&["plugins"], &[])?;
        let plugins: shapes::List<ShownPlugin> = serde_json::from_value(answer.clone())?;
        print(self.connection.json, &answer, |_| {
            let rows = plugins.data.iter().map(row);
            table(["NAME", "KIND", "VERSION", "SHA256", "STATE", "LOADED", "LAST REFUSED"], rows.collect())
        });
        Ok(())
    }
}

fn row(plugin: &ShownPlugin) -> [String; 7] {
    [
        clean(&plugin.name),
        plugin.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        plugin.version.as_deref().map(clean).unwrap_or_default(),
        short(&json!(plugin.sha256)),
        plugin.state.to_string(),
        time(&json!(plugin.loaded_at)),
        plugin.error.as_deref().map(clean).unwrap_or_default(),
    ]
}
