//! The demo's host with a temporary folder, secrets, the receiver of audit webhooks and the clients.

use super::receiver::Receiver;
use super::report::DemoReport;
use super::samples::vendors;
use super::sender::{HostAnswer, Sender, SignedRequest};
use crate::client::{Client, read};
use crate::compile::beside_a_host;
use crate::plugin::PRECOMPILED_FOLDER;
use crate::text::{clean, given, short};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_host::api::shapes::{FileState, List, ShownPlugin};
use hookmill_host::config::Config;
use hookmill_host::serve::{Running, start};
use hookmill_incident::Clock;
use reqwest::Url;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// The longest wait for something that the host does in the background.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The longest wait for compiling the mappers, two of which contain an interpreter.
const COMPILE_WAIT_MAX: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const SECRET_BYTES: usize = 32;

/// The host, the receiver and the clients of the demo.
pub(super) struct DemoHost {
    pub sender: Sender,
    pub receiver: Receiver,
    pub runtime: Runtime,
    pub plugins_dir: PathBuf,
    pub api: Client,
    url: Url,
    token: String,
    running: Running,
    folder: TempDir,
}

impl DemoHost {
    /// Starts a host with a copy of the bundled mappers.
    ///
    /// # Errors
    /// Returns an error if a mapper is missing or the host does not start.
    pub fn start(mappers: &Path, report: &mut DemoReport) -> Result<Self> {
        let missing: Vec<&str> =
            vendors().into_iter().filter(|vendor| !mappers.join(format!("{vendor}.wasm")).is_file()).collect();
        ensure!(
            missing.is_empty(),
            "{} has no mapper for {}; run `hookmill plugin build plugins/*` in the project's folder first, or \
             give the folder of the mappers with --plugins-dir",
            mappers.display(),
            missing.join(", ")
        );
        let started = Instant::now();
        let folder = TempDir::with_prefix("hookmill-demo-").context("cannot create a folder for the host")?;
        let plugins_dir = folder.path().join("plugins");
        DirBuilder::new().mode(0o700).create(&plugins_dir).context("cannot create the plugins folder")?;
        for vendor in vendors() {
            let file = format!("{vendor}.wasm");
            std::fs::copy(mappers.join(&file), plugins_dir.join(&file))
                .with_context(|| format!("cannot copy {file}"))?;
        }
        let mut secrets = BTreeMap::new();
        for vendor in vendors() {
            secrets.insert(vendor, hex::encode(random()?));
        }
        let key = random()?;
        let token = format!("hm_{}", hex::encode(random()?));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (receiver, audit) = runtime.block_on(Receiver::start(&key))?;
        let config = Config::parse(&configuration(mappers, &secrets, audit, &key)?, folder.path())?;
        let starting = start(config, Some(token.clone()), Some(beside_a_host()?), Vec::new(), Clock::default());
        let running = runtime.block_on(starting)?;
        let url: Url = format!("http://{}", running.address).parse()?;
        let api = Client::new(url.clone(), Some(token.clone()))?;
        let sender = Sender::new(url.clone(), secrets)?;
        let host = Self { sender, receiver, api, runtime, plugins_dir, url, token, running, folder };
        host.report_start(report, started)?;
        Ok(host)
    }

    fn report_start(&self, report: &mut DemoReport, started: Instant) -> Result<()> {
        report.progress("loading the mappers");
        let ready = wait_within(COMPILE_WAIT_MAX, || Ok(self.running.is_ready().then_some(())))?.is_some();
        let took = started.elapsed().as_secs_f64();
        report.check(ready, &format!("a host listens on {} and is ready after {took:.1} s", self.url));
        let plugins = self.plugins()?;
        let loaded = plugins.iter().filter(|plugin| plugin.state == FileState::Loaded && plugin.error.is_none());
        let loaded: Vec<String> = loaded
            .map(|plugin| {
                let digest = plugin.sha256.as_deref().map(short).unwrap_or_default();
                format!("{} {} ({digest})", clean(&plugin.name), given(plugin.version.as_ref()))
            })
            .collect();
        report.check(loaded.len() == vendors().len(), &format!("{} mappers are loaded", loaded.len()));
        report.show(&loaded.join("\n"));
        Ok(())
    }

    /// Returns the plugins of the host.
    ///
    /// # Errors
    /// Returns an error if the host does not answer.
    pub fn plugins(&self) -> Result<Vec<ShownPlugin>> {
        self.page(&["plugins"], &[])
    }

    /// Returns the first page of a list of the API.
    ///
    /// # Errors
    /// Returns an error if the host does not answer or the rows have another shape.
    pub fn page<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, String)]) -> Result<Vec<T>> {
        let list: List<T> = read(&self.api.get(path, query)?)?;
        Ok(list.data)
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// Returns an error if the host does not answer.
    pub fn post(&self, signed: &SignedRequest) -> Result<HostAnswer> {
        self.runtime.block_on(self.sender.post(signed))
    }

    /// Prints how to look at the running host.
    ///
    /// # Errors
    /// Returns an error if the host cannot make an address that signs in.
    pub fn print_examples(&self) -> Result<()> {
        let Self { url, token, .. } = self;
        let url = url.as_str().trim_end_matches('/');
        let source = "generic";
        println!(
            "\nThe host runs until Ctrl-C. This address of its console signs in once, within 10 minutes:\n
  {}\n
In another terminal:\n
  export HOOKMILL_URL={url} HOOKMILL_TOKEN={token}
  hookmill incidents list\n
  BODY='{{\"event_type\":\"login_failed\",\"data\":{{\"alert_id\":\"my-1\",\"severity\":\"high\",\"source_ip\":\"203.0.113.9\"}}}}'
  TIMESTAMP=$(date +%s)
  SIGNATURE=$(printf '%s.%s' \"$TIMESTAMP\" \"$BODY\" | openssl dgst -sha256 -hmac '{}' | awk '{{print $NF}}')
  curl -i {url}/api/webhooks/{source} -H \"X-Webhook-Timestamp: $TIMESTAMP\" -H \"X-Webhook-Signature: sha256=$SIGNATURE\" -d \"$BODY\"\n
  cp NAME.wasm {}/",
            self.running.signing_in_url()?,
            self.sender.secret(source),
            self.plugins_dir.display()
        );
        Ok(())
    }

    /// Waits for Ctrl-C or SIGTERM.
    ///
    /// # Errors
    /// Returns an error if the signals cannot be received.
    pub fn wait_for_interrupt(&self) -> std::io::Result<()> {
        self.runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted,
                _ = terminate.recv() => Ok(()),
            }
        })
    }

    /// Stops the host and removes its folder.
    pub fn stop(self) {
        let Self { runtime, running, folder, .. } = self;
        runtime.block_on(running.stop());
        runtime.shutdown_background();
        drop(folder);
    }
}

/// Calls a function until it returns a value. Returns `None` if that takes too long.
///
/// # Errors
/// Returns the error of the function.
pub(super) fn wait_for<T>(look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    wait_within(WAIT_MAX, look)
}

fn wait_within<T>(max: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let started = Instant::now();
    loop {
        let seen = look()?;
        if seen.is_some() || started.elapsed() > max {
            return Ok(seen);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn configuration(
    mappers: &Path,
    secrets: &BTreeMap<&'static str, String>,
    audit: SocketAddr,
    key: &[u8],
) -> Result<String> {
    let sources: Vec<String> =
        secrets.iter().map(|(name, secret)| format!("  {name}: {{ secret: {secret}, scheme: hookmill }}\n")).collect();
    // Without this folder, the host compiles the mappers.
    let precompiled = match mappers.join(PRECOMPILED_FOLDER) {
        folder if folder.is_dir() => format!("precompiled_dir: {}\n", serde_json::to_string(&folder.canonicalize()?)?),
        _ => String::new(),
    };
    Ok(format!(
        "listen: 127.0.0.1:0\n\
         {precompiled}\
         sources:\n{}\
         webhooks:\n  receiver:\n    url: http://{audit}/audit\n    secret: whsec_{}\n    \
         allow_networks: [127.0.0.0/8]\n",
        sources.concat(),
        STANDARD.encode(key)
    ))
}

fn random() -> Result<[u8; SECRET_BYTES]> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
