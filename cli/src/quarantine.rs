//! `hookmill quarantine`.

use super::client::{Client, HostConnection, PageOptions, QueryParameters, each, print_shape, read};
use super::progress::ProgressLine;
use super::text::{clean, fields, short, table, utc};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use hookmill_host::api::shapes::{
    DiscardedGroup, GroupReplayFailure, GroupReplayResult, PluginWithVersions, ShownPluginVersion, ShownQuarantineGroup,
};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Quarantine {
    /// List the events in quarantine in groups with the same cause, the group with the newest event first
    List(GroupList),
    /// Map the events of a group again, and record the results of those that can be mapped
    Replay(GroupReplay),
    /// Discard the events of a group: the host keeps them and does not map them
    Discard(GroupDiscard),
}

#[derive(Debug, Args)]
pub(super) struct GroupList {
    #[command(flatten)]
    page: PageOptions,
    #[command(flatten)]
    connection: HostConnection,
}

#[derive(Debug, Args)]
pub(super) struct GroupReplay {
    /// The id of the group, as `quarantine list` shows it
    group: String,
    /// The version that maps the events: its number, or the beginning of its SHA-256 digest [default: the live mappers of
    /// each event's source]
    #[arg(long)]
    version: Option<String>,
    /// The results that are recorded: mapped, partial or ignored; may be repeated [default: mapped and partial]
    #[arg(long)]
    status: Vec<String>,
    /// Show the results and record nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: HostConnection,
}

#[derive(Debug, Args)]
pub(super) struct GroupDiscard {
    /// The id of the group, as `quarantine list` shows it
    group: String,
    /// The reason, for the events and the trail of operators
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: HostConnection,
}

impl Quarantine {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Replay(replay) => replay.run(),
            Self::Discard(discard) => discard.run(),
        }
    }
}

impl GroupList {
    fn run(self) -> Result<()> {
        let query: QueryParameters = self.page.parameters().collect();
        self.connection.print_list("quarantine", &query, |groups: Vec<ShownQuarantineGroup>| {
            let rows = groups.iter().map(row).collect();
            table(["GROUP", "PLUGIN", "CODE", "MESSAGE", "EVENTS", "FIRST (UTC)", "LAST (UTC)", "NEWEST EVENT"], rows)
        })
    }
}

fn row(group: &ShownQuarantineGroup) -> [String; 8] {
    [
        clean(&group.id),
        clean(&group.plugin),
        group.code.to_string(),
        clean(&group.message),
        group.count.to_string(),
        utc(group.first_at),
        utc(group.last_at),
        group.newest.to_string(),
    ]
}

impl GroupReplay {
    fn run(self) -> Result<()> {
        let Self { group, version, status, dry_run, connection } = self;
        let client = connection.open()?;
        let known = find(&client, &group)?;
        // Events that arrive meanwhile are not replayed.
        let mut query = vec![("dry_run", dry_run.to_string()), ("until", known.newest.to_string())];
        if let Some(version) = version {
            let sha256 = find_version(&client, &known.plugin, &version)?;
            query.extend([("plugin", known.plugin), ("version", sha256)]);
        }
        query.extend(each("status", status));
        let mut progress = ProgressLine::new();
        let mut sum = GroupReplayResult::default();
        let mut cursor = None;
        loop {
            let page = query.iter().cloned().chain(cursor.map(|cursor| ("cursor", cursor)));
            let page: QueryParameters = page.collect();
            let result: GroupReplayResult = read(&client.post_with(&["quarantine", &group, "replay"], &page)?)?;
            cursor = result.next_cursor.clone();
            sum.add(result);
            progress.show(&format!("mapped {} of {}", sum.events, known.count));
            if cursor.is_none() {
                break;
            }
        }
        progress.clear();
        if connection.json {
            println!("{:#}", serde_json::to_value(&sum)?);
        } else {
            println!("{}", replay_text(&sum, dry_run).trim_end());
        }
        let left = sum.events - if dry_run { sum.mapped + sum.partial + sum.ignored } else { sum.replayed };
        ensure!(left == 0, "{left} of {} events stay in quarantine", sum.events);
        Ok(())
    }
}

impl GroupDiscard {
    fn run(self) -> Result<()> {
        let Self { group, reason, connection } = self;
        let client = connection.open()?;
        let until = find(&client, &group)?.newest;
        let mut sum = DiscardedGroup { discarded: 0, has_more: true };
        while sum.has_more {
            let body = json!({"reason": reason, "until": until});
            let DiscardedGroup { discarded, has_more } =
                read(&client.post_json(&["quarantine", &group, "discard"], &body)?)?;
            sum = DiscardedGroup { discarded: sum.discarded + discarded, has_more };
        }
        print_shape(connection.json, &serde_json::to_value(&sum)?, |sum: DiscardedGroup| {
            format!("discarded {}", sum.discarded)
        })
    }
}

fn find(client: &Client, id: &str) -> Result<ShownQuarantineGroup> {
    let groups: Vec<ShownQuarantineGroup> = client.all("quarantine", &[])?;
    let found = groups.into_iter().find(|group| group.id == id);
    found.with_context(|| format!("there is no group `{id}`; `hookmill quarantine list` lists them"))
}

/// Returns the digest of the version that has this number, or a digest that begins with this text.
fn find_version(client: &Client, plugin: &str, version: &str) -> Result<String> {
    let PluginWithVersions { versions, .. } = read(&client.get(&["plugins", plugin], &[])?)?;
    let is_meant = |known: &&ShownPluginVersion| known.version == version || known.sha256.starts_with(version);
    let found: Vec<_> = versions.iter().filter(is_meant).collect();
    match found.as_slice() {
        [one] => Ok(one.sha256.clone()),
        [] => {
            let known: Vec<_> =
                versions.iter().map(|known| format!("{} ({})", clean(&known.version), short(&known.sha256))).collect();
            bail!("`{plugin}` has no version `{version}`; it has {}", known.join(", "))
        }
        _ => bail!("`{plugin}` has several versions `{version}`; give the beginning of the digest of one"),
    }
}

fn replay_text(sum: &GroupReplayResult, dry_run: bool) -> String {
    let mut text = fields([
        ("events", sum.events.to_string()),
        ("mapped", sum.mapped.to_string()),
        ("partial", sum.partial.to_string()),
        ("ignored", sum.ignored.to_string()),
        ("still failing", sum.failed.to_string()),
        ("replayed", if dry_run { "none, because this was a dry run".to_owned() } else { sum.replayed.to_string() }),
    ]);
    for GroupReplayFailure { code, message, count, sample } in &sum.failures {
        let code = code.map(|code| format!("{code}: ")).unwrap_or_default();
        text += &format!("\n{count} still failing, such as {sample}\n  {code}{}\n", clean(message));
    }
    text
}
