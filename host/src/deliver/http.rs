//! Sends requests over HTTP.

use super::request::OutgoingRequest;
use super::send_context::SendContext;
use super::send_result::SendResult;
use super::signature::Signature;
use crate::traces::TRACEPARENT;
use anyhow::{Context, Result, anyhow, ensure};
use hookmill_connection::{Answer, Authentication, Code, Connection, Failure, Request, require_http};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::HeaderName;
use std::path::PathBuf;

/// The connection to one receiver, with the host's credentials and signature.
#[derive(Debug)]
pub struct Http {
    connection: Connection,
    authentication: Authentication,
    signature: Signature,
    /// Credentials and signature are sent to no other scheme, host or port.
    url: Url,
    /// The secret part of the URL, if the URL itself grants access.
    secret_path: Option<String>,
    /// Whether requests name the trace that they belong to.
    pub(super) sends_traceparent: bool,
}

impl Http {
    /// Creates the channel. A user name in the URL is moved into the authentication, so that it is protected like `auth`.
    ///
    /// # Errors
    /// Returns an error if the URL is not an HTTP URL, or has a user name beside `auth`.
    pub fn new(
        url: &mut Url,
        connection: Connection,
        mut authentication: Authentication,
        signature: Signature,
    ) -> Result<Self> {
        require_http(url, "url")?;
        if !url.username().is_empty() || url.password().is_some() {
            ensure!(authentication.is_none(), "`url` contains a user name, and `auth` is set; remove one of the two");
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let (username, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
            authentication = Authentication::basic(&username, &password).context("`url`")?;
            let emptied = url.set_password(None).and_then(|()| url.set_username(""));
            emptied.map_err(|()| anyhow!("`url` cannot have a user name; use `auth`"))?;
        }
        Ok(Self {
            connection,
            authentication,
            signature,
            url: url.clone(),
            secret_path: None,
            sends_traceparent: false,
        })
    }

    /// Marks the path of the URL as a secret that grants access.
    pub fn with_secret_path(self) -> Self {
        let url = &self.url;
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        // A path of one letter would be found in any text.
        Self { secret_path: Some(path).filter(|path| path.len() > 1 && url.path().len() > 1), ..self }
    }

    /// Decides whether requests name the trace that they belong to, so that the receiver can continue it.
    pub fn with_traceparent(self, sends_traceparent: bool) -> Self {
        Self { sends_traceparent, ..self }
    }

    /// Returns the headers that only the channel sets.
    pub fn own_headers(&self) -> Vec<HeaderName> {
        let authentication = self.authentication.header_names();
        let traceparent = self.sends_traceparent.then_some(TRACEPARENT);
        authentication.into_iter().chain(self.signature.header_names()).chain(traceparent).collect()
    }

    /// Returns the files that connection and authentication were created from.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.connection.files().iter().chain(self.authentication.files())
    }

    /// Sends a request with signature and authentication.
    pub(super) async fn send(&self, request: OutgoingRequest, context: SendContext<'_>) -> SendResult {
        match self.request(request, context).await {
            Ok(answer) => answer.into(),
            Err(failure) => SendResult::Failed(failure),
        }
    }

    /// Sends a request and returns the answer, with any status.
    async fn request(&self, request: OutgoingRequest, context: SendContext<'_>) -> Result<Answer, Failure> {
        self.request_document(request, 0, context).await.map(|(answer, _)| answer)
    }

    /// Sends a request and returns the answer with its body, up to a number of bytes.
    pub(super) async fn request_document(
        &self,
        request: OutgoingRequest,
        bytes_max: usize,
        context: SendContext<'_>,
    ) -> Result<(Answer, Vec<u8>), Failure> {
        let SendContext { id, clock, trace } = context;
        let OutgoingRequest { method, url, mut headers, body } = request;
        if url.origin() != self.url.origin() {
            return Err(Failure::new(Code::Request, "the request was made for an earlier address of the destination"));
        }
        // They, and the authentication, replace headers of the same name from a notifier or a template.
        headers.extend(self.signature.headers(&id.to_string(), clock.now_ms(), &body)?);
        let mut span = trace.call(&method, &url);
        headers.extend(span.header().filter(|_| self.sends_traceparent));
        let request = Request { method, url, headers, body };
        let sent = self.authentication.send(&self.connection, request, clock.now_ms()).await;
        span.sent(&sent);
        let response = sent?;
        let secrets = self.authentication.secrets();
        let (mut answer, body) = Answer::read_document(response, &secrets, bytes_max, clock.now_ms()).await;
        if let Some(path) = &self.secret_path {
            let hide = |text: &str| text.replace(path.as_str(), "/***").replace(self.url.path(), "/***");
            answer.text = hide(&answer.text);
            // Without its query, the path may still grant access.
            answer.location = answer.location.map(|target| hide(&target));
        }
        Ok((answer, body))
    }
}
