//! Tokens of OAuth 2.0 for the host itself: client credentials ([RFC 6749](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)),
//! and signed assertions ([RFC 7523](https://www.rfc-editor.org/rfc/rfc7523)).

use crate::client::Request;
use crate::client_key::ClientKey;
use crate::secrets::Secrets;
use crate::token::{LIFETIME, Token, parse};
use anyhow::{Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use form_urlencoded::{Serializer, byte_serialize};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// An assertion is valid from before it was made, so that clocks may differ a little.
const ASSERTION_BEFORE_S: i64 = 60;
const ASSERTION_AFTER_S: i64 = 300;
/// Longer names of errors are not shown.
const ERROR_BYTES_MAX: usize = 100;

/// A client of an authorization server.
#[derive(PartialEq)]
pub struct OAuth2 {
    /// The token endpoint.
    pub token_url: Url,
    /// The id of the client.
    pub client_id: String,
    /// The proof of the client.
    pub proof: ClientProof,
    /// The scopes, separated by spaces.
    pub scope: Option<String>,
    /// The audience, which some servers ask for.
    pub audience: Option<String>,
}

/// The way in which a client proves its identity.
#[derive(PartialEq)]
pub enum ClientProof {
    /// A secret in the body of the request.
    Body(String),
    /// A secret in basic authentication.
    Basic(String),
    /// An assertion signed by the client (`private_key_jwt`).
    Assertion(ClientKey),
    /// An assertion as the grant itself, for this user or for the client. Google's service accounts use it.
    Grant(ClientKey, Option<String>),
}

impl ClientProof {
    /// Returns the files that the proof is made from.
    pub(crate) fn files(&self) -> &[PathBuf] {
        match self {
            Self::Body(_) | Self::Basic(_) => &[],
            Self::Assertion(key) | Self::Grant(key, _) => key.files(),
        }
    }
}

impl OAuth2 {
    /// Returns the request for a token, and the secrets in it.
    pub(crate) fn request(&self, now_ms: i64) -> Result<(Request, Secrets)> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, JSON), (CONTENT_TYPE, FORM)]);
        let mut form: Vec<(&str, &str)> = Vec::new();
        let mut secrets = Secrets::default();
        let (basic, assertion);
        match &self.proof {
            ClientProof::Body(secret) => {
                form.extend([
                    ("grant_type", "client_credentials"),
                    ("client_id", &self.client_id),
                    ("client_secret", secret),
                ]);
                secrets.extend([secret.clone(), byte_serialize(secret.as_bytes()).collect()]);
            }
            ClientProof::Basic(secret) => {
                form.push(("grant_type", "client_credentials"));
                let encoded = [&self.client_id, secret].map(|text| byte_serialize(text.as_bytes()).collect::<String>());
                basic = STANDARD.encode(encoded.join(":"));
                headers.insert(AUTHORIZATION, format!("Basic {basic}").parse()?);
                secrets.extend([secret.clone(), basic]);
            }
            ClientProof::Assertion(key) => {
                assertion = key.token(&self.claims(Some(&self.client_id), now_ms)?)?;
                form.extend([("grant_type", "client_credentials"), ("client_id", &self.client_id)]);
                form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)]);
                secrets.extend([assertion.clone()]);
            }
            ClientProof::Grant(key, subject) => {
                let mut claims = self.claims(subject.as_deref(), now_ms)?;
                if let Some(scope) = &self.scope {
                    claims["scope"] = json!(scope);
                }
                assertion = key.token(&claims)?;
                form.extend([("grant_type", JWT_GRANT), ("assertion", &assertion)]);
                secrets.extend([assertion.clone()]);
            }
        }
        let scope = self.scope.as_ref().filter(|_| !matches!(self.proof, ClientProof::Grant(..)));
        form.extend(scope.map(|scope| ("scope", scope.as_str())));
        form.extend(self.audience.as_ref().map(|audience| ("audience", audience.as_str())));
        let body = Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
        Ok((Request { method: Method::POST, url: self.token_url.clone(), headers, body }, secrets))
    }

    /// Returns the claims of an assertion.
    fn claims(&self, subject: Option<&str>, now_ms: i64) -> Result<Value> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let now = now_ms / 1000;
        Ok(json!({
            "iss": self.client_id,
            "sub": subject.unwrap_or(&self.client_id),
            "aud": self.token_url.as_str(),
            "jti": URL_SAFE_NO_PAD.encode(id),
            "iat": now - ASSERTION_BEFORE_S,
            "exp": now + ASSERTION_AFTER_S,
        }))
    }

    /// Reads a server's answer.
    pub(crate) fn token(document: &[u8]) -> Result<Token> {
        let answer = parse(document)?;
        let Some(token) = answer["access_token"].as_str() else {
            let error = answer["error"].as_str().filter(|text| text.len() <= ERROR_BYTES_MAX);
            bail!(
                "its answer has no `access_token`{}",
                error.map(|text| format!(", but the error {text:?}")).unwrap_or_default()
            );
        };
        let kind = answer["token_type"].as_str().unwrap_or("Bearer");
        ensure!(kind.eq_ignore_ascii_case("bearer"), "its token is not of the type Bearer");
        let seconds = match &answer["expires_in"] {
            // Some servers write the number as text.
            Value::String(text) => text.parse().ok(),
            value => value.as_f64(),
        };
        let lifetime = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
        Token::new(AUTHORIZATION, "Bearer ", token.to_owned(), lifetime.unwrap_or(LIFETIME))
    }
}
