//! Schemes in which the sender sends the secret itself: in a header, as a password, as a token or in the URL.

use crate::declaration::{DeclarationError, Keys};
use crate::headers::{at_most_one, delivery_id, header_value};
use crate::presets::Family;
use crate::request::{Identity, Request, SignError, SignatureError, Signed, Verification, VerifyError};
use crate::secret::{Secret, SharedSecrets};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use http::header::AUTHORIZATION;

pub(crate) struct SharedSecretScheme {
    position: Position,
    secrets: SharedSecrets,
    id_header: Option<HeaderName>,
}

/// The position of the secret in a request.
enum Position {
    Header {
        name: HeaderName,
        prefix: String,
    },
    /// `user:password` in base64.
    Basic,
    Bearer,
    Url,
}

impl SharedSecretScheme {
    pub fn new(family: Family, keys: &Keys, secrets: &[Secret]) -> Result<Self, DeclarationError> {
        let position = match family {
            Family::Basic => Position::Basic,
            Family::Bearer => Position::Bearer,
            Family::UrlToken => Position::Url,
            _ => Position::Header {
                name: keys.header("header")?.ok_or_else(|| {
                    DeclarationError::new(
                        "the scheme needs a `header`, in which the sender puts the secret, such as X-Key",
                    )
                })?,
                prefix: keys.text("prefix")?.unwrap_or_default().to_owned(),
            },
        };
        if matches!(position, Position::Basic) && secrets.iter().any(|secret| !secret.expose().contains(':')) {
            return Err(DeclarationError::new("the secret of scheme `basic` must be written as `user:password`"));
        }
        Ok(Self { position, secrets: SharedSecrets::new(secrets), id_header: keys.header("id_header")? })
    }

    /// Returns the length of the shortest secret. The user name of scheme `basic` does not count.
    pub fn shortest_secret_bytes(&self) -> Option<usize> {
        match self.position {
            Position::Basic => {
                self.secrets.iter().filter_map(|text| text.split_once(':')).map(|(_, password)| password.len()).min()
            }
            _ => self.secrets.shortest_bytes(),
        }
    }

    pub fn header(&self) -> Option<&HeaderName> {
        match &self.position {
            Position::Header { name, .. } => Some(name),
            Position::Basic | Position::Bearer => Some(&AUTHORIZATION),
            Position::Url => None,
        }
    }

    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        let (value, form) = match self.header() {
            Some(name) => {
                let value = at_most_one(request.headers, name)?;
                let missing = || SignatureError::HeaderMissing(name.clone());
                (value.ok_or_else(missing)?, SignatureError::HeaderForm(name.clone()))
            }
            None => (request.token.ok_or(SignatureError::TokenMissing)?.as_bytes(), SignatureError::TokenMissing),
        };
        let decoded;
        let given = match &self.position {
            Position::Url => value,
            Position::Header { prefix, .. } => value.strip_prefix(prefix.as_bytes()).ok_or(form)?,
            Position::Bearer => after_auth_scheme(value, b"bearer").ok_or(form)?,
            Position::Basic => {
                let encoded = after_auth_scheme(value, b"basic").ok_or_else(|| form.clone())?;
                decoded = STANDARD.decode(encoded).map_err(|_| form)?;
                &decoded[..]
            }
        };
        let secret = self.secrets.find(given, request.now_ms)?;
        let id = match &self.id_header {
            Some(name) => delivery_id(request.headers, name)?,
            None => None,
        };
        Ok(Verification { identity: id.map_or(Identity::Body, Identity::delivery), secret })
    }

    pub fn sign(&self, signed: &mut Signed, now_ms: i64, id: &str) -> Result<(), SignError> {
        let secret = self.secrets.live(now_ms)?;
        let value = match &self.position {
            Position::Url => {
                signed.token = Some(secret.to_owned());
                None
            }
            Position::Header { prefix, .. } => Some(format!("{prefix}{secret}")),
            Position::Bearer => Some(format!("Bearer {secret}")),
            Position::Basic => Some(format!("Basic {}", STANDARD.encode(secret))),
        };
        if let (Some(name), Some(value)) = (self.header(), value) {
            signed.headers.insert(name, header_value(&value)?);
        }
        if let Some(name) = &self.id_header {
            signed.headers.insert(name, header_value(id)?);
        }
        Ok(())
    }
}

/// Returns the credentials after the name of an authentication scheme, which is compared without case.
pub(crate) fn after_auth_scheme<'v>(value: &'v [u8], scheme: &[u8]) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    (start.eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ')).then(|| rest.trim_ascii_start())
}
