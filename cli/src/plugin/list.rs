//! `hookmill plugin list`.

use crate::client::HostConnection;
use crate::text::{clean, given, short, table, utc};
use anyhow::Result;
use clap::Args;
use hookmill_host::api::shapes::ShownPlugin;

/// The arguments of `hookmill plugin list`.
#[derive(Debug, Args)]
pub(crate) struct PluginList {
    #[command(flatten)]
    connection: HostConnection,
}

impl PluginList {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        self.connection.print_list("plugins", &[], |plugins: Vec<ShownPlugin>| {
            let rows = plugins.iter().map(row).collect();
            table(["NAME", "KIND", "VERSION", "SHA256", "STATE", "LOADED (UTC)", "LAST REFUSED"], rows)
        })
    }
}

fn row(plugin: &ShownPlugin) -> [String; 7] {
    [
        clean(&plugin.name),
        plugin.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        given(plugin.version.as_ref()),
        plugin.sha256.as_deref().map(short).unwrap_or_default(),
        plugin.state.to_string(),
        plugin.loaded_at.map(utc).unwrap_or_default(),
        given(plugin.error.as_ref()),
    ]
}
