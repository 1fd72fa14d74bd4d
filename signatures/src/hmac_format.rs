//! The one description of every scheme that signs with a keyed hash, and how a configuration writes it:
//!
//! | key | meaning |
//! |---|---|
//! | `algorithm` | `sha256` (default) or `sha512` |
//! | `encoding` | of the signature: `hex` (default) or `base64` |
//! | `key_encoding` | how the secret is written: `utf8` (default, its bytes are the key), `base64` or `hex` |
//! | `key_prefix` | what stands before the encoded key in the secret, if it is there |
//! | `signature_header` | the header of the signature, or several |
//! | `separator` | what stands between several signatures in one header |
//! | `item_prefix` | what stands before a signature; items with another prefix are ignored |
//! | `ed25519_prefix` | what stands before an ed25519 signature over the same text; the key is a secret `whpk_…` |
//! | `timestamp_header`, or `timestamp_prefix` of an item | where the time of signing stands |
//! | `timestamp_unit` | `s` (default), `ms` or `rfc3339` |
//! | `id_header` | the header of the sender's id of the delivery, by which repeats are told |
//! | `template` | what is signed: `{timestamp}`, `{id}`, `{body}` and any text between; default `{body}` |
//! | `tolerance` | how far the time of signing may be from now; default `5m` |
//!
//! Of several signature headers that share a time and an id, each may hold a signature. Where `timestamp_header` or
//! `id_header` has as many names, each belongs to the signature header in the same place, and they are never mixed.

use crate::declaration::{Keys, Mistake};
use crate::timestamp::Unit;
use crate::value::Format;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderName;

const TOLERANCE_S: i64 = 300;
/// Secrets that somebody typed may lack the padding.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The hash that is keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha256,
    Sha512,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Hex,
    Base64,
}

/// A piece of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Timestamp,
    Id,
    Body,
    Text(String),
}

/// Headers that belong together.
#[derive(Clone, Debug)]
pub(crate) struct HeaderSet {
    pub signatures: Vec<HeaderName>,
    pub timestamp: Option<HeaderName>,
    pub id: Option<HeaderName>,
}

/// How one vendor signs.
#[derive(Clone, Debug)]
pub(crate) struct HmacRule {
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    pub key_encoding: Encoding,
    pub key_prefix: String,
    pub header_sets: Vec<HeaderSet>,
    pub format: Format,
    pub unit: Unit,
    pub template: Vec<Part>,
    pub tolerance_s: i64,
}

impl HmacRule {
    pub fn from_keys(keys: &Keys) -> Result<Self, Mistake> {
        let text = |key: &str| Ok(keys.text(key)?.map(str::to_owned));
        let format = Format {
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
        let rule = Self {
            algorithm: keys.word("algorithm", &[("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)])?,
            encoding: keys.word("encoding", &[("hex", Encoding::Hex), ("base64", Encoding::Base64)])?,
            key_encoding: keys.word(
                "key_encoding",
                &[("utf8", Encoding::Utf8), ("base64", Encoding::Base64), ("hex", Encoding::Hex)],
            )?,
            key_prefix: text("key_prefix")?.unwrap_or_default(),
            unit: keys.word(
                "timestamp_unit",
                &[("s", Unit::Seconds), ("ms", Unit::Milliseconds), ("rfc3339", Unit::Rfc3339)],
            )?,
            template: template(match keys.text("template_with_timestamp")? {
                Some(template) if in_header && !keys.is_declared("template") => template,
                _ => keys.text("template")?.unwrap_or("{body}"),
            })?,
            tolerance_s: keys.seconds("tolerance", TOLERANCE_S)?,
            header_sets,
            format,
        };
        rule.refuse_contradictions(in_header)?;
        Ok(rule)
    }

    fn refuse_contradictions(&self, in_header: bool) -> Result<(), Mistake> {
        let count = |part: &Part| self.template.iter().filter(|other| *other == part).count();
        let in_value = self.format.timestamp_prefix.is_some();
        let problem = match () {
            () if count(&Part::Body) != 1 => "`template` has to contain {body} once",
            () if in_header && in_value => {
                "the time stands in a `timestamp_header` or after a `timestamp_prefix`, not both"
            }
            () if (in_header || in_value) && count(&Part::Timestamp) == 0 => {
                "`template` has to contain {timestamp}: a time that is not signed proves nothing"
            }
            () if !in_header && !in_value && count(&Part::Timestamp) > 0 => {
                "`template` contains {timestamp}; say where it stands with `timestamp_header` or `timestamp_prefix`"
            }
            () if count(&Part::Id) > 0 && self.header_sets.iter().any(|set| set.id.is_none()) => {
                "`template` contains {id}; say where it stands with `id_header`"
            }
            () if in_value && self.format.separator.is_none() => "`timestamp_prefix` needs a `separator`",
            () => return Ok(()),
        };
        Err(Mistake::new(problem))
    }

    pub fn signature_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.header_sets.iter().flat_map(|set| &set.signatures)
    }

    /// Whether the time of signing is signed along.
    pub fn is_timed(&self) -> bool {
        self.template.contains(&Part::Timestamp)
    }

    pub fn signs_id(&self) -> bool {
        self.template.contains(&Part::Id)
    }
}

fn header_sets(keys: &Keys) -> Result<Vec<HeaderSet>, Mistake> {
    let signatures = keys.headers("signature_header")?;
    if signatures.is_empty() {
        return Err(Mistake::new("it needs a `signature_header`, such as X-Signature"));
    }
    let beside = |key: &str| {
        let names = keys.headers(key)?;
        match names.len() {
            0 => Ok(vec![None; signatures.len()]),
            1 => Ok(vec![names.into_iter().next(); signatures.len()]),
            count if count == signatures.len() => Ok(names.into_iter().map(Some).collect()),
            count => Err(Mistake::new(format!(
                "`{key}` has {count} names and `signature_header` {}; write one for all or one for each",
                signatures.len()
            ))),
        }
    };
    let (timestamps, ids) = (beside("timestamp_header")?, beside("id_header")?);
    let mut sets: Vec<HeaderSet> = Vec::new();
    for ((signature, timestamp), id) in signatures.iter().cloned().zip(timestamps).zip(ids) {
        match sets.iter_mut().find(|set| set.timestamp == timestamp && set.id == id) {
            Some(set) => set.signatures.push(signature),
            None => sets.push(HeaderSet { signatures: vec![signature], timestamp, id }),
        }
    }
    Ok(sets)
}

fn template(text: &str) -> Result<Vec<Part>, Mistake> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find('{').unwrap_or(rest.len());
        if start > 0 {
            parts.push(Part::Text(rest[..start].to_owned()));
            rest = &rest[start..];
            continue;
        }
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        parts.push(match &rest[..end] {
            "{timestamp}" => Part::Timestamp,
            "{id}" => Part::Id,
            "{body}" => Part::Body,
            other => {
                return Err(Mistake::new(format!(
                    "`template`: `{other}` is not one of: {{timestamp}}, {{id}}, {{body}}"
                )));
            }
        });
        rest = &rest[end..];
    }
    Ok(parts)
}

impl Encoding {
    /// The bytes that a secret stands for.
    pub fn key(self, text: &str) -> Result<Vec<u8>, Mistake> {
        match self {
            Self::Utf8 => Ok(text.as_bytes().to_vec()),
            Self::Hex => hex::decode(text).map_err(|_| Mistake::new("the secret is not hexadecimal")),
            Self::Base64 => BASE64.decode(text).map_err(|_| Mistake::new("the secret is not base64")),
        }
    }

    /// Decodes exactly as many bytes as there is room for.
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
