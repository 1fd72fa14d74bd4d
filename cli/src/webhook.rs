//! `hookmill webhook`: the sources of a running host.

mod add;
mod secret;
mod test;

use super::client::{Connection, Query, print};
use super::text::{list, plain, table, time};
use anyhow::Result;
use clap::Subcommand;
use secret::{Secret, made};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// Register a source; vendors post to /api/webhooks/NAME from then on
    Add(add::Add),
    /// List the sources, with what they have sent
    List(Connection),
    /// Sign a sample as the vendor would, send it through the host as a dry run, and print each stage
    Test(test::Test),
    /// Give a registered source a new secret, and end the former one after an overlap
    Rotate {
        /// Its name
        name: String,
        #[command(flatten)]
        secret: Secret,
        /// For how long the former secret is still valid [default: 24h]
        #[arg(long, value_name = "TIME")]
        overlap: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Forget a registered source; what it has sent stays
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Webhook {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Add(add) => add.run(),
            Self::List(connection) => {
                print(connection.json, &connection.open()?.get(&["sources"], &Query::new())?, |answer| {
                    let rows = list(&answer["data"]).iter().map(row).collect();
                    table(
                        [
                            "NAME",
                            "SCHEME OR KIND",
                            "PLUGIN",
                            "FROM",
                            "ACCEPTED",
                            "REFUSED",
                            "LAST SUCCESS (UTC)",
                            "LAST ERROR",
                        ],
                        rows,
                    )
                });
                Ok(())
            }
            Self::Test(test) => test.run(),
            Self::Rotate { name, secret, overlap, connection } => {
                let mut body = json!({});
                if let Some(secret) = secret.read()? {
                    body["secret"] = secret.into();
                }
                if let Some(overlap) = overlap {
                    body["overlap"] = overlap.into();
                }
                let answer = connection.open()?.post_json(&["sources", &name, "rotate"], &body)?;
                print(connection.json, &answer, |answer| {
                    let former = list(&answer["secrets"]).iter().rev().nth(1);
                    let until = former
                        .map(|secret| format!("; the former one is valid until {} UTC", time(&secret["not_after"])));
                    format!("{name} has a new secret{}\n{}", until.unwrap_or_default(), made(answer))
                });
                Ok(())
            }
            Self::Remove { name, connection } => {
                let answer = connection.open()?.delete(&["sources", &name])?;
                print(connection.json, &answer, |_| format!("{name} is removed; what it has sent stays"));
                Ok(())
            }
        }
    }
}

fn row(source: &Value) -> [String; 8] {
    let error = &source["last_error"];
    let last_error =
        if error.is_null() { String::new() } else { format!("{} {}", time(&error["at"]), plain(&error["code"])) };
    [
        plain(&source["name"]),
        plain(if source["scheme"].is_null() { &source["kind"] } else { &source["scheme"] }),
        match &source["plugin"] {
            Value::Array(names) => names.iter().map(plain).collect::<Vec<_>>().join(", "),
            name => plain(name),
        },
        plain(&source["origin"]),
        plain(&source["accepted"]),
        plain(&source["refused"]),
        time(&source["last_success"]),
        last_error,
    ]
}
