//! `hookmill operator-actions`.

use super::client::{HostConnection, PageOptions};
use super::text::{clean, given, table, utc};
use anyhow::Result;
use clap::{Args, Subcommand};
use hookmill_host::api::shapes::ShownOperatorAction;

#[derive(Debug, Subcommand)]
pub(super) enum OperatorActions {
    /// List the requests and commands that were to change something, the newest first
    List(OperatorActionList),
}

#[derive(Debug, Args)]
pub(super) struct OperatorActionList {
    #[command(flatten)]
    page: PageOptions,
    #[command(flatten)]
    connection: HostConnection,
}

impl OperatorActions {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
        }
    }
}

impl OperatorActionList {
    fn run(self) -> Result<()> {
        let query: Vec<_> = self.page.parameters().collect();
        self.connection.print_list("operator-actions", &query, |actions: Vec<ShownOperatorAction>| {
            let rows = actions.iter().map(row).collect();
            table(["AT (UTC)", "TOKEN", "ADDRESS", "METHOD", "PATH", "STATUS", "NOTE", "REQUEST"], rows)
        })
    }
}

fn row(action: &ShownOperatorAction) -> [String; 8] {
    [
        utc(action.at),
        clean(&action.token),
        given(action.address.as_ref()),
        clean(&action.method),
        clean(&action.path),
        action.http_status.map(|status| status.to_string()).unwrap_or_default(),
        given(action.note.as_ref()),
        action.id.to_string(),
    ]
}
