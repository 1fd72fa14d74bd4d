//! One signature scheme with the secrets of one source.

use crate::body_secret::BodySecret;
use crate::declaration::{Declaration, DeclarationError};
use crate::graph::Graph;
use crate::hmac_format::HmacFormat;
use crate::hmac_scheme::HmacScheme;
use crate::jwt::Jwt;
use crate::presets::{self, Family, Preset};
use crate::request::{Identity, Payload, Request, SignError, SignatureError, Signed, Verification, VerifyError};
use crate::revealed::RevealedSecrets;
use crate::secret::{Secret, SharedSecrets};
use crate::shared_secret::SharedSecretScheme;
use crate::signature_or_token::SignatureOrToken;
use crate::sns::{self, Sns, Subscription};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use std::fmt;

/// A signature scheme with the secrets of one source.
pub struct Scheme {
    preset: &'static Preset,
    kind: Kind,
    revealed: RevealedSecrets,
    /// The senders that may ask for permission to post, as CloudEvents defines it.
    origins: Vec<String>,
    /// For each secret, whether it is valid for a limited time only, because another one replaces it.
    replaced: Vec<bool>,
}

enum Kind {
    None,
    Hmac(Box<HmacScheme>),
    Shared(SharedSecretScheme),
    Sns(Sns),
    Graph(Graph),
    BodySecret(BodySecret),
    SignatureOrToken(Box<SignatureOrToken>),
    Jwt(Box<Jwt>),
}

impl Scheme {
    /// Returns the scheme `none`, which checks nothing.
    pub fn none() -> Self {
        let revealed = RevealedSecrets::new(&[]);
        Self { preset: &presets::NONE, kind: Kind::None, revealed, origins: Vec::new(), replaced: Vec::new() }
    }

    /// Makes a scheme from its declaration and the secrets of a source.
    ///
    /// # Errors
    /// Returns an error if the declaration cannot work or does not fit the secrets. The text names the allowed values
    /// and never contains a secret.
    pub fn declare(declaration: &Declaration, secrets: &[Secret]) -> Result<Self, DeclarationError> {
        let (preset, keys) = declaration.resolve()?;
        match (preset.family.is_keyless(), secrets.is_empty()) {
            (true, false) if preset.family == Family::None => {
                return Err(DeclarationError::new(
                    "`scheme: none` checks nothing; remove the secret or choose a scheme",
                ));
            }
            (true, false) => {
                return Err(DeclarationError::new(format!("scheme `{}` uses no secret; remove it", preset.name)));
            }
            (false, true) => {
                return Err(DeclarationError::new(format!(
                    "scheme `{}` needs a `secret`; only `scheme: none` accepts unsigned payloads",
                    preset.name
                )));
            }
            _ => {}
        }
        let kind = match preset.family {
            Family::None => Kind::None,
            Family::Hmac => Kind::Hmac(Box::new(HmacScheme::new(HmacFormat::from_keys(&keys)?, secrets)?)),
            Family::Header | Family::Basic | Family::Bearer | Family::UrlToken => {
                Kind::Shared(SharedSecretScheme::new(preset.family, &keys, secrets)?)
            }
            Family::Sns => Kind::Sns(Sns::from_keys(&keys)?),
            Family::Jwt => Kind::Jwt(Box::new(Jwt::from_keys(&keys)?)),
            Family::Graph => Kind::Graph(Graph::new(SharedSecrets::new(secrets))),
            Family::BodySecret => Kind::BodySecret(BodySecret::new(&keys, secrets)?),
            Family::SignatureOrToken => Kind::SignatureOrToken(Box::new(SignatureOrToken::new(&keys, secrets)?)),
        };
        let replaced = secrets.iter().map(|secret| secret.not_after_ms().is_some()).collect();
        let origins = keys.list("origins").into_iter().map(str::to_ascii_lowercase).collect();
        Ok(Self { preset, kind, revealed: RevealedSecrets::new(secrets), origins, replaced })
    }

    /// Returns the scheme's name in a configuration.
    pub fn name(&self) -> &'static str {
        self.preset.name
    }

    /// Returns whether the scheme belongs to one vendor, rather than to Hookmill or a custom sender.
    pub fn is_vendor_preset(&self) -> bool {
        self.preset.is_vendor_preset
    }

    /// Returns whether the secret at this index is valid for a limited time only, because another one replaces it; `None` for
    /// a scheme without secrets.
    pub fn is_replaced(&self, secret: usize) -> Option<bool> {
        self.replaced.get(secret).copied()
    }

    /// Returns the number of bytes of the shortest secret that an attacker has to guess; `None` without a secret.
    pub fn shortest_secret_bytes(&self) -> Option<usize> {
        match &self.kind {
            Kind::None | Kind::Sns(_) | Kind::Jwt(_) => None,
            Kind::Hmac(scheme) => scheme.shortest_key_bytes(),
            Kind::Shared(scheme) => scheme.shortest_secret_bytes(),
            Kind::Graph(graph) => graph.secrets.shortest_bytes(),
            Kind::BodySecret(scheme) => scheme.secrets.shortest_bytes(),
            Kind::SignatureOrToken(scheme) => scheme.shortest_secret_bytes(),
        }
    }

    /// Returns the time in seconds for which a signed request is accepted; `None` if the scheme does not sign a time.
    pub fn tolerance_s(&self) -> Option<i64> {
        match &self.kind {
            Kind::Hmac(scheme) => scheme.format.is_timed().then_some(scheme.format.tolerance_s),
            Kind::Sns(sns) => Some(sns.tolerance_s),
            Kind::SignatureOrToken(scheme) => scheme.tolerance_s(),
            Kind::None | Kind::Shared(_) | Kind::Graph(_) | Kind::BodySecret(_) | Kind::Jwt(_) => None,
        }
    }

    /// Returns whether a header carries the scheme's secret or signature, so that it must not be stored.
    pub fn is_secret_header(&self, header: &HeaderName) -> bool {
        match &self.kind {
            Kind::None | Kind::Sns(_) | Kind::Graph(_) | Kind::BodySecret(_) => false,
            Kind::Hmac(scheme) => scheme.format.signature_headers().any(|name| name == header),
            Kind::Shared(scheme) => scheme.header() == Some(header),
            Kind::SignatureOrToken(scheme) => scheme.is_secret_header(header),
            Kind::Jwt(_) => *header == AUTHORIZATION,
        }
    }

    /// Returns whether a text contains one of the source's secrets, so that the text must not be stored.
    pub fn reveals_secret(&self, text: &[u8]) -> bool {
        self.revealed.are_in(text)
    }

    /// Returns the payload in a verified body: without the scheme's secret and without the sender's envelope. Returns
    /// `None` if the body is the payload.
    pub fn payload(&self, headers: &HeaderMap, body: &[u8]) -> Option<Payload> {
        let without_secret = match &self.kind {
            Kind::Graph(graph) => graph.without_secrets(body),
            Kind::BodySecret(scheme) => scheme.without_secret(body, &self.revealed),
            Kind::Jwt(jwt) => return jwt.payload(headers, body),
            _ => None,
        };
        without_secret.map(|body| Payload { body, context: Vec::new() })
    }

    /// Returns the URL of the public keys that verification needs; `None` if it needs none, or they are pinned.
    pub fn key_url(&self) -> Option<&str> {
        match &self.kind {
            Kind::Jwt(jwt) => jwt.key_url(),
            _ => None,
        }
    }

    /// Returns the signed content of a verified body; `None` if all of the body is signed. Bodies with the same signed
    /// content are repeats of each other; the rest of the body does not matter.
    pub fn signed_text(&self, body: &[u8]) -> Option<String> {
        match &self.kind {
            Kind::Sns(_) => sns::signed_text(body),
            _ => None,
        }
    }

    /// Verifies the sender of a request. The signature is checked before the age, so that only a holder of the key
    /// learns about a wrong clock.
    ///
    /// # Errors
    /// Returns an error if the request is refused, or a certificate or keys have to be fetched first.
    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        if request.token.is_some() && !self.needs_url_token() {
            return Err(SignatureError::TokenUnexpected.into());
        }
        match &self.kind {
            Kind::None => Ok(Verification { identity: Identity::Body, secret: 0 }),
            Kind::Hmac(scheme) => scheme.verify(request),
            Kind::Shared(scheme) => scheme.verify(request),
            Kind::Sns(sns) => sns.verify(request),
            Kind::Graph(graph) => graph.verify(request),
            Kind::BodySecret(scheme) => scheme.verify(request),
            Kind::SignatureOrToken(scheme) => scheme.verify(request),
            Kind::Jwt(jwt) => jwt.verify(request),
        }
    }

    /// Signs a body as its sender would at this time, with the first live secret. `id` is the delivery id, which
    /// schemes without one ignore.
    ///
    /// # Errors
    /// Returns an error if only the sender can sign, or the secret, id or body does not fit the scheme.
    pub fn sign(&self, body: &[u8], now_ms: i64, id: &str) -> Result<Signed, SignError> {
        let mut signed = Signed { headers: HeaderMap::new(), token: None, body: body.to_vec() };
        match &self.kind {
            Kind::None => {}
            Kind::Hmac(scheme) => scheme.sign(&mut signed, now_ms, id)?,
            Kind::Shared(scheme) => scheme.sign(&mut signed, now_ms, id)?,
            Kind::Sns(_) | Kind::Jwt(_) => return Err(SignError::NoKey),
            Kind::Graph(graph) => signed.body = graph.sign(body, now_ms)?,
            Kind::BodySecret(scheme) => scheme.sign(&mut signed, now_ms, id)?,
            Kind::SignatureOrToken(scheme) => scheme.sign(&mut signed, now_ms, id)?,
        }
        Ok(signed)
    }

    /// Returns whether the URL of the source ends with the secret.
    pub fn needs_url_token(&self) -> bool {
        self.preset.family == Family::UrlToken
    }

    /// Returns whether a sender is one that may ask for permission to post. Names of hosts are compared without case.
    pub fn permits_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// Returns the HMAC of a text with the secret at this index, in the scheme's encoding. Zoom requests this value to
    /// check that the receiver has the secret.
    pub fn hmac(&self, secret: usize, text: &[u8]) -> Option<String> {
        match &self.kind {
            Kind::Hmac(scheme) => scheme.hmac(secret, text),
            _ => None,
        }
    }

    /// Returns the subscription whose confirmation a verified body of Amazon SNS requests.
    pub fn subscription(&self, body: &[u8]) -> Option<Subscription> {
        match &self.kind {
            Kind::Sns(sns) => sns.subscription(body),
            _ => None,
        }
    }
}

impl fmt::Debug for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Scheme({})", self.preset.name)
    }
}
