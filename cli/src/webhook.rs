//! `hookmill webhook`: the sources of a running host.

mod add;
mod secret;
mod test;
mod vendor_way;

use super::client::{HostConnection, print_shape};
use super::text::{clean, table, utc};
use anyhow::Result;
use clap::Subcommand;
use hookmill_host::api::shapes::{
    IssuedSource, PluginNames, SecretRotation, ShownSource, UnusableSource, UsableSource,
};
use secret::{SecretOptions, created_secret};
use serde::de::IgnoredAny;
use serde_json::json;

/// The commands on sources.
#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// Register a source; its vendor then posts to /api/webhooks/NAME
    Add(add::Add),
    /// List the sources with the counts of their payloads
    List(HostConnection),
    /// Sign a payload as the vendor would, do a dry run of it on the host, and print each stage
    Test(test::WebhookTest),
    /// Give a registered source a new secret; the former secret expires after an overlap
    Rotate {
        /// The name of the source
        name: String,
        #[command(flatten)]
        secret: SecretOptions,
        /// The time for which the former secret stays valid [default: 24h]
        #[arg(long, value_name = "TIME")]
        overlap: Option<String>,
        #[command(flatten)]
        connection: HostConnection,
    },
    /// Remove a registered source; its events and incidents stay
    Remove {
        /// The name of the source
        name: String,
        #[command(flatten)]
        connection: HostConnection,
    },
}

impl Webhook {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Add(add) => add.run(),
            Self::List(connection) => list(&connection),
            Self::Test(test) => test.run(),
            Self::Rotate { name, secret, overlap, connection } => rotate(&connection, &name, secret, overlap),
            Self::Remove { name, connection } => {
                let answer = connection.open()?.delete(&["sources", &name])?;
                print_shape(connection.json, &answer, |_: IgnoredAny| {
                    format!("{name} is removed; its events and incidents stay")
                })
            }
        }
    }
}

fn list(connection: &HostConnection) -> Result<()> {
    connection.print_list("sources", &[], |sources: Vec<ShownSource>| {
        table(
            ["NAME", "SCHEME OR KIND", "PLUGIN", "ORIGIN", "ACCEPTED", "REFUSED", "LAST SUCCESS (UTC)", "LAST ERROR"],
            sources.iter().map(row).collect(),
        )
    })
}

fn rotate(connection: &HostConnection, name: &str, secret: SecretOptions, overlap: Option<String>) -> Result<()> {
    let rotation = SecretRotation { secret: secret.read()?, overlap };
    let answer = connection.open()?.post_json(&["sources", name, "rotate"], &json!(rotation))?;
    print_shape(connection.json, &answer, |issued: IssuedSource| {
        let former = issued.source.secrets.iter().rev().nth(1);
        let until = former.map(|secret| {
            format!("; the former one is valid until {} UTC", secret.not_after.map(utc).unwrap_or_default())
        });
        format!("{name} has a new secret{}\n{}", until.unwrap_or_default(), created_secret(&issued))
    })
}

fn row(source: &ShownSource) -> [String; 8] {
    match source {
        ShownSource::Usable(source) => usable_row(source),
        ShownSource::Unusable(source) => unusable_row(source),
    }
}

fn usable_row(source: &UsableSource) -> [String; 8] {
    let last_error = source
        .last_error
        .as_ref()
        .map(|error| format!("{} {}", error.at.map(utc).unwrap_or_default(), clean(&error.code)));
    [
        clean(&source.name),
        source.scheme.as_deref().map_or_else(|| source.kind.to_string(), clean),
        match &source.plugin {
            PluginNames::One(name) => clean(name),
            PluginNames::Several(names) => names.iter().map(|name| clean(name)).collect::<Vec<_>>().join(", "),
        },
        source.origin.to_string(),
        source.accepted.to_string(),
        source.refused.to_string(),
        source.last_success.map(utc).unwrap_or_default(),
        last_error.unwrap_or_default(),
    ]
}

fn unusable_row(source: &UnusableSource) -> [String; 8] {
    let empty = String::new;
    let last_error =
        format!("{} {}", source.last_error.at.map(utc).unwrap_or_default(), clean(&source.last_error.code));
    [clean(&source.name), empty(), empty(), source.origin.to_string(), empty(), empty(), empty(), last_error]
}
