//! `hookmill plugin run`.

use super::loader::Loader;
use crate::text::{actions, bytes, clean, fields, incident, list, plain};
use anyhow::{Context, Result, bail};
use clap::Args;
use hookmill_host::map::{self, Trace};
use hookmill_host::payload_file::PayloadFile;
use hookmill_host::plugin_dry_run;
use hookmill_host::source::Source;
use hookmill_incident::id::IdSource;
use hookmill_incident::{Event, Incident, NamedValue, Origin, Reading, Verdict};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The plugin file
    #[arg(value_name = "FILE")]
    plugin: PathBuf,
    /// A file with the payload, NAME.json; headers and context that it comes with may stand in NAME.event.json beside it.
    /// For a playbook an incident, for a notifier an audit entry, as the API shows them
    #[arg(long, value_name = "FILE")]
    payload: PathBuf,
    /// The name of the source that it is said to come from [default: the plugin's name]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// A header that it is said to come with; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<NamedValue>,
    /// What else is known of its delivery, such as `sse.event: delete`; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = pair)]
    context: Vec<NamedValue>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Run {
    pub fn run(self) -> Result<()> {
        let PayloadFile { body, headers, context } = PayloadFile::read(&self.payload)?;
        let size = body.len();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let loaded = runtime
            .block_on(async { Loader::new()?.load(&self.plugin).await })
            .with_context(|| format!("{} cannot be run", self.plugin.display()))?;
        let plugin = loaded.plugin;
        if let Some(shown) = runtime
            .block_on(async { plugin_dry_run::dry_run(&plugin, &String::from_utf8_lossy(&body)).await })
            .with_context(|| format!("{} cannot be given to it", self.payload.display()))?
        {
            return print_other(&serde_json::to_value(&shown)?, self.json);
        }
        let source = Arc::new(Source::unregistered(self.source.unwrap_or_else(|| plugin.version.name.clone())));
        // Mappers take the first of a name: what is said here goes before what the file says.
        let headers = self.headers.into_iter().chain(headers).collect();
        let context = self.context.into_iter().chain(context).collect();
        let event =
            Event { context, ..Event::dry_run(IdSource::after(0).next(), source.name.clone(), headers, body.into()) };
        let (verdict, trace) = runtime.block_on(map::run(&plugin, &event, &source));
        let incidents = incidents(&event, &source, &verdict);
        if self.json {
            println!("{:#}", as_json(&verdict, &incidents, &trace));
        } else {
            println!("{} mapped by {}", self.payload.display(), self.plugin.display());
            print!("{}", as_text(&verdict, &incidents, &trace, size));
        }
        match verdict {
            Verdict::Failed(failure) => bail!("the payload was not mapped: {}", failure.code),
            _ => Ok(()),
        }
    }
}

/// What a playbook or a notifier came to.
fn print_other(shown: &Value, json: bool) -> Result<()> {
    if json {
        println!("{shown:#}");
    } else {
        print!("{}", other_as_text(shown));
    }
    match shown["error"]["message"].as_str() {
        Some(message) => bail!("{}", clean(message)),
        None => Ok(()),
    }
}

fn other_as_text(shown: &Value) -> String {
    let mut text = String::new();
    if let Some(wanted) = shown["actions"].as_array() {
        text += if wanted.is_empty() { "no action\n" } else { "actions\n" };
        text += &actions(wanted);
    }
    match shown.get("request") {
        Some(Value::Null) => text += "nothing is sent\n",
        Some(request) => {
            text += &format!("{} {}\n", plain(&request["method"]), plain(&request["url"]));
            let headers = list(&request["headers"]).iter();
            text += &headers.map(|pair| format!("{}: {}\n", plain(&pair[0]), plain(&pair[1]))).collect::<String>();
            text += &format!("\n{}\n", plain(&request["body"]));
        }
        None => {}
    }
    let log = list(&shown["log"]);
    if !log.is_empty() {
        text += "\nlog\n";
        text += &log
            .iter()
            .map(|line| format!("  {:14}{}\n", plain(&line["level"]), plain(&line["message"])))
            .collect::<String>();
    }
    let milliseconds = shown["duration_us"].as_f64().unwrap_or_default() / 1000.0;
    let memory = bytes(shown["memory_bytes"].as_u64().unwrap_or_default());
    text + &format!("\ntook {milliseconds:.2} ms and {memory} of memory\n")
}

fn header(text: &str) -> Result<NamedValue, String> {
    pair(text).map(|(name, value)| (name.to_lowercase(), value))
}

fn pair(text: &str) -> Result<NamedValue, String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The incidents that an empty store would make of it.
fn incidents(event: &Event, source: &Source, verdict: &Verdict) -> Vec<Value> {
    let Verdict::Read { plugin, reading } = verdict else { return Vec::new() };
    let now = Timestamp::now();
    let origin = Origin {
        event_id: event.id,
        source: source.name.to_string(),
        received_at: Timestamp::from_millisecond(event.received_at).unwrap_or(now),
        plugin: plugin.clone(),
        playbook: None,
        auto_triage: false,
    };
    reading
        .observations
        .iter()
        .map(|observation| json!(Incident::create(observation.clone(), &origin, now).0))
        .collect()
}

/// As the API's `POST /api/plugins/NAME/run` answers.
fn as_json(verdict: &Verdict, incidents: &[Value], trace: &Trace) -> Value {
    let outcome = match verdict {
        Verdict::Read { reading: Reading { skipped, problems, .. }, .. } => {
            json!({"incidents": incidents.len(), "skipped": skipped, "problems": problems})
        }
        Verdict::Failed(failure) => json!({"error": {"code": failure.code.as_str(), "message": failure.message}}),
        Verdict::Wait(_) | Verdict::NotMapped => Value::Null,
    };
    json!({
        "plugin": *trace.plugin.version,
        "outcome": outcome,
        "incidents": incidents,
        "log": trace.log,
        "duration_us": trace.duration.as_micros() as u64,
        "memory_bytes": trace.memory_bytes,
    })
}

fn as_text(verdict: &Verdict, incidents: &[Value], trace: &Trace, payload_bytes: usize) -> String {
    let mut text = String::new();
    for (index, shown) in incidents.iter().enumerate() {
        text += &format!("\nincident {} of {}, as it would be stored\n{}", index + 1, incidents.len(), incident(shown));
    }
    match verdict {
        Verdict::Read { reading: Reading { skipped, problems, .. }, .. } => {
            if incidents.is_empty() {
                text += "\nno incident\n";
            }
            text += &fields(skipped.iter().map(|line| ("skipped", clean(line))));
            text += &fields(problems.iter().map(|line| ("problem", clean(line))));
        }
        Verdict::Failed(failure) => {
            let why = clean(&failure.message);
            text += &format!("\nnot mapped\n{}", fields([("code", failure.code.to_string()), ("reason", why)]));
        }
        Verdict::Wait(_) | Verdict::NotMapped => {}
    }
    if !trace.log.is_empty() {
        text += "\nlog\n";
        text += &fields(trace.log.iter().map(|line| (line.level, clean(&line.message))));
    }
    let milliseconds = trace.duration.as_secs_f64() * 1000.0;
    let memory = bytes(trace.memory_bytes as u64);
    text + &format!("\ntook {milliseconds:.2} ms and {memory} of memory for {}\n", bytes(payload_bytes as u64))
}
