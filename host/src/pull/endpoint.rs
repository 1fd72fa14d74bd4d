//! Where a source is read: requests that go there and nowhere else.

use super::Setback;
use anyhow::{Result, ensure};
use hookmill_connection::{Answer, Authentication, Code, Connection, Failure, require_http};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, Url};
use std::path::PathBuf;

/// How much of one answer is read, a page of items.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A server, and who the host is there.
#[derive(Debug)]
pub struct Endpoint {
    url: Url,
    headers: HeaderMap,
    authentication: Authentication,
    connection: Connection,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: String,
}

impl Endpoint {
    /// The server of a URL.
    ///
    /// # Errors
    /// When it is no HTTP URL, or has a user name.
    pub fn new(url: Url, headers: HeaderMap, authentication: Authentication, connection: Connection) -> Result<Self> {
        require_http(&url, "url")?;
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            "`url` has a user name in it; use `auth`: {{ type: basic, username: …, password: … }}"
        );
        let of_headers = headers.values().filter_map(|value| value.to_str().ok()).map(str::to_owned);
        let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
        let encoded = url.query().into_iter().flat_map(|query| query.split('&'));
        let encoded = encoded.filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned());
        let authentication = authentication.redacting(of_headers.chain(decoded).chain(encoded));
        Ok(Self { url, headers, authentication, connection })
    }

    /// A text of the server without what headers and the URL's query have, which may be secrets.
    pub(super) fn shown(&self, text: &str) -> String {
        self.authentication.redact(text)
    }

    /// The URL that was configured.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The files that its connections are made of.
    pub fn files(&self) -> &[PathBuf] {
        self.connection.files()
    }

    /// A GET request there.
    pub(super) fn get(url: Url) -> Request {
        Request { method: Method::GET, url, headers: HeaderMap::new(), body: String::new() }
    }

    /// A POST request there with a body of JSON.
    pub(super) fn post_json(url: Url, body: String) -> Request {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Request { method: Method::POST, url, headers, body }
    }

    /// The answer to a request, which is a success, in the time that there is for one.
    pub(super) async fn send(&self, request: Request) -> Result<Response, Setback> {
        self.in_time(self.answer(request)).await?
    }

    /// What comes in the time that there is for a request, or that a stream may say nothing.
    pub(super) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let limit = self.connection.timeout();
        tokio::time::timeout(limit, future).await.map_err(|_| {
            Failure::new(Code::Timeout, format!("the server said nothing in time ({} s)", limit.as_secs_f64()))
        })
    }

    async fn answer(&self, request: Request) -> Result<Response, Setback> {
        let Request { method, url, headers, body } = request;
        if url.origin() != self.url.origin() {
            let text = "the next page is at another scheme, host or port; what is read stays where it began";
            return Err(Failure::new(Code::Answer, text).into());
        }
        let mut all = self.headers.clone();
        all.extend(headers);
        self.authentication.apply(&mut all);
        let response = self.connection.send(method, url, all, body.into_bytes()).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let Answer { status, retry_after, text } = Answer::read(response, &self.authentication).await;
        let failure = match status {
            status if status.is_redirection() => Failure::new(
                Code::Status,
                format!("the server answered {status}: redirects are not followed; set `url` to where it leads"),
            ),
            status => Failure::status(status, &text),
        };
        Err(Setback { failure, wait: retry_after })
    }

    /// The next bytes of an answer; none at its end.
    pub(super) async fn chunk(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, Failure> {
        let is_tls = response.url().scheme() == "https";
        response.chunk().await.map_err(|error| self.connection.failure(&error, is_tls))
    }

    /// All of an answer.
    pub(super) async fn page(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut page = Vec::new();
        while let Some(chunk) = self.chunk(&mut response).await? {
            if page.len() + chunk.len() > PAGE_BYTES_MAX {
                let text = format!("the answer is larger than {} MiB; ask for less at once", PAGE_BYTES_MAX >> 20);
                return Err(Failure::new(Code::Answer, text));
            }
            page.extend_from_slice(&chunk);
        }
        Ok(page)
    }
}
