//! `hookmill plugin run`.

mod text;

use super::loader::Loader;
use crate::text::clean;
use anyhow::{Context, Result, bail};
use clap::Args;
use hookmill_host::api::shapes::{MapperDryRun, MappingOutcome, NotifierDryRun, PlaybookDryRun, PluginDryRun};
use hookmill_host::payload_file::PayloadFile;
use hookmill_host::plugin_dry_run;
use hookmill_host::source::Source;
use hookmill_incident::id::IdSource;
use hookmill_incident::{Clock, Event, Incident, NamedValue};
use hookmill_sandbox::Plugin;
use std::path::PathBuf;
use std::sync::Arc;

/// The arguments of `hookmill plugin run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The plugin file
    #[arg(value_name = "FILE")]
    plugin: PathBuf,
    /// The file with the payload, NAME.json; NAME.event.json in the same folder may have its headers and context. For a
    /// playbook the file has an incident, for a notifier an audit entry, in the form of the API
    #[arg(long, value_name = "FILE")]
    payload: PathBuf,
    /// The name of the payload's source [default: the plugin's name]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// A header of the request; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<NamedValue>,
    /// Another fact about the request, such as `sse.event: delete`; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = pair)]
    context: Vec<NamedValue>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Run {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let payload = PayloadFile::read(&self.payload)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let loaded = runtime
            .block_on(async { Loader::new()?.load(&self.plugin).await })
            .with_context(|| format!("cannot run {}", self.plugin.display()))?;
        let input = String::from_utf8_lossy(&payload.body);
        let called = runtime
            .block_on(plugin_dry_run::dry_run(&loaded.plugin, &input))
            .with_context(|| format!("cannot call the plugin with {}", self.payload.display()))?;
        let size = payload.body.len();
        let shown = match called {
            Some(shown) => shown,
            None => runtime.block_on(self.map(&loaded.plugin, payload))?,
        };
        if self.json {
            println!("{:#}", serde_json::to_value(&shown)?);
        } else {
            print!("{}", self.text(&shown, size));
        }
        match &shown {
            PluginDryRun::Mapper(MapperDryRun { outcome: Some(MappingOutcome::Failed { error }), .. }) => {
                bail!("the payload was not mapped: {}", error.code)
            }
            PluginDryRun::Playbook(PlaybookDryRun { error: Some(error), .. })
            | PluginDryRun::Notifier(NotifierDryRun { error: Some(error), .. }) => bail!("{}", clean(&error.message)),
            _ => Ok(()),
        }
    }

    async fn map(&self, plugin: &Arc<Plugin>, payload: PayloadFile) -> Result<PluginDryRun<Incident>> {
        let source = self.source.clone().unwrap_or_else(|| plugin.version.name.clone());
        let source = Arc::new(Source::unregistered(source));
        // Mappers use the first value of a name, so the command line takes precedence over the file.
        let headers = self.headers.iter().cloned().chain(payload.headers).collect();
        let context = self.context.iter().cloned().chain(payload.context).collect();
        let now = Clock::default().now_ms();
        let id = IdSource::after(0).next(now);
        let event = Event { context, ..Event::dry_run(id, now, source.name.clone(), headers, payload.body.into()) };
        Ok(PluginDryRun::Mapper(plugin_dry_run::dry_run_mapper(plugin, &event, &source).await?))
    }

    fn text(&self, shown: &PluginDryRun<Incident>, payload_bytes: usize) -> String {
        match shown {
            PluginDryRun::Mapper(shown) => {
                let (payload, plugin) = (self.payload.display(), self.plugin.display());
                format!("{payload} mapped by {plugin}\n{}", text::mapper(shown, payload_bytes))
            }
            PluginDryRun::Playbook(shown) => text::playbook(shown),
            PluginDryRun::Notifier(shown) => text::notifier(shown),
        }
    }
}

fn header(text: &str) -> Result<NamedValue, String> {
    pair(text).map(|(name, value)| (name.to_lowercase(), value))
}

fn pair(text: &str) -> Result<NamedValue, String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
