//! Secrets that the sender sends as they are: in a header of its own, as a password, as a token, in the URL.

use crate::declaration::{Keys, Mistake};
use crate::presets::Family;
use crate::secret::{Secret, Shared};
use crate::{CannotSign, Distrust, Identity, Proof, Request, Signed, at_most_one, delivery_id};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

pub(crate) struct SharedSecret {
    place: Place,
    secrets: Shared,
    id_header: Option<HeaderName>,
}

/// Where the secret stands.
enum Place {
    Header {
        name: HeaderName,
        prefix: String,
    },
    /// As `user:password` in base64.
    Basic,
    Bearer,
    Url,
}

impl SharedSecret {
    pub fn new(family: Family, keys: &Keys, secrets: &[Secret]) -> Result<Self, Mistake> {
        let place = match family {
            Family::Basic => Place::Basic,
            Family::Bearer => Place::Bearer,
            Family::UrlToken => Place::Url,
            _ => Place::Header {
                name: keys.header("header")?.ok_or_else(|| {
                    Mistake::new("it needs a `header`, the one in which the sender puts the secret, such as X-Key")
                })?,
                prefix: keys.text("prefix")?.unwrap_or_default().to_owned(),
            },
        };
        if matches!(place, Place::Basic) && secrets.iter().any(|secret| !secret.expose().contains(':')) {
            return Err(Mistake::new("the secret of scheme `basic` is written `user:password`"));
        }
        Ok(Self { place, secrets: Shared::of(secrets), id_header: keys.header("id_header")? })
    }

    /// The user's name of scheme `basic` is no secret.
    pub fn shortest_secret(&self) -> Option<usize> {
        match self.place {
            Place::Basic => {
                self.secrets.iter().filter_map(|text| text.split_once(':')).map(|(_, password)| password.len()).min()
            }
            _ => self.secrets.shortest(),
        }
    }

    pub fn header(&self) -> Option<&HeaderName> {
        match &self.place {
            Place::Header { name, .. } => Some(name),
            Place::Basic | Place::Bearer => Some(&AUTHORIZATION),
            Place::Url => None,
        }
    }

    pub fn verify(&self, request: &Request) -> Result<Proof, Distrust> {
        let value = match self.header() {
            Some(name) => at_most_one(request.headers, name)?,
            None => request.token.map(str::as_bytes),
        };
        let value = value.ok_or(Distrust::Signature)?;
        let decoded;
        let given = match &self.place {
            Place::Url => value,
            Place::Header { prefix, .. } => value.strip_prefix(prefix.as_bytes()).ok_or(Distrust::Signature)?,
            Place::Bearer => after_word(value, b"bearer").ok_or(Distrust::Signature)?,
            Place::Basic => {
                let encoded = after_word(value, b"basic").ok_or(Distrust::Signature)?;
                decoded = STANDARD.decode(encoded).map_err(|_| Distrust::Signature)?;
                &decoded[..]
            }
        };
        let secret = self.secrets.find(given, request.now_ms).ok_or(Distrust::Signature)?;
        let id = match &self.id_header {
            Some(name) => delivery_id(request.headers, name)?,
            None => None,
        };
        Ok(Proof { identity: id.map_or(Identity::Body, Identity::delivery), secret })
    }

    pub fn sign(&self, signed: &mut Signed, now_ms: i64, id: &str) -> Result<(), CannotSign> {
        let secret = self.secrets.live(now_ms)?;
        let value = match &self.place {
            Place::Url => {
                signed.token = Some(secret.to_owned());
                None
            }
            Place::Header { prefix, .. } => Some(format!("{prefix}{secret}")),
            Place::Bearer => Some(format!("Bearer {secret}")),
            Place::Basic => Some(format!("Basic {}", STANDARD.encode(secret))),
        };
        let header = |text: &str| HeaderValue::from_str(text).map_err(|_| CannotSign::NoHeader);
        if let (Some(name), Some(value)) = (self.header(), value) {
            signed.headers.insert(name, header(&value)?);
        }
        if let Some(name) = &self.id_header {
            signed.headers.insert(name, header(id)?);
        }
        Ok(())
    }
}

/// What follows a word that is written in any case, and white space.
fn after_word<'v>(value: &'v [u8], word: &[u8]) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(word.len())?;
    (start.eq_ignore_ascii_case(word) && rest.first() == Some(&b' ')).then(|| rest.trim_ascii_start())
}
