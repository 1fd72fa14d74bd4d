//! The cookie of a session, and the headers by which a request with it shows that it comes from the console.
//!
//! A browser adds the cookie to requests of other sites on the same host name too, such as another port. Changes need what
//! only a page of the same origin can send: a header of our own, together with `Sec-Fetch-Site` or `Origin`.

use crate::host::Edge;
use crate::http_error::HttpError;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::IpAddr;

/// The name of a cookie that browsers accept and send only over TLS, and only from and to this host.
const OVER_TLS: &str = "__Host-hookmill";
/// The name of a cookie on the loopback address, where there is no TLS.
const ON_LOOPBACK: &str = "hookmill";
const CONSOLE: HeaderName = HeaderName::from_static("x-hookmill-console");
/// The value of [`CONSOLE`] in requests that a page makes by itself. They do not keep a session from ending.
const POLL: &str = "poll";
/// The content type of streams, which a browser names when it opens one.
const EVENT_STREAM: &str = "text/event-stream";
/// The value of [`CONSOLE`] in all other requests.
const BY_USER: &str = "1";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SAME_ORIGIN: &str = "same-origin";

/// The way in which a browser reaches the host, which decides about its cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tls,
    Loopback,
}

impl Transport {
    /// Returns the transport of a request that begins a session.
    ///
    /// The host does not see the TLS of a proxy in front of it, but browsers name the scheme in `Origin`. A client that
    /// names another one than its own exposes only its own session.
    ///
    /// # Errors
    /// Returns an error if others could read the cookie on its way.
    pub fn of(edge: &Edge, headers: &HeaderMap, sender: Option<IpAddr>) -> Result<Self, HttpError> {
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        let is_loopback = sender.is_some_and(|sender| sender.is_loopback());
        match origin.and_then(|origin| origin.split_once("://")) {
            _ if edge.api_has_tls => Ok(Self::Tls),
            Some(("https", _)) => Ok(Self::Tls),
            Some((_, host)) if is_loopback && is_loopback_host(host) => Ok(Self::Loopback),
            None if is_loopback => Ok(Self::Loopback),
            _ => Err(HttpError::PlainSession),
        }
    }

    /// Returns the header that gives a browser the id of a session.
    pub fn cookie(self, id: &str) -> Option<HeaderValue> {
        let (name, secure) = match self {
            Self::Tls => (OVER_TLS, "; Secure"),
            Self::Loopback => (ON_LOOPBACK, ""),
        };
        HeaderValue::try_from(format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict{secure}")).ok()
    }
}

/// Returns the headers that make a browser forget its cookie.
pub(super) fn removal() -> [(HeaderName, HeaderValue); 2] {
    [
        "__Host-hookmill=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure",
        "hookmill=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0",
    ]
    .map(|text| (header::SET_COOKIE, HeaderValue::from_static(text)))
}

/// Returns the id of a session. The cookie for TLS comes first, and is the only one where the host has TLS itself: other
/// hosts cannot set it.
pub(super) fn read<'h>(edge: &Edge, headers: &'h HeaderMap) -> Option<&'h str> {
    let named = |name: &str| {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.into_iter().find(|(known, _)| *known == name).map(|(_, id)| id)
    };
    let on_loopback = || if edge.api_has_tls { None } else { named(ON_LOOPBACK) };
    named(OVER_TLS).or_else(on_loopback).filter(|id| !id.is_empty())
}

/// Returns whether a page made the request by itself: with a header, or for a stream, to which browsers add no header.
pub(super) fn is_poll(headers: &HeaderMap) -> bool {
    headers.get(CONSOLE).is_some_and(|value| value == POLL)
        || headers.get(header::ACCEPT).is_some_and(|value| value == EVENT_STREAM)
}

/// Refuses a change by a session that a page of another origin may have requested.
///
/// # Errors
/// Returns an error unless the request has the header of the console and comes from the host's own origin.
pub(super) fn check_change(headers: &HeaderMap) -> Result<(), HttpError> {
    let is_from_console = headers.get(CONSOLE).is_some_and(|value| value == BY_USER);
    match is_from_console && is_same_origin(headers) == Some(true) {
        true => Ok(()),
        false => Err(HttpError::CrossSite),
    }
}

/// Refuses a request of a page of another origin to begin a session, which would make a person act with another's token.
/// Programs send none of the headers.
///
/// # Errors
/// Returns an error if the request comes from another origin.
pub(super) fn check_begin(headers: &HeaderMap) -> Result<(), HttpError> {
    match is_same_origin(headers) {
        Some(false) => Err(HttpError::CrossSite),
        Some(true) | None => Ok(()),
    }
}

/// Returns whether a request comes from a page of the host's own origin; `None` if no header shows it.
fn is_same_origin(headers: &HeaderMap) -> Option<bool> {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return Some(site == SAME_ORIGIN);
    }
    let origin = headers.get(header::ORIGIN)?;
    let (_, of_page) = origin.to_str().ok().and_then(|origin| origin.split_once("://")).unwrap_or_default();
    Some(headers.get(header::HOST).is_some_and(|own| own == of_page))
}

/// Returns whether a host with an optional port is this machine.
fn is_loopback_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
