//! The header that authenticates Hookmill at a server, and the secrets that must not appear in texts.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// Headers that HTTP or Hookmill sets itself. Headers that begin with `proxy-` or `webhook-` are reserved too.
const RESERVED: [&str; 9] =
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
/// The replacement for a secret in a text.
const REDACTED: &str = "***";
/// The shortest secret that is redacted: shorter texts occur in any answer by chance.
const SECRET_BYTES_MIN: usize = 4;

/// The header that authenticates requests, and the secrets to redact. The default sends no header.
#[derive(Clone, Default, PartialEq)]
pub struct Authentication {
    header: Option<(HeaderName, HeaderValue)>,
    /// Longest first: otherwise a secret that is part of another one would be replaced first, and the rest of the
    /// longer secret would stay.
    secrets: Vec<String>,
}

impl Authentication {
    /// Creates basic authentication ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)).
    ///
    /// # Errors
    /// Returns an error if the user name contains a colon.
    pub fn basic(username: &str, password: &str) -> Result<Self> {
        ensure!(!username.contains(':'), "the `username` contains a colon; only the password can contain one");
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        Self::new(AUTHORIZATION, &format!("Basic {encoded}"), [password, &encoded])
    }

    /// Creates bearer authentication ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).
    ///
    /// # Errors
    /// Returns an error if the token is empty or has characters that a header cannot carry.
    pub fn bearer(token: &str) -> Result<Self> {
        ensure!(!token.is_empty(), "the `token` is empty");
        Self::new(AUTHORIZATION, &format!("Bearer {token}"), [token, token])
    }

    /// Creates authentication by a header of any name, whose value is a secret.
    ///
    /// # Errors
    /// Returns an error if the name is invalid or reserved, or the value is empty or has characters that a header
    /// cannot carry.
    pub fn header(name: &str, value: &str) -> Result<Self> {
        ensure!(!value.is_empty(), "the `value` is empty");
        Self::new(header_name(name, "name")?, value, [value, value])
    }

    fn new(name: HeaderName, value: &str, secrets: [&str; 2]) -> Result<Self> {
        let mut value =
            HeaderValue::from_str(value).ok().context("the value has characters that a header cannot carry")?;
        value.set_sensitive(true);
        let authentication = Self { header: Some((name, value)), secrets: Vec::new() };
        Ok(authentication.redacting(secrets.into_iter().map(str::to_owned)))
    }

    /// Adds texts that are redacted too.
    #[must_use]
    pub fn redacting(mut self, secrets: impl Iterator<Item = String>) -> Self {
        self.secrets.extend(secrets.filter(|text| text.len() >= SECRET_BYTES_MIN));
        self.secrets.sort_by_key(|text| std::cmp::Reverse(text.len()));
        self
    }

    /// Returns whether requests carry no authentication header.
    pub fn is_none(&self) -> bool {
        self.header.is_none()
    }

    /// Returns the name of the header.
    pub fn header_name(&self) -> Option<&HeaderName> {
        self.header.as_ref().map(|(name, _)| name)
    }

    /// Sets the header, and replaces one of the same name.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if let Some((name, value)) = &self.header {
            headers.insert(name, value.clone());
        }
    }

    /// Replaces every secret in a text, such as a server's answer that repeats the request.
    pub fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }

    /// Returns the length of the longest secret.
    pub(crate) fn secret_bytes_max(&self) -> usize {
        self.secrets.first().map_or(0, String::len)
    }
}

/// Shows no secret.
impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Authentication")
    }
}

/// Returns whether only HTTP or Hookmill itself sets a header.
pub fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    RESERVED.contains(&name) || ["proxy-", "webhook-"].iter().any(|prefix| name.starts_with(prefix))
}

/// Parses the name of a header in the configuration. `key` is the position of the name, for the error.
///
/// # Errors
/// Returns an error if the name is invalid or reserved.
pub fn header_name(text: &str, key: &str) -> Result<HeaderName> {
    let name: HeaderName = text.parse().ok().with_context(|| format!("`{key}` is not a valid header name"))?;
    ensure!(!is_reserved(&name), "`{key}`: the header `{name}` is the host's own; choose another");
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::Authentication;
    use reqwest::header::HeaderMap;

    #[test]
    fn secrets_in_answers_are_redacted() {
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
            let redacted = authentication.redact(&format!("you sent {value}"));
            assert!(redacted.ends_with("***"), "{redacted}");
            assert!(!format!("{authentication:?} {headers:?}").contains(value));
        }
    }

    #[test]
    fn errors_about_unusable_values_do_not_show_them() {
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
