//! The client of a running host, and the printing of its answers.

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use hookmill_host::api::shapes::List;
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Runtime;

const TIMEOUT: Duration = Duration::from_secs(60);
/// The number of rows of a page when all rows are read, which is the maximum of the API.
const PAGE_ROWS: &str = "1000";

/// The options of every command that calls a host.
#[derive(Debug, Args)]
pub(super) struct HostConnection {
    /// The URL of the host
    #[arg(long, env = "HOOKMILL_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// A token of the host's API; `hookmill token create` creates one
    #[arg(long, env = "HOOKMILL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print the answer of the API as received, in JSON
    #[arg(long)]
    pub json: bool,
}

/// The options that select a page of a list.
#[derive(Debug, Args)]
pub(super) struct PageOptions {
    /// The maximum number of rows, up to 1000 [default: 50]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page
    #[arg(long)]
    cursor: Option<String>,
}

/// The parameters of a request, by their names in the API.
pub(super) type QueryParameters = Vec<(&'static str, String)>;

impl PageOptions {
    /// Returns the parameters that select the page.
    pub fn parameters(self) -> impl Iterator<Item = (&'static str, String)> {
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        limit.into_iter().chain(self.cursor.map(|cursor| ("cursor", cursor)))
    }
}

impl HostConnection {
    /// Returns a client of the host. Nothing is sent yet.
    pub fn open(&self) -> Result<Client> {
        Client::new(self.url.clone(), self.token.clone())
    }

    /// Fetches a list, or one page of it, and prints its rows.
    pub fn print_list<T: DeserializeOwned>(
        &self,
        name: &str,
        query: &[(&str, String)],
        text: impl FnOnce(Vec<T>) -> String,
    ) -> Result<()> {
        let answer = self.open()?.get(&[name], query)?;
        let mut next = None;
        print_shape(self.json, &answer, |list: List<T>| {
            next = list.next_cursor;
            text(list.data)
        })?;
        if let Some(cursor) = next {
            eprintln!("there are more rows: narrow the list, or add --cursor {cursor}");
        }
        Ok(())
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
        .context("cannot read the host's answer; the host may have another version; --json shows the answer")
}

/// Prints an answer as text made from its shape or, with `--json`, as received. The JSON of a newer host is printed even
/// if this version does not know its shape.
pub(super) fn print_shape<T: DeserializeOwned>(
    json: bool,
    answer: &Value,
    text: impl FnOnce(T) -> String,
) -> Result<()> {
    if json {
        println!("{answer:#}");
    } else {
        println!("{}", text(read(answer)?).trim_end());
    }
    Ok(())
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
    pub fn all<T: DeserializeOwned>(&self, name: &str, filter: &[(&str, &str)]) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let mut query: Vec<(&str, String)> =
                filter.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            query.push(("limit", PAGE_ROWS.to_owned()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page: List<T> = read(&self.get(&[name], &query)?)?;
            rows.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Returns the URL of `/api/…`.
    pub fn url(&self, path: &[&str]) -> Result<Url> {
        let mut url = self.url.clone();
        let mut segments = url.path_segments_mut().map_err(|()| anyhow!("{} is not a host's URL", self.url))?;
        segments.pop_if_empty().push("api").extend(path);
        drop(segments);
        Ok(url)
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

    /// Sends `PATCH /api/…` with a JSON body.
    pub fn patch_json(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.call(Method::PATCH, path, &[], Some(body.to_string().into()))
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
        let mut url = self.url(path)?;
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
            bail!(
                "the server at {} answered {status} and is not a Hookmill host; check --url or HOOKMILL_URL",
                self.url
            );
        };
        match (status, &self.token) {
            (StatusCode::UNAUTHORIZED, None) => bail!(
                "the host at {} requires a token; create one with `hookmill token create --scope read` and give it \
                 with --token or HOOKMILL_TOKEN",
                self.url
            ),
            (StatusCode::UNAUTHORIZED, Some(_)) => bail!(
                "the host at {} refused the token, which is unknown or has expired; create a token with `hookmill token \
                 create --scope read` in that host's data folder",
                self.url
            ),
            (StatusCode::FORBIDDEN, _) => {
                bail!("{message}; create such a token with `hookmill token create --scope admin`")
            }
            _ => bail!("the host at {} answered {}: {message}", self.url, status.as_u16()),
        }
    }
}
