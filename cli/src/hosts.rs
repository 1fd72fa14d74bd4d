//! `hookmill hosts`.

use super::client::{HostConnection, print_shape};
use super::text::{clean, table, utc};
use anyhow::Result;
use clap::Args;
use hookmill_host::api::shapes::{List, ShownHost};

/// Shows the hosts that share the database, with the leases that each of them holds and the plugins that it has loaded.
#[derive(Debug, Args)]
pub(super) struct Hosts {
    #[command(flatten)]
    connection: HostConnection,
}

impl Hosts {
    pub fn run(self) -> Result<()> {
        let answer = self.connection.open()?.get(&["hosts"], &[])?;
        print_shape(self.connection.json, &answer, |hosts: List<ShownHost>| {
            let header = ["NAME", "ID", "VERSION", "STARTED (UTC)", "SEEN (UTC)", "STATE", "LEASES", "PLUGINS"];
            table(header, hosts.data.into_iter().map(row).collect())
        })
    }
}

fn row(host: ShownHost) -> [String; 8] {
    let state = match (host.is_live, host.is_this) {
        (false, _) => "gone",
        (true, true) => "live, answers",
        (true, false) => "live",
    };
    let leases = host.leases.iter().map(|name| clean(name)).collect::<Vec<_>>().join(" ");
    let plugins = host.plugins.iter().map(|plugin| clean(&format!("{}@{}", plugin.name, plugin.version)));
    let plugins = plugins.collect::<Vec<_>>().join(" ");
    let (started, seen) = (utc(host.started_at), utc(host.seen_at));
    [clean(&host.name), host.id, host.version, started, seen, state.into(), leases, plugins]
}
