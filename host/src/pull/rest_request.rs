//! The requests of an `http-poll`.

use super::request_body::RequestBody;
use super::request_text::{Placeholder, RequestText, RequestValues};
use hookmill_connection::{Code, Failure, Request};
use hookmill_incident::words;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

words!(
    /// The method of requests.
    PollMethod {
        /// Without a body.
        Get = "GET",
        /// With or without a body.
        Post = "POST",
    }
);

/// A request for a page of a list, or for details.
#[derive(Debug)]
pub struct RestRequest {
    /// The method.
    pub method: PollMethod,
    /// The URL, which may be relative to that of the source.
    pub url: RequestText,
    /// Headers with placeholders. The others are those of the source.
    pub headers: Vec<(HeaderName, RequestText)>,
    /// The body.
    pub body: Option<RequestBody>,
}

impl RestRequest {
    /// Returns whether URL, headers or body have a placeholder.
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.url.has(placeholder)
            || self.headers.iter().any(|(_, text)| text.has(placeholder))
            || self.body.as_ref().is_some_and(|body| body.has(placeholder))
    }

    /// Returns the URL with these values.
    ///
    /// # Errors
    /// Returns an error if the result is not a URL.
    pub(super) fn url(&self, base: &Url, values: &RequestValues<'_>) -> Result<Url, Failure> {
        let url = base.join(&self.url.url(values));
        url.map_err(|error| Failure::new(Code::Request, format!("`url` is not a URL: {error}")))
    }

    /// Returns the request to a URL with these values.
    ///
    /// # Errors
    /// Returns an error if a value cannot stand in a header.
    pub(super) fn to(&self, url: Url, values: &RequestValues<'_>) -> Result<Request, Failure> {
        let method = match self.method {
            PollMethod::Get => Method::GET,
            PollMethod::Post => Method::POST,
        };
        let body = self.body.as_ref().map(|body| body.written(values).into_bytes());
        let mut headers = HeaderMap::from_iter(body.as_ref().map(|_| (CONTENT_TYPE, JSON)));
        for (name, text) in &self.headers {
            let value = HeaderValue::from_str(&text.text(values));
            headers.insert(name, value.map_err(|error| Failure::new(Code::Request, format!("`{name}`: {error}")))?);
        }
        Ok(Request { method, url, headers, body: body.unwrap_or_default() })
    }
}
