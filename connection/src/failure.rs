//! Names what kept an attempt from its goal: a word that programs know, and a sentence that says what to do.
//!
//! What the client reports is a chain of errors of five crates. It is read here and nowhere else; no URL and no header is
//! ever in the text.

use crate::address_guard::{NameUnknown, RefusedAddress};
use reqwest::StatusCode;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
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

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub code: Code,
    /// What is wrong.
    pub text: String,
}

/// How the request that failed was sent.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Whether there is a proxy between.
    pub is_proxied: bool,
    /// Whether the server speaks TLS.
    pub is_tls: bool,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long all of it may take.
    pub timeout: Duration,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The server's answer is no success.
    pub fn status(status: StatusCode, answer: &str) -> Self {
        Self::new(Code::Status, format!("the server answered {status}: {answer}"))
    }

    /// The proxy wants to know who asks, or does not believe it.
    pub fn proxy_authorization() -> Self {
        Self::new(Code::Proxy, "the proxy refuses the user name and password of `proxy`, or asks for them (407)")
    }

    /// What an error of the client stands for.
    pub fn of(error: &reqwest::Error, way: Way) -> Self {
        let causes = causes(error);
        let tunnel = causes.iter().map(ToString::to_string).find(|text| text.starts_with("tunnel error: "));
        // Whatever happens before there is a tunnel happens at the proxy; without TLS there is none.
        let reaches_proxy = tunnel.as_ref().is_none_or(|text| text.contains("underlying connection"));
        let at_proxy = way.is_proxied && (tunnel.is_some() || !way.is_tls) && reaches_proxy;
        let connecting_to_proxy = way.is_proxied && error.is_connect() && reaches_proxy;
        if let Some(refused) = find::<RefusedAddress>(&causes) {
            return Self::new(Code::RefusedAddress, refused.to_string()).at(way.is_proxied);
        }
        if let Some(unknown) = find::<NameUnknown>(&causes) {
            return Self::new(Code::Dns, unknown.to_string()).at(way.is_proxied);
        }
        if error.is_timeout() {
            let seconds = |time: Duration| time.as_secs_f64();
            return match error.is_connect() {
                true => Self::new(
                    Code::Timeout,
                    format!(
                        "no connection came up in time ({} s); see `connect_timeout`",
                        seconds(way.connect_timeout)
                    ),
                )
                .at(at_proxy && tunnel.is_some()),
                false => {
                    Self::new(Code::Timeout, format!("the server did not answer in time ({} s)", seconds(way.timeout)))
                }
            };
        }
        if let Some(problem) = find::<rustls::Error>(&causes) {
            return Self::new(Code::Tls, tls(problem)).at(at_proxy);
        }
        let io = find::<io::Error>(&causes);
        match tunnel.as_deref().filter(|_| !reaches_proxy) {
            Some(text) if text.contains("authorization") => return Self::proxy_authorization(),
            Some(text) if text.contains("unsuccessful") => {
                return Self::new(Code::Proxy, "the proxy refuses to connect to the server, or could not");
            }
            Some(text) => return Self::new(Code::Proxy, format!("the proxy broke off: {text}")),
            None => {}
        }
        if error.is_connect() {
            let cause = io.map_or_else(|| last(&causes), ToString::to_string);
            let failure = match causes.iter().find_map(|cause| address(*cause)) {
                Some(address) => Self::new(Code::Connect, format!("cannot connect to {address}: {cause}")),
                // It is connected already: the connector names the address of every attempt at that.
                None if way.is_tls && io.is_some_and(|io| is_cut(io.kind())) => {
                    Self::new(Code::Tls, format!("the connection was cut in the TLS handshake: {cause}"))
                }
                None => Self::new(Code::Connect, format!("cannot connect: {cause}")),
            };
            return failure.at(connecting_to_proxy && io.is_some());
        }
        let hyper = find::<hyper::Error>(&causes);
        if hyper.is_some_and(hyper::Error::is_parse) {
            return Self::new(Code::Interrupted, format!("the answer is no HTTP: {}", last(&causes)));
        }
        let is_ended = |error: &hyper::Error| error.is_incomplete_message() || error.is_closed() || error.is_canceled();
        if hyper.is_some_and(is_ended) || io.is_some_and(|io| is_cut(io.kind())) {
            return Self::new(
                Code::Interrupted,
                format!("the connection was cut before the answer: {}", last(&causes)),
            );
        }
        let code = if error.is_builder() { Code::Request } else { Code::Interrupted };
        Self::new(code, last(&causes))
    }

    fn at(self, proxy: bool) -> Self {
        if proxy { Self { text: format!("at the proxy: {}", self.text), ..self } } else { self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.text)
    }
}

impl From<anyhow::Error> for Failure {
    /// There is nothing to send.
    fn from(error: anyhow::Error) -> Self {
        Self::new(Code::Request, format!("{error:#}"))
    }
}

impl From<RefusedAddress> for Failure {
    fn from(refused: RefusedAddress) -> Self {
        Self::new(Code::RefusedAddress, refused.to_string())
    }
}

/// An error and what it comes of, also through the errors that those of I/O carry.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        causes.push(error);
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match carried {
            Some(carried) => Some(carried as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    causes
}

/// The innermost of its type.
fn find<'e, T: Error + 'static>(causes: &[&'e (dyn Error + 'static)]) -> Option<&'e T> {
    causes.iter().rev().find_map(|cause| cause.downcast_ref())
}

/// The innermost text. An error of the client itself could show the URL, but is never the innermost unless it is alone.
fn last(causes: &[&(dyn Error + 'static)]) -> String {
    match causes {
        [] | [_] => "the request could not be sent".to_owned(),
        [.., last] => last.to_string(),
    }
}

/// The address that could not be connected to, which the connector's error shows only to developers.
fn address(error: &(dyn Error + 'static)) -> Option<SocketAddr> {
    let shown = format!("{error:?}");
    let (_, rest) = shown.strip_prefix("ConnectError(")?.split_once(", ")?;
    rest.split(", ").next()?.parse().ok()
}

fn is_cut(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
}

/// What of TLS is among the causes of an error of another client.
pub fn tls_failure(error: &(dyn Error + 'static)) -> Option<Failure> {
    find::<rustls::Error>(&causes(error)).map(|problem| Failure::new(Code::Tls, tls(problem)))
}

fn tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => certificate(problem),
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "the server wants a client certificate (certificate_required); set `client_certificate`".to_owned()
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => {
                format!("the server does not take the client certificate (alert {alert:?})")
            }
            AlertDescription::HandshakeFailure => {
                "the server breaks the handshake off (alert HandshakeFailure): it may \
                 want a client certificate, or have no version and cipher in common with this host"
                    .to_owned()
            }
            alert => format!("the server breaks the handshake off (alert {alert:?})"),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS at this port".to_owned()
        }
        rustls::Error::PeerIncompatible(problem) => {
            format!("the server and this host, which speaks TLS 1.2 and 1.3, have nothing in common: {problem:?}")
        }
        error => error.to_string(),
    }
}

fn certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => {
            "the server's certificate is of an unknown issuer; name the file of that authority in `ca`".to_owned()
        }
        CertificateError::BadSignature => {
            "the server's certificate is of an unknown issuer: an authority of that name is known, and \
             it did not sign this; name the file of the one that did in `ca`"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName => "the server's certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is for another name: it is for {}, not for {}",
            presented.join(", "),
            expected.to_str()
        ),
        CertificateError::Revoked => "the server's certificate was revoked".to_owned(),
        problem => format!("the server's certificate is not valid: {problem:?}"),
    }
}
