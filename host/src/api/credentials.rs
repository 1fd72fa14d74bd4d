//! The sender of a request: its token, or its session, which a token began.

use super::session_cookie;
use crate::failed_tokens::{FAILURES_PER_MINUTE, FailedTokens, FailureNote};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::http::{HeaderMap, header};
use hookmill_store::{Scope, SessionRow, credential_digest};
use std::net::IpAddr;
use tracing::{debug, warn};

/// The name of the token from the environment.
pub(super) const ENVIRONMENT_TOKEN: &str = "HOOKMILL_ADMIN_TOKEN";

/// A valid token, and the session that acts with it.
#[derive(Debug)]
pub(super) struct Credentials {
    pub token: ValidToken,
    pub session: Option<SessionRow>,
}

/// A token that is valid now.
#[derive(Debug)]
pub(super) struct ValidToken {
    pub name: String,
    pub scope: Scope,
    pub digest: [u8; 32],
    /// The time when the token expires, in milliseconds since the Unix epoch.
    pub expires_at: Option<i64>,
}

impl Credentials {
    /// Returns the time when the session or the token ends, in milliseconds since the Unix epoch.
    pub fn expires_at(&self) -> Option<i64> {
        let session = self.session.as_ref().map(SessionRow::expires_at);
        session.into_iter().chain(self.token.expires_at).min()
    }
}

/// Finds the token or the session of a request. A request with both has its token.
pub(super) async fn identify(
    host: &Host,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Credentials, HttpError> {
    let found = match (bearer(headers), session_cookie::read(&host.edge, headers)) {
        (Some(token), _) => {
            let token = by_token(host, token, address).await?;
            token.map(|token| Credentials { token, session: None })
        }
        (None, Some(id)) => by_session(host, id, headers, address).await?,
        (None, None) => {
            host.metrics.unauthorized();
            None
        }
    };
    found.ok_or(HttpError::Unauthorized)
}

/// Finds the token with this text.
pub(super) async fn by_token(
    host: &Host,
    token: &str,
    address: Option<IpAddr>,
) -> Result<Option<ValidToken>, HttpError> {
    let failed = &host.edge.failed_tokens;
    check(host, failed, address, token)?;
    let found = valid_token(host, credential_digest(token)).await?;
    match &found {
        Some(_) => failed.succeeded(address, token),
        None => refused(host, address),
    }
    Ok(found)
}

/// Uses up a code that begins a session, and finds its token. A guess counts as one of a token.
pub(super) async fn by_code(host: &Host, code: &str, address: Option<IpAddr>) -> Result<Option<ValidToken>, HttpError> {
    check(host, &host.edge.failed_tokens, address, code)?;
    let found = match host.edge.sign_in_code.take(code, host.store.clock().now_ms()) {
        Some(token) => valid_token(host, token).await?,
        None => None,
    };
    if found.is_none() {
        refused(host, address);
    }
    Ok(found)
}

/// Finds the session with this id, and its token. A session that has ended is not a sign of an attack, so it is not logged.
async fn by_session(
    host: &Host,
    id: &str,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Option<Credentials>, HttpError> {
    let failed = &host.edge.failed_sessions;
    check(host, failed, address, id)?;
    let found = match host.store.session(id).await? {
        Some(session) => valid_token(host, session.token).await?.map(|token| (token, session)),
        None => None,
    };
    let Some((token, session)) = found else {
        host.metrics.unauthorized();
        failed.failed(address);
        return Ok(None);
    };
    failed.succeeded(address, id);
    if !session_cookie::is_poll(headers)
        && let Err(error) = host.store.use_session(&session).await
    {
        debug!("a session may end too early, because its use cannot be recorded: {error}");
    }
    Ok(Some(Credentials { token, session: Some(session) }))
}

/// Refuses the credential of an address that had too many that were not valid.
fn check(host: &Host, failed: &FailedTokens, address: Option<IpAddr>, credential: &str) -> Result<(), HttpError> {
    failed.check(address, credential).inspect_err(|_| host.metrics.unauthorized())?;
    Ok(())
}

async fn valid_token(host: &Host, digest: [u8; 32]) -> Result<Option<ValidToken>, HttpError> {
    if host.edge.admin_token == Some(digest) {
        let name = ENVIRONMENT_TOKEN.to_owned();
        return Ok(Some(ValidToken { name, scope: Scope::Admin, digest, expires_at: None }));
    }
    let found = host.store.token(digest).await?;
    Ok(found.map(|row| ValidToken { name: row.name, scope: row.scope, digest, expires_at: row.expires_at }))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// Counts a token or a code that is not valid.
fn refused(host: &Host, address: Option<IpAddr>) {
    host.metrics.unauthorized();
    note(host, host.edge.failed_tokens.failed(address), address);
}

/// Logs a failure, unless the address has many.
fn note(host: &Host, note: FailureNote, address: Option<IpAddr>) {
    let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let text = match note {
        FailureNote::First => "a request to the API had a token that is not valid".to_owned(),
        FailureNote::Limited => {
            format!(
                "{FAILURES_PER_MINUTE} tokens in a minute were not valid; further ones are refused for the rest of it"
            )
        }
        FailureNote::Repeated => return,
    };
    // Attackers have many addresses.
    if host.edge.logged_unverified.check().is_ok() {
        warn!(address, "{text}");
    }
}
