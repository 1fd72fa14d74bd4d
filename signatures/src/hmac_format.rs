//! The description that all schemes with an HMAC share, and the keys by which a configuration writes it:
//!
//! | key | meaning |
//! |---|---|
//! | `algorithm` | `sha256` (default) or `sha512` |
//! | `encoding` | encoding of the signature: `hex` (default) or `base64` |
//! | `key_encoding` | encoding of the secret: `utf8` (default, the text's bytes are the key), `base64` or `hex` |
//! | `key_prefix` | prefix of the secret that is not part of the encoded key; may be missing |
//! | `key_template` | the key of one request, if it is not the secret alone: `{secret}`, `{timestamp}`, `{id}` and any text between |
//! | `signature_header` | the header of the signature, or several |
//! | `separator` | text between several signatures in one header |
//! | `item_prefix` | prefix of a signature; items with another prefix are ignored |
//! | `ed25519_prefix` | prefix of an ed25519 signature over the same content; its key is a secret `whpk_…` |
//! | `timestamp_header`, or `timestamp_prefix` of an item | position of the signing time |
//! | `timestamp_unit` | `s` (default), `ms`, `rfc3339`, `compact` (20260131T080000), or `any` of the first three |
//! | `id_header` | header of the sender's delivery id, by which repeats are recognised |
//! | `template` | the signed content: `{timestamp}`, `{id}`, `{body}` and any text between; default `{body}` |
//! | `tolerance` | largest difference between the signing time and now; default `5m` |
//!
//! Signature headers that share a timestamp and an id header may each hold a signature. Where `timestamp_header` or
//! `id_header` has as many names as `signature_header`, each name belongs to the signature header at the same index, and
//! headers of different sets are never combined.

use crate::declaration::{DeclarationError, Keys};
use crate::request::SignatureError;
use crate::signature_items::ItemFormat;
use crate::template::{Segment, parse};
use crate::timestamp::Unit;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderName;

const TOLERANCE_S: i64 = 300;
/// The values that a template may name.
const CONTENT: &[(&str, SignedValue)] =
    &[("timestamp", SignedValue::Timestamp), ("id", SignedValue::Id), ("body", SignedValue::Body)];
const KEY: &[(&str, SignedValue)] =
    &[("timestamp", SignedValue::Timestamp), ("id", SignedValue::Id), ("secret", SignedValue::Secret)];
/// Decodes base64 with or without padding, because typed secrets may lack it.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The hash function of the HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha256,
    Sha512,
}

/// The encoding of bytes as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Hex,
    Base64,
}

/// A value that a template names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignedValue {
    Timestamp,
    Id,
    Body,
    /// The secret, in the template of a key only.
    Secret,
}

/// One piece of a template.
pub(crate) type TemplateSegment = Segment<SignedValue>;

/// Headers that belong together. Values from different sets are never combined.
#[derive(Clone, Debug)]
pub(crate) struct HeaderSet {
    pub signatures: Vec<HeaderName>,
    pub timestamp: Option<HeaderName>,
    pub id: Option<HeaderName>,
}

impl HeaderSet {
    /// Returns the header with the signing time, which is the first one with a signature if that has an item for it.
    pub fn timestamp_header(&self) -> &HeaderName {
        self.timestamp.as_ref().unwrap_or(&self.signatures[0])
    }

    /// Returns the header with the delivery id, or the first one with a signature if the scheme has no id.
    pub fn id_header(&self) -> &HeaderName {
        self.id.as_ref().unwrap_or(&self.signatures[0])
    }

    /// Returns the reason why a request without a signing time is refused.
    pub fn timestamp_missing(&self) -> SignatureError {
        match &self.timestamp {
            Some(name) => SignatureError::HeaderMissing(name.clone()),
            None => SignatureError::HeaderForm(self.signatures[0].clone()),
        }
    }
}

/// The way in which one vendor signs.
#[derive(Clone, Debug)]
pub(crate) struct HmacFormat {
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    pub key_encoding: Encoding,
    pub key_prefix: String,
    /// The template of the key; `None` if the key is the secret.
    pub key_template: Option<Vec<TemplateSegment>>,
    pub header_sets: Vec<HeaderSet>,
    pub items: ItemFormat,
    pub unit: Unit,
    pub template: Vec<TemplateSegment>,
    pub tolerance_s: i64,
}

impl HmacFormat {
    pub fn from_keys(keys: &Keys) -> Result<Self, DeclarationError> {
        let text = |key: &str| Ok(keys.text(key)?.map(str::to_owned));
        let items = ItemFormat {
            separator: text("separator")?.filter(|text| !text.is_empty()),
            prefixes: match keys.list("item_prefix") {
                prefixes if prefixes.is_empty() => vec![String::new()],
                prefixes => prefixes.into_iter().map(str::to_owned).collect(),
            },
            ed25519_prefix: text("ed25519_prefix")?,
            timestamp_prefix: text("timestamp_prefix")?,
        };
        let header_sets = header_sets(keys)?;
        let in_header = !keys.list("timestamp_header").is_empty();
        let format = Self {
            algorithm: keys.choice("algorithm", &[("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)])?,
            encoding: keys.choice("encoding", &[("hex", Encoding::Hex), ("base64", Encoding::Base64)])?,
            key_encoding: keys.choice(
                "key_encoding",
                &[("utf8", Encoding::Utf8), ("base64", Encoding::Base64), ("hex", Encoding::Hex)],
            )?,
            key_prefix: text("key_prefix")?.unwrap_or_default(),
            unit: keys.choice(
                "timestamp_unit",
                &[
                    ("s", Unit::Seconds),
                    ("ms", Unit::Milliseconds),
                    ("rfc3339", Unit::Rfc3339),
                    ("compact", Unit::Compact),
                    ("any", Unit::Any),
                ],
            )?,
            template: parse(
                "template",
                match keys.text("template_with_timestamp")? {
                    Some(template) if in_header && !keys.is_declared("template") => template,
                    _ => keys.text("template")?.unwrap_or("{body}"),
                },
                CONTENT,
            )?,
            key_template: keys.text("key_template")?.map(|text| parse("key_template", text, KEY)).transpose()?,
            tolerance_s: keys.seconds("tolerance", TOLERANCE_S)?,
            header_sets,
            items,
        };
        format.refuse_contradictions(in_header)?;
        Ok(format)
    }

    fn refuse_contradictions(&self, in_header: bool) -> Result<(), DeclarationError> {
        let count = |template: &[TemplateSegment], value| {
            template.iter().filter(|segment| **segment == Segment::Value(value)).count()
        };
        let in_value = self.items.timestamp_prefix.is_some();
        let problem = match () {
            () if count(&self.template, SignedValue::Body) != 1 => "`template` must contain {body} once",
            () if self.key_template.as_ref().is_some_and(|key| count(key, SignedValue::Secret) != 1) => {
                "`key_template` must contain {secret} once"
            }
            () if in_header && in_value => "set either `timestamp_header` or `timestamp_prefix`, not both",
            () if (in_header || in_value) && !self.is_timed() => {
                "`template` must contain {timestamp}: a time that is not signed proves nothing"
            }
            () if !in_header && !in_value && self.is_timed() => {
                "the template contains {timestamp}; also set `timestamp_header` or `timestamp_prefix`"
            }
            () if self.signs_id() && self.header_sets.iter().any(|set| set.id.is_none()) => {
                "the template contains {id}; also set `id_header`"
            }
            () if in_value && self.items.separator.is_none() => "`timestamp_prefix` needs a `separator`",
            () => return Ok(()),
        };
        Err(DeclarationError::new(problem))
    }

    pub fn signature_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.header_sets.iter().flat_map(|set| &set.signatures)
    }

    /// Returns whether the signing time is part of the signed content or of the key.
    pub fn is_timed(&self) -> bool {
        self.signs(SignedValue::Timestamp)
    }

    /// Returns whether the delivery id is part of the signed content or of the key.
    pub fn signs_id(&self) -> bool {
        self.signs(SignedValue::Id)
    }

    fn signs(&self, value: SignedValue) -> bool {
        let segment = Segment::Value(value);
        self.template.contains(&segment) || self.key_template.as_ref().is_some_and(|key| key.contains(&segment))
    }
}

fn header_sets(keys: &Keys) -> Result<Vec<HeaderSet>, DeclarationError> {
    let signatures = keys.headers("signature_header")?;
    if signatures.is_empty() {
        return Err(DeclarationError::new("the scheme needs a `signature_header`, such as X-Signature"));
    }
    let names_for = |key: &str| {
        let names = keys.headers(key)?;
        match names.len() {
            0 => Ok(vec![None; signatures.len()]),
            1 => Ok(vec![names.into_iter().next(); signatures.len()]),
            count if count == signatures.len() => Ok(names.into_iter().map(Some).collect()),
            count => Err(DeclarationError::new(format!(
                "`{key}` has {count} names but `signature_header` has {}; give one name for all or one for each",
                signatures.len()
            ))),
        }
    };
    let (timestamps, ids) = (names_for("timestamp_header")?, names_for("id_header")?);
    let mut sets: Vec<HeaderSet> = Vec::new();
    for ((signature, timestamp), id) in signatures.iter().cloned().zip(timestamps).zip(ids) {
        match sets.iter_mut().find(|set| set.timestamp == timestamp && set.id == id) {
            Some(set) => set.signatures.push(signature),
            None => sets.push(HeaderSet { signatures: vec![signature], timestamp, id }),
        }
    }
    Ok(sets)
}

impl Encoding {
    /// Decodes a secret into the bytes of its key.
    pub fn key(self, text: &str) -> Result<Vec<u8>, DeclarationError> {
        match self {
            Self::Utf8 => Ok(text.as_bytes().to_vec()),
            Self::Hex => hex::decode(text).map_err(|_| DeclarationError::new("the secret is not hexadecimal")),
            Self::Base64 => BASE64.decode(text).map_err(|_| DeclarationError::new("the secret is not base64")),
        }
    }

    /// Fills `bytes` from encoded text. Returns false unless the text encodes exactly as many bytes.
    pub fn decode(self, text: &[u8], bytes: &mut [u8]) -> bool {
        match self {
            Self::Hex | Self::Utf8 => hex::decode_to_slice(text, bytes).is_ok(),
            Self::Base64 => {
                let length = bytes.len();
                base64::engine::general_purpose::STANDARD.decode_slice(text, bytes) == Ok(length)
            }
        }
    }

    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex | Self::Utf8 => hex::encode(bytes),
            Self::Base64 => base64::engine::general_purpose::STANDARD.encode(bytes),
        }
    }
}
