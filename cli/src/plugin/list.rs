//! `hookmill plugin list`.

use crate::client::{Connection, print_shape};
use crate::text::{clean, short, table, utc};
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
        print_shape(self.connection.json, &answer, |plugins: shapes::List<ShownPlugin>| {
            let rows = plugins.data.iter().map(row);
            table(["NAME", "KIND", "VERSION", "SHA256", "STATE", "LOADED", "LAST REFUSED"], rows.collect())
        })
    }
}

fn row(plugin: &ShownPlugin) -> [String; 7] {
    [
        clean(&plugin.name),
        plugin.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        plugin.version.as_deref().map(clean).unwrap_or_default(),
        short(&json!(plugin.sha256)),
        plugin.state.to_string(),
        plugin.loaded_at.map(utc).unwrap_or_default(),
        plugin.error.as_deref().map(clean).unwrap_or_default(),
    ]
}
