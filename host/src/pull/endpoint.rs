//! The server of a source. Requests to any other server are refused.

use super::read_error::ReadError;
use crate::traces::Trace;
use anyhow::{Result, ensure};
use hookmill_connection::{Answer, Authentication, Code, Connection, Failure, Request, Secrets, require_http};
use hookmill_incident::Clock;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, Url};
use std::path::PathBuf;

/// The largest answer: a page of items.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A server, and the host's credentials there.
#[derive(Debug)]
pub struct Endpoint {
    url: Url,
    headers: HeaderMap,
    authentication: Authentication,
    connection: Connection,
}

impl Endpoint {
    /// Creates the endpoint of a URL.
    ///
    /// # Errors
    /// Returns an error if the URL is not an HTTP URL or has a user name.
    pub fn new(url: Url, headers: HeaderMap, authentication: Authentication, connection: Connection) -> Result<Self> {
        require_http(&url, "url")?;
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            "`url` contains a user name; use `auth`: {{ type: basic, username: …, password: … }}"
        );
        let of_headers = headers.values().filter_map(|value| value.to_str().ok()).map(str::to_owned);
        let authentication = authentication.redacting(of_headers.chain(query_values(&url)));
        Ok(Self { url, headers, authentication, connection })
    }

    /// Redacts the values of headers and of the URL's query, which may be secrets, in a text of the server.
    pub(super) fn redact(&self, text: &str) -> String {
        self.authentication.secrets().redact(text)
    }

    /// Returns the configured URL.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the files that connection and authentication were created from.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.connection.files().iter().chain(self.authentication.files())
    }

    /// Returns a GET request.
    pub(super) fn get(url: Url) -> Request {
        Request { method: Method::GET, url, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// Returns a POST request with a JSON body.
    pub(super) fn post_json(url: Url, body: String) -> Request {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Request { method: Method::POST, url, headers, body: body.into_bytes() }
    }

    /// Sends a request and returns its answer.
    ///
    /// # Errors
    /// Returns an error if the answer does not come in time or is not a success.
    pub(super) async fn send(&self, request: Request, clock: &Clock, trace: &Trace) -> Result<Response, ReadError> {
        self.in_time(self.answer(request, clock, trace)).await?
    }

    /// Fetches a file, whose URL may be that of another server. Such a server gets no proof of identity: the URL itself has
    /// it, so that its query is redacted.
    ///
    /// # Errors
    /// Returns an error if the answer does not come in time or is not a success.
    pub(super) async fn send_for_file(
        &self,
        request: Request,
        clock: &Clock,
        trace: &Trace,
    ) -> Result<Response, ReadError> {
        if request.url.origin() == self.url.origin() {
            return self.send(request, clock, trace).await;
        }
        let mut secrets = Secrets::default();
        secrets.extend(query_values(&request.url));
        let mut span = trace.call(&request.method, &request.url);
        let sent = self.in_time(self.connection.send(request)).await?;
        span.sent(&sent);
        success(sent?, &secrets, clock).await
    }

    /// Runs a future within the timeout of a request, which is also the longest silence of a stream.
    pub(super) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let limit = self.connection.timeout();
        tokio::time::timeout(limit, future).await.map_err(|_| {
            Failure::new(Code::Timeout, format!("the server sent nothing in time ({} s)", limit.as_secs_f64()))
        })
    }

    async fn answer(&self, request: Request, clock: &Clock, trace: &Trace) -> Result<Response, ReadError> {
        let Request { method, url, headers, body } = request;
        if url.origin() != self.url.origin() {
            let text =
                "the next page is at another scheme, host or port; a source is read only from the server of its `url`";
            return Err(Failure::new(Code::Answer, text).into());
        }
        let mut all = self.headers.clone();
        all.extend(headers);
        let mut span = trace.call(&method, &url);
        let request = Request { method, url, headers: all, body };
        let sent = self.authentication.send(&self.connection, request, clock.now_ms()).await;
        span.sent(&sent);
        success(sent?, &self.authentication.secrets(), clock).await
    }

    /// Returns the next bytes of an answer; `None` at its end.
    pub(super) async fn chunk(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, Failure> {
        let is_tls = response.url().scheme() == "https";
        response.chunk().await.map_err(|error| self.connection.failure(&error, is_tls))
    }

    /// Returns a whole answer.
    pub(super) async fn page(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut page = Vec::new();
        while let Some(chunk) = self.chunk(&mut response).await? {
            if page.len() + chunk.len() > PAGE_BYTES_MAX {
                let text =
                    format!("the answer is larger than {} MiB; request fewer items a page", PAGE_BYTES_MAX >> 20);
                return Err(Failure::new(Code::Answer, text));
            }
            page.extend_from_slice(&chunk);
        }
        Ok(page)
    }
}

/// Returns an answer with a status of success. Secrets are redacted in the error for another one.
async fn success(response: Response, secrets: &Secrets, clock: &Clock) -> Result<Response, ReadError> {
    if response.status().is_success() {
        return Ok(response);
    }
    let answer = Answer::read(response, secrets, clock.now_ms()).await;
    Err(ReadError { failure: answer.failure(), retry_after: answer.retry_after, status: Some(answer.status) })
}

/// Returns the values of a URL's query, as they are and as they stand in the URL.
fn query_values(url: &Url) -> Vec<String> {
    let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
    let encoded = url.query().into_iter().flat_map(|query| query.split('&'));
    let encoded = encoded.filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned());
    decoded.chain(encoded).collect()
}
