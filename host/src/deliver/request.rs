//! HTTP requests, before a destination adds its signature and authentication.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

/// The initial capacity for headers, which saves a reallocation per request.
const HEADERS: usize = 8;

/// A checked request.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A request as shown in a dry run: without signature and authentication.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownRequest {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The names and values of the headers.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl OutgoingRequest {
    /// Creates a POST request.
    pub(super) fn post(url: &Url, body: Vec<u8>, content_type: HeaderValue) -> Self {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(CONTENT_TYPE, content_type);
        Self { method: Method::POST, url: url.clone(), headers, body }
    }

    /// Returns the request as shown in a dry run.
    pub fn shown(&self) -> ShownRequest {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        ShownRequest {
            method: self.method.to_string(),
            url: self.url.to_string(),
            headers: self.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8_lossy(&self.body).into_owned(),
        }
    }
}

/// Returns whether requests of a method have a body.
pub fn has_body(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::DELETE)
}
