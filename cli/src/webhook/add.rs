//! `hookmill webhook add`.

use super::secret::{SecretOptions, created_secret};
use crate::client::{HostConnection, print_shape};
use crate::text::clean;
use anyhow::{Result, anyhow};
use clap::Args;
use hookmill_host::api::shapes::{IssuedSource, NewSource};
use serde_json::{Map, Value, json};

/// The arguments of `hookmill webhook add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The name of the source, which is part of its URL
    name: String,
    #[command(flatten)]
    secret: SecretOptions,
    /// The scheme that the vendor signs with [default: hookmill]
    #[arg(long)]
    scheme: Option<String>,
    /// The plugin that maps the payloads [default: the plugin with the name of the source, else the first that fits]
    #[arg(long)]
    plugin: Option<String>,
    /// Run the playbook on new incidents of the source
    #[arg(long, value_name = "true|false")]
    auto_triage: Option<bool>,
    /// The playbook's name
    #[arg(long)]
    playbook: Option<String>,
    /// A network that the source may send from; may be repeated
    #[arg(long = "allow-ip", value_name = "NETWORK")]
    allow_ips: Vec<String>,
    /// Any other key of a source in the configuration, e.g. `requests_per_second=100`; the value is JSON or text
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, Value)>,
    #[command(flatten)]
    connection: HostConnection,
}

impl Add {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut declaration: Map<String, Value> = self.set.into_iter().collect();
        for (key, text) in [("scheme", self.scheme), ("plugin", self.plugin), ("playbook", self.playbook)] {
            declaration.extend(text.map(|text| (key.to_owned(), text.into())));
        }
        declaration.extend(self.auto_triage.map(|flag| ("auto_triage".to_owned(), flag.into())));
        if !self.allow_ips.is_empty() {
            declaration.insert("allow_ips".to_owned(), self.allow_ips.into());
        }
        let source = NewSource { declaration, source: self.name, secret: self.secret.read()? };
        let answer = self.connection.open()?.post_json(&["webhooks"], &json!(source))?;
        print_shape(self.connection.json, &answer, |issued: IssuedSource| registered(&issued))
    }
}

fn registered(issued: &IssuedSource) -> String {
    let name = clean(&issued.source.name);
    let scheme = issued.source.scheme.as_deref().map(clean).unwrap_or_default();
    let hint = issued.suggested_scheme.as_ref().map(|suggested| {
        format!(
            "its mapper is for a vendor that signs with `{suggested}`; to use this scheme, remove the source and add \
             it again with --scheme {suggested}\n"
        )
    });
    format!(
        "{name} is registered with scheme {scheme}; its vendor posts to /api/webhooks/{name}\n{}{}",
        hint.unwrap_or_default(),
        created_secret(issued)
    )
}

fn key_and_value(text: &str) -> Result<(String, Value)> {
    let (key, value) = text.split_once('=').ok_or_else(|| anyhow!("expected KEY=VALUE"))?;
    Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}
