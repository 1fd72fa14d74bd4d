//! How the host shows a receiver who it is: the header of `auth:`. What a notifier says cannot take its place.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// Headers that the connection or the host sets. Also those that begin with `proxy-` and `webhook-`.
const RESERVED: [&str; 9] =
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
/// What stands where a receiver sends a secret back.
const HIDDEN: &str = "***";
/// Shorter ones stand in any text.
const SECRET_BYTES_MIN: usize = 4;

/// The header that says who sends; none by default.
#[derive(Clone, Default)]
pub struct Authentication {
    header: Option<(HeaderName, HeaderValue)>,
    /// What must not be shown, the longest first.
    secrets: Vec<String>,
}

impl Authentication {
    /// User name and password.
    ///
    /// # Errors
    /// When the name has a colon.
    pub fn basic(username: &str, password: &str) -> Result<Self> {
        ensure!(!username.contains(':'), "a `username` has no colon: what follows the first one is the password");
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        Self::new(AUTHORIZATION, &format!("Basic {encoded}"), [password, &encoded])
    }

    /// A token as [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750) says.
    ///
    /// # Errors
    /// When no header can carry it.
    pub fn bearer(token: &str) -> Result<Self> {
        ensure!(!token.is_empty(), "the `token` is empty");
        Self::new(AUTHORIZATION, &format!("Bearer {token}"), [token, token])
    }

    /// A header with a secret in it.
    ///
    /// # Errors
    /// When there is no such header, it is the connection's, or no header can carry the value.
    pub fn header(name: &str, value: &str) -> Result<Self> {
        ensure!(!value.is_empty(), "the `value` is empty");
        Self::new(header_name(name, "name")?, value, [value, value])
    }

    fn new(name: HeaderName, value: &str, secrets: [&str; 2]) -> Result<Self> {
        let mut value = HeaderValue::from_str(value).ok().context("it has characters that a header cannot carry")?;
        value.set_sensitive(true);
        let known = Self { header: Some((name, value)), secrets: Vec::new() };
        Ok(known.hiding(secrets.into_iter().map(str::to_owned)))
    }

    /// The same, where these texts are not shown either.
    pub fn hiding(mut self, secrets: impl Iterator<Item = String>) -> Self {
        self.secrets.extend(secrets.filter(|text| text.len() >= SECRET_BYTES_MIN));
        self.secrets.sort_by_key(|text| std::cmp::Reverse(text.len()));
        self
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.header.is_none()
    }

    /// The name of its header.
    pub fn header_name(&self) -> Option<&HeaderName> {
        self.header.as_ref().map(|(name, _)| name)
    }

    /// Sets the header, in the place of what was there.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if let Some((name, value)) = &self.header {
            headers.insert(name, value.clone());
        }
    }

    /// A receiver's text without the secrets that it may have sent back.
    pub fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    pub fn longest_secret(&self) -> usize {
        self.secrets.first().map_or(0, String::len)
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Authentication")
    }
}

/// Whether a header is the connection's or the host's.
pub fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    RESERVED.contains(&name) || ["proxy-", "webhook-"].iter().any(|prefix| name.starts_with(prefix))
}

/// The name of a header that may be configured: none that the connection needs, or that the host sets itself.
pub fn header_name(text: &str, key: &str) -> Result<HeaderName> {
    let name: HeaderName = text.parse().ok().with_context(|| format!("`{key}` is no name of a header"))?;
    ensure!(!is_reserved(&name), "`{key}`: the header `{name}` is the host's own; choose another");
    Ok(name)
}

#[cfg(test)]
mod tests {
    use crate::Authentication;
    use reqwest::header::HeaderMap;

    #[test]
    fn what_a_receiver_sends_back_is_hidden() {
        let basic = Authentication::basic("hookmill", "hunter2:x").unwrap();
        let bearer = Authentication::bearer("token-of-mine").unwrap();
        let header = Authentication::header("X-Key", "key of mine").unwrap();
        for (authentication, name, value) in [
            (basic, "authorization", "Basic aG9va21pbGw6aHVudGVyMjp4"),
            (bearer, "authorization", "Bearer token-of-mine"),
            (header, "x-key", "key of mine"),
        ] {
            let mut headers = HeaderMap::from_iter([(name.parse().unwrap(), "a notifier's".parse().unwrap())]);
            authentication.apply(&mut headers);
            assert_eq!((headers.len(), headers[name].to_str().unwrap()), (1, value));
            let hidden = authentication.without_secrets(&format!("you sent {value}"));
            assert!(hidden.ends_with("***"), "{hidden}");
            assert!(!format!("{authentication:?} {headers:?}").contains(value));
        }
    }

    #[test]
    fn what_no_header_can_carry_is_refused_without_being_shown() {
        for wrong in [
            Authentication::basic("a:b", "hunter2"),
            Authentication::bearer("hunter2\n"),
            Authentication::bearer(""),
            Authentication::header("x key", "hunter2"),
            Authentication::header("host", "hunter2"),
            Authentication::header("webhook-id", "hunter2"),
            Authentication::header("proxy-authorization", "hunter2"),
        ] {
            assert!(!format!("{:#}", wrong.unwrap_err()).contains("hunter2"));
        }
    }
}
