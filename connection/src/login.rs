//! Tokens and sessions that a login returns.

use crate::client::Request;
use crate::oauth2::{FORM, JSON};
use crate::secrets::Secrets;
use crate::token::{LIFETIME, Token, parse};
use anyhow::{Context, Result};
use form_urlencoded::{Serializer, byte_serialize};
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, SET_COOKIE};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A login by a POST request.
#[derive(PartialEq)]
pub struct Login {
    /// The address of the login.
    pub url: Url,
    /// The names and values that are sent, some of which are secrets.
    pub values: BTreeMap<String, String>,
    /// Whether the values are sent as a form, and not as a JSON object.
    pub is_form: bool,
    /// The proof that the login returns.
    pub proof: LoginProof,
    /// The time for which the proof is used.
    pub expires_in: Option<Duration>,
}

/// The proof of a login, which further requests carry.
#[derive(PartialEq)]
pub enum LoginProof {
    /// A token in the JSON answer.
    Token {
        /// The position of the token, as JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).
        pointer: String,
        /// The header of requests that carries the token.
        header: HeaderName,
        /// The text before the token.
        prefix: String,
    },
    /// A cookie of this name.
    Cookie(String),
}

impl Login {
    /// Returns the request, and the secrets in it.
    pub(crate) fn request(&self) -> Result<(Request, Secrets)> {
        let (content_type, body) = match self.is_form {
            true => (FORM, Serializer::new(String::new()).extend_pairs(&self.values).finish()),
            false => (JSON, serde_json::to_string(&self.values)?),
        };
        let headers = HeaderMap::from_iter([(ACCEPT, JSON), (CONTENT_TYPE, content_type)]);
        let mut secrets = Secrets::default();
        // A server may repeat a value as it was sent.
        secrets.extend(self.values.values().flat_map(|value| [value.clone(), self.written(value)]));
        Ok((Request { method: Method::POST, url: self.url.clone(), headers, body: body.into_bytes() }, secrets))
    }

    /// Returns a value as it stands in the body.
    fn written(&self, value: &str) -> String {
        match self.is_form {
            true => byte_serialize(value.as_bytes()).collect(),
            false => Value::from(value).to_string().trim_matches('"').to_owned(),
        }
    }

    /// Returns the header that carries the proof.
    pub(crate) fn header_name(&self) -> HeaderName {
        match &self.proof {
            LoginProof::Token { header, .. } => header.clone(),
            LoginProof::Cookie(_) => COOKIE,
        }
    }

    /// Returns whether an answer is that of a successful login. A login that sets a cookie may redirect to the first page.
    pub(crate) fn is_success(&self, status: StatusCode) -> bool {
        status.is_success() || (self.is_cookie() && status.is_redirection())
    }

    /// Returns whether an answer means that the proof is not valid any more. Without a session, servers redirect to the login.
    pub(crate) fn is_refusal(&self, status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED || (self.is_cookie() && status.is_redirection())
    }

    fn is_cookie(&self) -> bool {
        matches!(self.proof, LoginProof::Cookie(_))
    }

    /// Reads a server's answer.
    pub(crate) fn token(&self, headers: &HeaderMap, document: &[u8]) -> Result<Token> {
        let (prefix, text) = match &self.proof {
            LoginProof::Token { pointer, prefix, .. } => {
                let answer = parse(document)?;
                let found = answer.pointer(pointer).and_then(|value| value.as_str());
                (
                    prefix.clone(),
                    found.with_context(|| format!("its answer has no text at `token`, {pointer}"))?.to_owned(),
                )
            }
            LoginProof::Cookie(name) => {
                let pairs =
                    headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()?.split(';').next());
                let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
                // A server that renews a session may set the cookie twice. The last one counts.
                let found = pairs.rfind(|(known, _)| known == name).map(|(_, value)| value.to_owned());
                (format!("{name}="), found.with_context(|| format!("its answer sets no cookie `{name}`"))?)
            }
        };
        Token::new(self.header_name(), &prefix, text, self.expires_in.unwrap_or(LIFETIME))
    }
}
