//! Tokens that an issuer of identities signs ([JSON Web Tokens](https://www.rfc-editor.org/rfc/rfc7519)), in the header
//! `Authorization: Bearer`.
//!
//! A token proves who sends, not what: it is valid for every body until it expires. The keys of the issuer are pinned, or
//! fetched by the caller from a configured URL; nothing in a request chooses a URL.

use crate::declaration::{DeclarationError, Keys};
use crate::headers::at_most_one;
use crate::jws::{Jws, JwsAlgorithm};
use crate::key_set::KeySet;
use crate::pubsub;
use crate::request::{Fetched, Identity, Payload, Request, SignatureError, Verification, VerifyError};
use crate::shared_secret::after_auth_scheme;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

/// The largest difference between the clocks of the issuer and of this host.
const TOLERANCE_S: i64 = 60;
/// The issuer that signs tokens for everybody's service accounts, with any audience.
const GOOGLE: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

pub(crate) struct Jwt {
    issuers: Vec<String>,
    audiences: Vec<String>,
    emails: Vec<String>,
    claims: Vec<RequiredClaim>,
    algorithms: Vec<JwsAlgorithm>,
    keys: IssuerKeys,
    is_pubsub: bool,
    tolerance_s: i64,
}

enum IssuerKeys {
    Pinned(KeySet),
    At(String),
}

/// A claim that a token must have, with this value if there is one.
struct RequiredClaim {
    name: String,
    value: Option<String>,
}

impl Jwt {
    pub fn from_keys(keys: &Keys) -> Result<Self, DeclarationError> {
        let texts = |key: &str| keys.list(key).into_iter().map(str::to_owned).collect::<Vec<String>>();
        let required = |key: &str, help: &str| match texts(key) {
            list if list.is_empty() || list.iter().any(String::is_empty) => {
                Err(DeclarationError::new(format!("the scheme needs `{key}`, {help}")))
            }
            list => Ok(list),
        };
        let issuers = required("issuer", "who signs the tokens, such as https://login.example/realms/soc")?;
        let audiences = required("audience", "for whom the tokens are, such as the URL of this source")?;
        let emails = texts("email");
        if let Some(email) = emails.iter().find(|email| !email.contains('@')) {
            return Err(DeclarationError::new(format!(
                "`email`: `{email}` is not an address; expected that of the sender's account, such as \
                 push@project.iam.gserviceaccount.com"
            )));
        }
        let claims = texts("claims").iter().map(|text| RequiredClaim::read(text)).collect::<Result<Vec<_>, _>>()?;
        if issuers.iter().any(|issuer| GOOGLE.contains(&issuer.as_str())) && emails.is_empty() {
            return Err(DeclarationError::new(
                "the scheme needs `email`, the service account that pushes, such as \
                 push@project.iam.gserviceaccount.com: Google signs tokens for everybody's accounts, with any audience",
            ));
        }
        Ok(Self {
            issuers,
            audiences,
            emails,
            claims,
            algorithms: algorithms(&keys.list("algorithms"))?,
            keys: IssuerKeys::from_keys(keys)?,
            is_pubsub: keys.choice("envelope", &[("none", false), ("google-pubsub", true)])?,
            tolerance_s: keys.seconds("tolerance", TOLERANCE_S)?,
        })
    }

    /// Returns the URL of the issuer's keys; `None` if they are pinned.
    pub fn key_url(&self) -> Option<&str> {
        match &self.keys {
            IssuerKeys::Pinned(_) => None,
            IssuerKeys::At(url) => Some(url),
        }
    }

    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        let value = at_most_one(request.headers, &AUTHORIZATION)?;
        let value = value.ok_or(SignatureError::HeaderMissing(AUTHORIZATION))?;
        let token = after_auth_scheme(value, b"bearer").ok_or(SignatureError::HeaderForm(AUTHORIZATION))?;
        let token = Jws::read(token).map_err(SignatureError::from)?;
        if !self.algorithms.contains(&token.algorithm) {
            let name = JwsAlgorithm::ALL.iter().find(|(_, algorithm)| *algorithm == token.algorithm);
            return Err(SignatureError::JwtAlgorithm(name.map_or("", |(name, _)| *name).to_owned()).into());
        }
        let claims: Map<String, Value> = serde_json::from_slice(&token.payload).map_err(|_| SignatureError::JwtForm)?;
        // Checked first: a token of a stranger must not make the host fetch anything.
        self.check_parties(&claims)?;
        let keys = match (&self.keys, request.fetched) {
            (IssuerKeys::Pinned(keys), _) => keys,
            (IssuerKeys::At(_), Some(Fetched::Keys(keys))) => keys,
            (IssuerKeys::At(_), _) => return Err(VerifyError::KeysMissing),
        };
        keys.verify(&token).map_err(SignatureError::from)?;
        self.check_times(&claims, request.now_ms)?;
        self.check_account(&claims)?;
        let id = if self.is_pubsub { pubsub::message_id(request.headers, request.body)? } else { None };
        Ok(Verification { identity: id.map_or(Identity::Body, Identity::Delivery), secret: 0 })
    }

    /// Returns the payload in the envelope of a verified body.
    pub fn payload(&self, headers: &HeaderMap, body: &[u8]) -> Option<Payload> {
        self.is_pubsub.then(|| pubsub::payload(headers, body)).flatten()
    }

    fn check_parties(&self, claims: &Map<String, Value>) -> Result<(), SignatureError> {
        let is_one_of = |value: &Value, expected: &[String]| {
            value.as_str().is_some_and(|text| expected.iter().any(|expected| expected == text))
        };
        let issuer = claims.get("iss").is_some_and(|issuer| is_one_of(issuer, &self.issuers));
        let audience = claims.get("aud").is_some_and(|audience| match audience {
            Value::Array(items) => items.iter().any(|item| is_one_of(item, &self.audiences)),
            single => is_one_of(single, &self.audiences),
        });
        match (issuer, audience) {
            (true, true) => Ok(()),
            (false, _) => Err(SignatureError::JwtClaim("iss".to_owned())),
            (true, false) => Err(SignatureError::JwtClaim("aud".to_owned())),
        }
    }

    fn check_times(&self, claims: &Map<String, Value>, now_ms: i64) -> Result<(), SignatureError> {
        // Times are seconds, and may have a fraction.
        let seconds = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(seconds) => Ok(Some(seconds as i64)),
                None => Err(SignatureError::JwtClaim(name.to_owned())),
            },
        };
        let now_s = now_ms.div_euclid(1000);
        let end = seconds("exp")?.ok_or_else(|| SignatureError::JwtClaim("exp".to_owned()))?;
        if now_s.saturating_sub(end) > self.tolerance_s {
            return Err(SignatureError::JwtExpired { ago_s: now_s.saturating_sub(end) });
        }
        let start = seconds("nbf")?.max(seconds("iat")?).unwrap_or(i64::MIN);
        match start.saturating_sub(now_s) {
            ahead_s if ahead_s > self.tolerance_s => Err(SignatureError::JwtEarly { ahead_s }),
            _ => Ok(()),
        }
    }

    fn check_account(&self, claims: &Map<String, Value>) -> Result<(), SignatureError> {
        if !self.emails.is_empty() {
            let email = claims.get("email").and_then(Value::as_str);
            if !email.is_some_and(|email| self.emails.iter().any(|expected| expected == email)) {
                return Err(SignatureError::JwtClaim("email".to_owned()));
            }
            RequiredClaim { name: "email_verified".to_owned(), value: Some("true".to_owned()) }.check(claims)?;
        }
        self.claims.iter().try_for_each(|claim| claim.check(claims))
    }
}

impl IssuerKeys {
    fn from_keys(keys: &Keys) -> Result<Self, DeclarationError> {
        match (keys.text("jwks")?, keys.text("jwks_url")?) {
            // The URL of a preset gives way to declared keys.
            (Some(json), url) if url.is_none() || !keys.is_declared("jwks_url") => KeySet::read(json.as_bytes())
                .map(Self::Pinned)
                .map_err(|error| DeclarationError::new(format!("`jwks`: {error}"))),
            (None, Some(url)) => Ok(Self::At(url.to_owned())),
            (Some(_), Some(_)) => Err(DeclarationError::new("set either `jwks` or `jwks_url`, not both")),
            _ => Err(DeclarationError::new(
                "the scheme needs `jwks_url`, the address of the issuer's public keys, or `jwks`, the keys themselves",
            )),
        }
    }
}

impl RequiredClaim {
    fn read(text: &str) -> Result<Self, DeclarationError> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
        if name.is_empty() {
            return Err(DeclarationError::new(format!(
                "`claims`: `{text}` has no name; expected `name` or `name=value`"
            )));
        }
        Ok(Self { name: name.to_owned(), value })
    }

    fn check(&self, claims: &Map<String, Value>) -> Result<(), SignatureError> {
        let is_value = |value: &Value| match (&self.value, value) {
            (None, value) => !matches!(value, Value::Null | Value::Bool(false)),
            (Some(expected), Value::String(text)) => expected == text,
            (Some(expected), Value::Bool(_) | Value::Number(_)) => {
                serde_json::from_str::<Value>(expected).is_ok_and(|expected| expected == *value)
            }
            (Some(_), _) => false,
        };
        let fits = claims.get(&self.name).is_some_and(|value| match value {
            Value::Array(items) => items.iter().any(is_value),
            single => is_value(single),
        });
        if fits { Ok(()) } else { Err(SignatureError::JwtClaim(self.name.clone())) }
    }
}

/// Returns the algorithms that may sign; all of them if none is named.
fn algorithms(names: &[&str]) -> Result<Vec<JwsAlgorithm>, DeclarationError> {
    if names.is_empty() {
        return Ok(JwsAlgorithm::ALL.iter().map(|(_, algorithm)| *algorithm).collect());
    }
    let algorithm = |name: &&str| {
        JwsAlgorithm::named(name).ok_or_else(|| {
            let known: Vec<&str> = JwsAlgorithm::ALL.iter().map(|(known, _)| *known).collect();
            DeclarationError::new(format!("`algorithms`: `{name}` is not one of: {}", known.join(", ")))
        })
    };
    names.iter().map(algorithm).collect()
}
