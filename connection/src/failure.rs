//! The reason why an attempt failed: a code for programs, and a text that explains what to do.

mod causes;
mod client;
mod tls;

pub(crate) use client::RequestContext;

use crate::AddressError;
use std::fmt;
use std::time::Duration;

/// The kind of a failure, as programs read it in the API and in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The name has no address.
    Dns,
    /// The address cannot be reached, or nothing listens there.
    Connect,
    /// The TLS handshake failed, because of a certificate for example.
    Tls,
    /// Connecting or the answer took too long.
    Timeout,
    /// The server answered with a status other than 2xx.
    Status,
    /// The address guard refused the address.
    RefusedAddress,
    /// The proxy refused the request or failed.
    Proxy,
    /// The connection ended before the answer was complete, or the answer is not HTTP.
    Interrupted,
    /// The file cannot be written.
    File,
    /// There is nothing to send, because the request could not be made.
    Request,
    /// The content of the server's answer is not what the request asked for.
    Answer,
    /// The data that was read could not be stored.
    Store,
}

impl Code {
    /// Returns the code's text, which is part of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::RefusedAddress => "refused_address",
            Self::Proxy => "proxy",
            Self::Interrupted => "interrupted",
            Self::File => "file",
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Store => "store",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The reason why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of the failure.
    pub code: Code,
    /// The problem and its remedy, without secrets.
    pub text: String,
    /// The time that a busy server asks to wait.
    pub asked_wait: Option<Duration>,
}

impl Failure {
    /// Creates a failure.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), asked_wait: None }
    }

    /// Creates the failure for a proxy that requires authentication, or rejects it.
    pub(crate) fn proxy_authorization() -> Self {
        Self::new(Code::Proxy, "the proxy refuses the user name and password of `proxy`, or requires them (407)")
    }

    /// Adds to the text that the problem is at the proxy, if it is.
    fn at_proxy(self, is_at_proxy: bool) -> Self {
        if is_at_proxy { Self { text: format!("at the proxy: {}", self.text), ..self } } else { self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.text)
    }
}

impl From<anyhow::Error> for Failure {
    /// Converts an error that occurred before there was a request to send.
    fn from(error: anyhow::Error) -> Self {
        Self::new(Code::Request, format!("{error:#}"))
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        let code = match error {
            AddressError::RefusedAddress(_) => Code::RefusedAddress,
            AddressError::UnknownName { .. } => Code::Dns,
        };
        Self::new(code, error.to_string())
    }
}
