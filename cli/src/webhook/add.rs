//! `hookmill webhook add`.

use super::secret::{SecretOptions, created_secret};
use super::vendor_way::VendorOptions;
use crate::client::{Client, HostConnection, print_shape, read};
use crate::text::clean;
use crate::vendors::way_text;
use anyhow::{Result, anyhow};
use clap::Args;
use hookmill_host::api::shapes::{FileState, IssuedSource, NewSource, PluginNames, ShownPlugin, VendorWay};
use hookmill_signatures::has_secret_of_vendor;
use serde_json::{Map, Value, json};

/// The place of a secret in a URL.
const SECRET: &str = "SECRET";

/// The arguments of `hookmill webhook add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The name of the source, which is part of its URL
    name: String,
    #[command(flatten)]
    secret: SecretOptions,
    #[command(flatten)]
    vendor: VendorOptions,
    /// The scheme that the vendor signs with: its name, or `{"type": NAME, …}` with keys [default: hookmill]
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
        let (way, mut declaration) = self.vendor.resolve()?.map_or((None, Map::new()), |(way, keys)| (Some(way), keys));
        declaration.extend(self.set);
        declaration.extend(self.scheme.map(|text| ("scheme".to_owned(), json_or_text(&text))));
        for (key, text) in [("plugin", self.plugin), ("playbook", self.playbook)] {
            declaration.extend(text.map(|text| (key.to_owned(), text.into())));
        }
        declaration.extend(self.auto_triage.map(|flag| ("auto_triage".to_owned(), flag.into())));
        if !self.allow_ips.is_empty() {
            declaration.insert("allow_ips".to_owned(), self.allow_ips.into());
        }
        let source = NewSource { declaration, source: self.name, secret: self.secret.read()? };
        let client = self.connection.open()?;
        let answer = client.post_json(&["webhooks"], &json!(source))?;
        let url = client.url(&["webhooks", &source.source])?;
        print_shape(self.connection.json, &answer, |issued: IssuedSource| {
            registered(&issued, way.as_ref(), url.as_str())
        })?;
        if way.is_some() {
            warn_about_plugins(&client, &read(&answer)?)?;
        }
        Ok(())
    }
}

fn registered(issued: &IssuedSource, way: Option<&VendorWay>, url: &str) -> String {
    let name = clean(&issued.source.name);
    let scheme = issued.source.scheme.as_deref().map(clean).unwrap_or_default();
    let hint = issued.suggested_scheme.as_ref().map(|suggested| {
        format!(
            "its mapper is for a vendor that signs with `{suggested}`; to use this scheme, remove the source and add \
             it again with --scheme {suggested}\n"
        )
    });
    let made = issued.secret.as_ref().filter(|_| has_secret_of_vendor(&scheme)).map(|_| {
        format!(
            "\nits vendor makes the secret of this scheme; when the vendor shows it, replace this one: hookmill webhook \
             rotate {name} --secret -\n"
        )
    });
    // A secret that the operator gave is not repeated.
    let end = |secret: &str| if issued.source.secret_in_url { format!("/{secret}") } else { String::new() };
    let path = end(issued.secret.as_deref().unwrap_or(SECRET));
    let steps = way.map(|way| format!("\nits URL: {url}{path}\n\n{}\n{}", clean(&way.title), way_text(way)));
    format!(
        "{name} is registered with scheme {scheme}; its vendor posts to /api/webhooks/{name}{}\n{}{}{}",
        end(SECRET),
        hint.unwrap_or_default(),
        created_secret(issued) + &made.unwrap_or_default(),
        steps.unwrap_or_default()
    )
}

/// Warns if the mapper or the playbook of a source is not loaded.
fn warn_about_plugins(client: &Client, issued: &IssuedSource) -> Result<()> {
    let loaded: Vec<ShownPlugin> = client.all("plugins", &[])?;
    let is_loaded = |name: &str| loaded.iter().any(|plugin| plugin.name == name && plugin.state == FileState::Loaded);
    let names = match &issued.source.plugin {
        PluginNames::One(name) => std::slice::from_ref(name),
        PluginNames::Several(names) => names,
    };
    for name in names.iter().filter(|name| !["auto", "none"].contains(&name.as_str()) && !is_loaded(name)) {
        let name = clean(name);
        eprintln!(
            "warning: the plugin `{name}` is not loaded, so that payloads wait; put {name}.wasm into the plugins folder of \
             the host"
        );
    }
    if let Some(error) = &issued.source.playbook_error {
        eprintln!("warning: {}", clean(error));
    }
    Ok(())
}

fn key_and_value(text: &str) -> Result<(String, Value)> {
    let (key, value) = text.split_once('=').ok_or_else(|| anyhow!("expected KEY=VALUE"))?;
    Ok((key.to_owned(), json_or_text(value)))
}

fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
