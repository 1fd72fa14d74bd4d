//! A real host: `hookmill serve` as a child process in a folder of its own.

use crate::database;
use hmac::{Hmac, KeyInit, Mac};
use hookmill_host::config::Config;
use hookmill_host::running::Running;
use hookmill_host::serve;
use hookmill_incident::Clock;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sha2::Sha256;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

pub const ADMIN_TOKEN: &str = "an-admin-token-of-the-tests";
/// The secret of the tests' sources.
pub const SECRET: &str = "a-secret-of-the-tests-only";
/// Much longer than any step takes, so that a busy machine does not fail a test.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until the probe returns a value.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "timed out: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for the next millisecond: what is written from then on is later by the clock too.
pub async fn next_millisecond() {
    let now_ms = || Clock::default().now_ms();
    let before = now_ms();
    eventually("the next millisecond", async || (now_ms() > before).then_some(())).await;
}

/// A folder with a configuration, plugins and data, in which hosts run one after the other.
pub struct Folder {
    temp: TempDir,
    /// The URL of the database that hosts share; `None` for the embedded one.
    database: Option<String>,
}

impl Folder {
    /// Makes a folder with this configuration. Adds an address with port 0 and, unless the configuration sets limits, a
    /// deadline that is long enough on a busy machine.
    pub fn new(config: &str) -> Self {
        Self::on(database::for_this_test(), config)
    }

    /// Makes a folder for another host on the same database.
    pub fn beside(&self, config: &str) -> Self {
        assert!(self.database.is_some(), "the embedded database has one host");
        Self::on(self.database.clone(), config)
    }

    /// Makes a folder for a host on this database; `None` is the embedded one.
    pub fn on(database: Option<String>, config: &str) -> Self {
        let folder = Self { temp: tempfile::tempdir().unwrap(), database };
        std::fs::create_dir(folder.path("plugins")).unwrap();
        if folder.database.is_some() {
            std::fs::DirBuilder::new().mode(0o700).create(folder.path("data")).unwrap();
            let key = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.path("data/secret.key"));
            key.unwrap().write_all(database::SECRET_KEY.as_bytes()).unwrap();
        }
        folder.configure(config);
        folder
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &str) {
        let limits = if config.contains("limits:") { "" } else { "limits: { deadline_ms: 20000 }\n" };
        let profile = hookmill_test_postgres::profile();
        let database = |url: &String| format!("database: \"{url}\"\ndatabase_profile: {profile}\n");
        let database = self.database.as_ref().map(database).unwrap_or_default();
        std::fs::write(self.path("hookmill.yaml"), format!("listen: 127.0.0.1:0\n{database}{limits}{config}")).unwrap();
    }

    /// Appends to the configuration.
    pub fn append(&self, config: &str) {
        let mut file = OpenOptions::new().append(true).open(self.path("hookmill.yaml")).unwrap();
        write!(file, "\n{config}").unwrap();
    }

    /// Adds or replaces a plugin atomically.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let aside = self.path(&format!("plugins/.{name}"));
        std::fs::write(&aside, bytes).unwrap();
        std::fs::rename(aside, self.plugin(name)).unwrap();
    }

    /// Adds or replaces a plugin by a file that was written long ago, so that the host does not take it for an upload
    /// that has stalled.
    pub fn put_old(&self, name: &str, bytes: &[u8]) {
        let aside = self.path(&format!("plugins/.{name}"));
        std::fs::write(&aside, bytes).unwrap();
        let file = OpenOptions::new().write(true).open(&aside).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        std::fs::rename(aside, self.plugin(name)).unwrap();
    }

    /// Adds a plugin to a new folder.
    pub fn with(self, name: &str, bytes: &[u8]) -> Self {
        self.put(name, bytes);
        self
    }

    pub fn plugin(&self, name: &str) -> PathBuf {
        self.path(&format!("plugins/{name}.wasm"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Returns a `hookmill` command in this folder with an otherwise empty environment.
    pub fn hookmill(&self, arguments: &[&str]) -> Command {
        self.hookmill_of(Path::new(env!("CARGO_BIN_EXE_hookmill")), arguments)
    }

    /// Returns a command of a certain program.
    pub fn hookmill_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.temp.path()).env_clear().env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs `hookmill`. Returns whether it succeeded, its output and its errors.
    pub fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let output = self.hookmill(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// Starts a host and waits until it is ready.
    pub async fn start(&self) -> Host<'_> {
        let host = self.start_listening().await;
        host.ready().await;
        host
    }

    /// Starts a host within this process, with a clock that the test can shift.
    pub async fn start_with(&self, clock: &Clock) -> Running {
        let config = Config::load(&self.path("hookmill.yaml")).unwrap();
        serve::start(config, Some(ADMIN_TOKEN.into()), None, Vec::new(), clock.clone()).await.unwrap()
    }

    /// Starts a host and waits until it listens.
    pub async fn start_listening(&self) -> Host<'_> {
        self.start_listening_by(&mut self.hookmill(&["serve"])).await
    }

    /// Starts a host with this command and waits until it listens.
    pub async fn start_listening_by(&self, command: &mut Command) -> Host<'_> {
        let mut child = command.env("HOOKMILL_ADMIN_TOKEN", ADMIN_TOKEN).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        std::thread::spawn({
            let (log, stderr) = (log.clone(), child.stderr.take().unwrap());
            move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    *log.lock().unwrap() += &(line + "\n");
                }
            }
        });
        let mut host = Host { _folder: self, child, log, url: String::new(), client: client() };
        host.url = eventually("the host listens", async || {
            let log = host.log();
            if let Some(status) = host.child.try_wait().unwrap() {
                panic!("the host exited during its start with {status}: {log}");
            }
            let rest = log.split_once("hookmill listens on ")?.1;
            Some(rest.split_whitespace().next()?.to_owned())
        })
        .await;
        host
    }

    /// Starts a host that must fail, and returns its error output.
    pub fn refusal(&self) -> String {
        let mut child = self.hookmill(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let end = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code().is_some_and(|code| code != 0), "the host runs: {errors}");
        errors
    }
}

/// Makes a client without proxies that follows no redirects.
pub fn client() -> reqwest::Client {
    // Even plain HTTP needs a TLS provider. Only the first test installs one; later calls fail harmlessly.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redirects = reqwest::redirect::Policy::none();
    reqwest::Client::builder().no_proxy().redirect(redirects).timeout(PATIENCE).build().unwrap()
}

/// A running host, which is killed when it is dropped.
pub struct Host<'f> {
    _folder: &'f Folder,
    child: Child,
    log: Arc<Mutex<String>>,
    pub url: String,
    pub client: reqwest::Client,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub request_id: String,
    pub body: Value,
}

impl Answer {
    pub fn status_word(&self) -> &str {
        self.body["status"].as_str().unwrap_or_else(|| panic!("no status in {self:?}"))
    }

    pub fn event_id(&self) -> &str {
        let id = self.body["event_id"].as_str().or(self.body["error"]["event_id"].as_str());
        id.unwrap_or_else(|| panic!("no event id in {self:?}"))
    }

    pub fn error_code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_else(|| panic!("no error in {self:?}"))
    }
}

impl Host<'_> {
    pub async fn ready(&self) {
        eventually("the host is ready", async || (self.get_open("/readyz").await.0 == 200).then_some(())).await;
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains this text.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("`{text}` in the log"), async || self.log().contains(text).then_some(())).await;
    }

    /// Makes a request with the admin token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(ADMIN_TOKEN)
    }

    /// Sends a request with the admin token.
    pub async fn call(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        send(self.request(method, path).body(body)).await.unwrap()
    }

    /// Gets a path that must exist.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.call(Method::GET, path, "").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    /// Returns all rows of a list, page by page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut next = path.to_owned();
        loop {
            let page = self.get(&next).await;
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else { return rows };
            next = format!("{path}{}cursor={cursor}", if path.contains('?') { '&' } else { '?' });
        }
    }

    /// Waits until no delivery of a list is pending, and returns the list.
    pub async fn settled(&self, path: &str) -> Vec<Value> {
        eventually(&format!("{path} is done"), async || {
            let list = self.list(path).await;
            let is_done = !list.is_empty() && list.iter().all(|delivery| delivery["status"] != "pending");
            is_done.then_some(list)
        })
        .await
    }

    /// Gets a path without a token. Returns status and text.
    pub async fn get_open(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Makes a request to a source, without a signature.
    pub fn webhook(&self, source: &str) -> RequestBuilder {
        self.client.post(format!("{}/api/webhooks/{source}", self.url))
    }

    /// Sends an unsigned payload.
    pub async fn post(&self, source: &str, body: impl Into<Vec<u8>>) -> Answer {
        send(self.webhook(source).body(body.into())).await.unwrap()
    }

    /// Sends a payload with a signature of now.
    pub async fn signed(&self, source: &str, body: impl Into<Vec<u8>>) -> Answer {
        send(signed(self.webhook(source), unix_s(), body)).await.unwrap()
    }

    /// Waits until an event satisfies a condition.
    pub async fn event_when(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/events/{id}");
        eventually(&format!("event {id}"), async || Some(self.get(&path).await).filter(&wanted)).await
    }

    /// Waits until a plugin satisfies a condition.
    pub async fn plugin_when(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("plugin {name}"), async || {
            let plugins = self.list("/api/plugins").await;
            plugins.into_iter().find(|plugin| plugin["name"] == name).filter(&wanted)
        })
        .await
    }

    /// Returns the value of a metric; 0 if it does not exist yet.
    pub async fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.get_open("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Returns the resident memory of the process.
    pub fn resident_bytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
    }

    /// Returns the id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the number of child processes.
    pub fn children(&self) -> usize {
        let own = self.child.id().to_string();
        let is_child = |entry: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name of the program, in brackets, may contain spaces.
            Some(stat.rsplit_once(')')?.1.split_whitespace().nth(1)? == own)
        };
        let entries = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
        entries.filter_map(is_child).filter(|is_child| *is_child).count()
    }

    /// Kills the process with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the process has ended.
    pub async fn end(&mut self) -> ExitStatus {
        eventually("the host ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the host's log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// Sends a request and reads its answer, which is JSON or empty.
pub async fn send(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let retry_after = header("retry-after");
    let request_id = header("x-request-id").unwrap();
    let bytes = response.bytes().await?;
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Ok(Answer { status, retry_after, request_id, body })
}

/// Signs a payload with scheme `hookmill` at the given time.
pub fn signed(request: RequestBuilder, at: u64, body: impl Into<Vec<u8>>) -> RequestBuilder {
    let (at, body) = (at.to_string(), body.into());
    let signature = format!("sha256={}", signature(at.as_bytes(), &body));
    request.header("x-webhook-timestamp", at).header("x-webhook-signature", signature).body(body)
}

/// Returns HMAC-SHA256(secret, `{timestamp}.{body}`) in hexadecimal.
pub fn signature(timestamp: &[u8], body: &[u8]) -> String {
    signature_with(SECRET, timestamp, body)
}

/// Signs like [`signature`], with another secret.
pub fn signature_with(secret: &str, timestamp: &[u8], body: &[u8]) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret.as_bytes()).unwrap();
    [timestamp, b".", body].iter().for_each(|part| mac.update(part));
    hex::encode(mac.finalize().into_bytes())
}

pub fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
