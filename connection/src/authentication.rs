//! The proof of Hookmill's identity at a server: a header, or a token that is requested when it is needed.

use crate::client::{Connection, Request};
use crate::header_names::{header_name, is_reserved};
use crate::login::Login;
use crate::oauth2::OAuth2;
use crate::secrets::Secrets;
use crate::token_cache::{TokenCache, TokenIssuer};
use crate::{Failure, require_http};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_signatures::{RequestSignature, UnsignedRequest};
use reqwest::Response;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The proof that requests carry, and the secrets to redact. The default proves nothing.
#[derive(Clone, Default, PartialEq)]
pub struct Authentication {
    proof: Proof,
    secrets: Secrets,
}

#[derive(Clone, Default)]
enum Proof {
    #[default]
    None,
    Header(HeaderName, HeaderValue),
    Token(Arc<TokenCache>),
    Signature(Arc<RequestSignature>),
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
        Self::new(AUTHORIZATION, &format!("Bearer {token}"), [token])
    }

    /// Creates authentication by a header of any name, whose value is a secret.
    ///
    /// # Errors
    /// Returns an error if the name is invalid or reserved, or the value is empty or has characters that a header
    /// cannot carry.
    pub fn header(name: &str, value: &str) -> Result<Self> {
        ensure!(!value.is_empty(), "the `value` is empty");
        Self::new(header_name(name, "name")?, value, [value])
    }

    /// Creates authentication by tokens of an authorization server.
    ///
    /// # Errors
    /// Returns an error if the URL of the server is not an HTTP URL.
    pub fn oauth2(client: OAuth2) -> Result<Self> {
        require_http(&client.token_url, "token_url")?;
        Ok(Self::token(TokenIssuer::OAuth2(client.into())))
    }

    /// Creates authentication by the result of a login.
    ///
    /// # Errors
    /// Returns an error if the URL of the login is not an HTTP URL.
    pub fn login(login: Login) -> Result<Self> {
        require_http(&login.url, "url")?;
        Ok(Self::token(TokenIssuer::Login(login.into())))
    }

    /// Creates authentication by a signature of each request.
    ///
    /// # Errors
    /// Returns an error if a header of the signature is reserved.
    pub fn signature(signature: RequestSignature) -> Result<Self> {
        for name in signature.header_names() {
            ensure!(!is_reserved(name), "the header `{name}` is the host's own; choose another");
        }
        let secrets = Secrets::from([signature.secret().expose()]);
        Ok(Self { proof: Proof::Signature(Arc::new(signature)), secrets })
    }

    fn token(issuer: TokenIssuer) -> Self {
        Self { proof: Proof::Token(Arc::new(TokenCache::new(issuer))), secrets: Secrets::default() }
    }

    fn new<const N: usize>(name: HeaderName, value: &str, secrets: [&str; N]) -> Result<Self> {
        let mut value =
            HeaderValue::from_str(value).ok().context("the value has characters that a header cannot carry")?;
        value.set_sensitive(true);
        Ok(Self { proof: Proof::Header(name, value), secrets: Secrets::from(secrets) })
    }

    /// Adds texts that are redacted too.
    #[must_use]
    pub fn redacting(mut self, secrets: impl Iterator<Item = String>) -> Self {
        self.secrets.extend(secrets);
        self
    }

    /// Returns whether requests carry no proof.
    pub fn is_none(&self) -> bool {
        matches!(self.proof, Proof::None)
    }

    /// Returns the names of the headers that carry the proof.
    pub fn header_names(&self) -> Vec<HeaderName> {
        match &self.proof {
            Proof::None => Vec::new(),
            Proof::Header(name, _) => vec![name.clone()],
            Proof::Token(cache) => vec![cache.issuer.header_name()],
            Proof::Signature(signature) => signature.header_names().cloned().collect(),
        }
    }

    /// Returns the files that the proof is made from.
    pub fn files(&self) -> &[PathBuf] {
        match &self.proof {
            Proof::Token(cache) => cache.issuer.files(),
            Proof::None | Proof::Header(..) | Proof::Signature(_) => &[],
        }
    }

    /// Returns the secrets that an answer to an authenticated request may repeat.
    pub fn secrets(&self) -> Secrets {
        let mut secrets = self.secrets.clone();
        if let Proof::Token(cache) = &self.proof {
            cache.add_secrets(&mut secrets);
        }
        secrets
    }

    /// Sends a request with the proof, which replaces headers of the same names, and returns the answer, with any status.
    /// A token that the server refuses is requested again once, over the same connection. All requests together, the answer
    /// included, take no longer than the connection's limit for an attempt. `now_ms` is the host's time in milliseconds
    /// since the Unix epoch.
    ///
    /// # Errors
    /// Returns an error if the guard refuses a host, no answer arrives, or there is no token.
    pub async fn send(&self, connection: &Connection, mut request: Request, now_ms: i64) -> Result<Response, Failure> {
        let end = Instant::now() + connection.timeout();
        match &self.proof {
            Proof::None => {}
            Proof::Header(name, value) => {
                request.headers.insert(name, value.clone());
            }
            Proof::Token(cache) => {
                let token = cache.token(connection, None, end, now_ms).await?;
                request.headers.insert(&token.name, token.value.clone());
                let response = connection.send_until(request.clone(), end).await?;
                if !cache.issuer.is_refusal(response.status()) {
                    return Ok(response);
                }
                let token = cache.token(connection, Some(&token), end, now_ms).await?;
                request.headers.insert(&token.name, token.value.clone());
            }
            Proof::Signature(signature) => {
                for (name, value) in signed(signature, &request, now_ms)? {
                    request.headers.insert(name, value);
                }
            }
        }
        connection.send_until(request, end).await
    }
}

/// Returns the headers of a signature.
fn signed(
    signature: &RequestSignature,
    request: &Request,
    now_ms: i64,
) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).context("there is no random nonce")?;
    let (url, method) = (&request.url, request.method.as_str());
    let unsigned = UnsignedRequest { method, path: url.path(), query: url.query(), body: &request.body };
    let mut headers = signature.headers(unsigned, now_ms, &random).context("the request cannot be signed")?;
    headers.iter_mut().for_each(|(_, value)| value.set_sensitive(true));
    Ok(headers)
}

impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Header(name, value), Self::Header(other_name, other_value)) => {
                (name, value) == (other_name, other_value)
            }
            (Self::Token(cache), Self::Token(other)) => cache.issuer == other.issuer,
            (Self::Signature(signature), Self::Signature(other)) => signature == other,
            _ => false,
        }
    }
}

/// Shows no secret.
impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Authentication")
    }
}

#[cfg(test)]
mod tests {
    use super::{Authentication, Proof};

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
            let Proof::Header(found, sent) = &authentication.proof else { panic!("no header") };
            assert_eq!((found.as_str(), sent.to_str().unwrap()), (name, value));
            let redacted = authentication.secrets().redact(&format!("you sent {value}"));
            assert!(redacted.ends_with("***"), "{redacted}");
            assert!(!format!("{authentication:?} {sent:?} {:?}", authentication.secrets()).contains(value));
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
