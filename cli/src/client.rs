//! Talks to a running host over its API.

use super::text::list;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use hookmill_host::api::shapes::List;
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Runtime;

const TIMEOUT: Duration = Duration::from_secs(60);
/// The rows of a page when all rows are read: the maximum of the API.
const PAGE: &str = "1000";

/// The options of every command that calls a host.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The URL of the host
    #[arg(long, env = "HOOKMILL_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// A token of the host's API; `hookmill token create` makes one
    #[arg(long, env = "HOOKMILL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print the API's JSON
    #[arg(long)]
    pub json: bool,
}

/// The options that select a page of a list.
#[derive(Debug, Args)]
pub(super) struct Part {
    /// The maximum number of rows, up to 1000 [default: 50]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page
    #[arg(long)]
    cursor: Option<String>,
}

/// The parameters of a request, by their names in the API.
pub(super) type Query = Vec<(&'static str, String)>;

impl Part {
    fn add_to(self, query: &mut Query) {
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        query.extend(self.cursor.map(|cursor| ("cursor", cursor)));
    }
}

impl Connection {
    /// Returns a client of the host. Nothing is sent yet.
    pub fn open(&self) -> Result<Client> {
        Client::new(self.url.clone(), self.token.clone())
    }

    /// Fetches one page of a list and prints its rows.
    pub fn print_list<T: DeserializeOwned>(
        &self,
        path: &str,
        mut query: Query,
        part: Part,
        text: impl FnOnce(Vec<T>) -> String,
    ) -> Result<()> {
        part.add_to(&mut query);
        let answer = self.open()?.get(&[path], &query)?;
        print_shape(self.json, &answer, |list: List<T>| text(list.data))
    }
}

/// Returns a parameter for each value of a filter.
pub(super) fn each(name: &'static str, values: Vec<String>) -> impl Iterator<Item = (&'static str, String)> {
    values.into_iter().map(move |value| (name, value))
}

/// Reads an answer in the shape that the API documents for it.
///
/// # Errors
/// Returns an error if the answer does not have this shape, which a host of another version may cause.
pub(super) fn read<T: DeserializeOwned>(answer: &Value) -> Result<T> {
    T::deserialize(answer)
        .context("cannot read the host's answer; is the host of another version? --json shows the answer")
}

/// Prints an answer as the API's JSON, or as text that is made from its shape. The JSON is printed even if it has
/// another shape.
pub(super) fn print_shape<T: DeserializeOwned>(
    json: bool,
    answer: &Value,
    text: impl FnOnce(T) -> String,
) -> Result<()> {
    let text = if json { String::new() } else { text(read(answer)?) };
    print(json, answer, |_| text);
    Ok(())
}

/// Prints an answer as the API's JSON or as text.
pub(super) fn print(json: bool, answer: &Value, text: impl FnOnce(&Value) -> String) {
    if json {
        println!("{answer:#}");
        return;
    }
    println!("{}", text(answer).trim_end());
    if let Some(cursor) = answer["next_cursor"].as_str() {
        eprintln!("there are more: narrow the list, or add --cursor {cursor}");
    }
}

/// A client of a host's API.
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Runtime,
    url: Url,
    token: Option<String>,
}

impl Client {
    pub fn new(url: Url, token: Option<String>) -> Result<Self> {
        // The provider belongs to the process; installing it a second time fails, which is harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http =
            reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().context("cannot set up an HTTP client")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { http, runtime, url, token })
    }

    /// Returns every row of a list, page by page.
    pub fn all(&self, name: &str, filter: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let mut query: Vec<(&str, String)> =
                filter.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            query.push(("limit", PAGE.to_owned()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page = self.get(&[name], &query)?;
            rows.extend_from_slice(list(&page["data"]));
            match &page["next_cursor"] {
                Value::String(next) => cursor = Some(next.clone()),
                _ => return Ok(rows),
            }
        }
    }

    /// Sends `GET /api/…`.
    pub fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value> {
        self.call(Method::GET, path, query, None)
    }

    /// Sends `POST /api/…` without a body.
    pub fn post(&self, path: &[&str]) -> Result<Value> {
        self.call(Method::POST, path, &[], None)
    }

    /// Sends `POST /api/…` with a JSON body.
    pub fn post_json(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.call(Method::POST, path, &[], Some(body.to_string().into()))
    }

    /// Sends `POST /api/…` with parameters and the bytes of a file.
    pub fn post_bytes(&self, path: &[&str], query: &[(&str, String)], bytes: Vec<u8>) -> Result<Value> {
        self.call(Method::POST, path, query, Some(reqwest::Body::from(bytes)))
    }

    /// Sends `POST /api/…` with parameters.
    pub fn post_with(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value> {
        self.call(Method::POST, path, query, None)
    }

    /// Sends `DELETE /api/…`.
    pub fn delete(&self, path: &[&str]) -> Result<Value> {
        self.call(Method::DELETE, path, &[], None)
    }

    fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<reqwest::Body>,
    ) -> Result<Value> {
        let mut url = self.url.clone();
        let mut segments = url.path_segments_mut().map_err(|()| anyhow!("{} is not a host's URL", self.url))?;
        segments.pop_if_empty().push("api").extend(path);
        drop(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let (status, body) = self
            .runtime
            .block_on(async {
                let response = request.send().await?;
                let status = response.status();
                Ok((status, response.bytes().await?))
            })
            .map_err(|error: reqwest::Error| self.unreachable(&error))?;
        let answer = if body.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&body).ok() };
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            answer => self.refused(status, answer.as_ref()),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        anyhow!(
            "no answer from a host at {}: {cause}; start a host with `hookmill serve`, or give the host's URL with \
             --url or HOOKMILL_URL",
            self.url
        )
    }

    fn refused(&self, status: StatusCode, answer: Option<&Value>) -> Result<Value> {
        let Some(message) = answer.and_then(|answer| answer["error"]["message"].as_str()) else {
            bail!("{} answered {status}, but not like a Hookmill host; check --url or HOOKMILL_URL", self.url);
        };
        match (status, &self.token) {
            (StatusCode::UNAUTHORIZED, None) => bail!(
                "the host at {} requires a token; create one with `hookmill token create --scope read` and give it \
                 with --token or HOOKMILL_TOKEN",
                self.url
            ),
            (StatusCode::UNAUTHORIZED, Some(_)) => bail!(
                "the host at {} does not know this token, or the token has expired; create one with `hookmill token create \
                 --scope read` in that host's data folder",
                self.url
            ),
            (StatusCode::FORBIDDEN, _) => bail!("{message}; create one with `hookmill token create --scope admin`"),
            _ => bail!("the host at {} answered {}: {message}", self.url, status.as_u16()),
        }
    }
}
