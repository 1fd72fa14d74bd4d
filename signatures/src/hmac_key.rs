//! Keys of HMAC schemes, prepared once: the hash state has already absorbed the key.

use crate::declaration::DeclarationError;
use crate::hmac_format::{Algorithm, Encoding, HmacFormat, SignedValue, TemplateSegment};
use crate::secret::Secret;
use constant_time_eq::constant_time_eq;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Sha256, Sha512};

/// The length of the longest HMAC, that of SHA-512.
pub(crate) const HMAC_BYTES_MAX: usize = 64;
/// The prefix that distinguishes a public key from a secret one.
const PUBLIC_KEY_PREFIX: &str = "whpk_";
const PUBLIC_KEY_BYTES: usize = 32;

pub(crate) struct HmacKey {
    pub key: VerifyingKey,
    /// The number of bytes that an attacker has to guess; `None` for a public key.
    pub secret_bytes: Option<usize>,
    /// The secret that the key was made from.
    secret: Secret,
}

#[allow(clippy::large_enum_variant, reason = "nearly all keys are of the larger variants")]
pub(crate) enum VerifyingKey {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Ed25519(PublicKey),
    Templated(TemplatedKey),
}

/// A key that is made for each request, because values of the request are part of it.
pub(crate) struct TemplatedKey {
    algorithm: Algorithm,
    template: Vec<TemplateSegment>,
    secret: Vec<u8>,
}

/// The public half of an ed25519 key.
pub(crate) type PublicKey = UnparsedPublicKey<Vec<u8>>;

/// The values that a template puts together.
#[derive(Clone, Copy)]
pub(crate) struct SignedContent<'r> {
    pub timestamp: &'r [u8],
    pub id: &'r [u8],
    pub body: &'r [u8],
}

/// A computed HMAC.
pub(crate) struct HmacBytes {
    bytes: [u8; HMAC_BYTES_MAX],
    length: usize,
}

impl HmacKey {
    pub fn new(format: &HmacFormat, secret: &Secret) -> Result<Self, DeclarationError> {
        let public = secret.expose().strip_prefix(PUBLIC_KEY_PREFIX).filter(|_| format.items.ed25519_prefix.is_some());
        if let Some(encoded) = public {
            let key = Encoding::Base64.key(encoded)?;
            if key.len() != PUBLIC_KEY_BYTES {
                let text = format!("the public key has {} bytes; ed25519 keys have {PUBLIC_KEY_BYTES}", key.len());
                return Err(DeclarationError::new(text));
            }
            let key = VerifyingKey::Ed25519(UnparsedPublicKey::new(&ED25519, key));
            return Ok(Self { key, secret_bytes: None, secret: secret.clone() });
        }
        let text = secret.expose();
        let bytes = format.key_encoding.key(text.strip_prefix(format.key_prefix.as_str()).unwrap_or(text))?;
        let unusable = |_| DeclarationError::new("the secret cannot be used as a key");
        let secret_bytes = Some(bytes.len());
        let key = match (&format.key_template, format.algorithm) {
            (Some(template), algorithm) => {
                VerifyingKey::Templated(TemplatedKey { algorithm, template: template.clone(), secret: bytes })
            }
            (None, Algorithm::Sha256) => VerifyingKey::Sha256(Hmac::new_from_slice(&bytes).map_err(unusable)?),
            (None, Algorithm::Sha512) => VerifyingKey::Sha512(Hmac::new_from_slice(&bytes).map_err(unusable)?),
        };
        Ok(Self { key, secret_bytes, secret: secret.clone() })
    }

    pub fn is_live(&self, now_ms: i64) -> bool {
        self.secret.is_live(now_ms)
    }
}

impl VerifyingKey {
    /// Computes the HMAC of the signed content. Returns `None` for a public key.
    pub fn hmac(&self, template: &[TemplateSegment], content: SignedContent) -> Option<HmacBytes> {
        fn finish<M: Mac>(mut mac: M, template: &[TemplateSegment], content: SignedContent) -> HmacBytes {
            template.iter().for_each(|segment| mac.update(content.bytes_of(segment)));
            let computed = mac.finalize().into_bytes();
            let mut hmac = HmacBytes { bytes: [0; HMAC_BYTES_MAX], length: computed.len() };
            hmac.bytes[..computed.len()].copy_from_slice(&computed);
            hmac
        }
        match self {
            Self::Sha256(keyed) => Some(finish(keyed.clone(), template, content)),
            Self::Sha512(keyed) => Some(finish(keyed.clone(), template, content)),
            Self::Ed25519(_) => None,
            Self::Templated(key) => {
                let bytes = key.bytes(content);
                match key.algorithm {
                    Algorithm::Sha256 => Some(finish(Hmac::<Sha256>::new_from_slice(&bytes).ok()?, template, content)),
                    Algorithm::Sha512 => Some(finish(Hmac::<Sha512>::new_from_slice(&bytes).ok()?, template, content)),
                }
            }
        }
    }
}

impl TemplatedKey {
    fn bytes(&self, content: SignedContent) -> Vec<u8> {
        let segment_bytes = |segment| match segment {
            &TemplateSegment::Value(SignedValue::Secret) => &self.secret[..],
            segment => content.bytes_of(segment),
        };
        self.template.iter().map(segment_bytes).collect::<Vec<_>>().concat()
    }
}

impl SignedContent<'_> {
    /// Returns the bytes of a segment of a template. A template of signed content has no segment for the secret.
    pub fn bytes_of<'s>(&'s self, segment: &'s TemplateSegment) -> &'s [u8] {
        match segment {
            TemplateSegment::Value(SignedValue::Timestamp) => self.timestamp,
            TemplateSegment::Value(SignedValue::Id) => self.id,
            TemplateSegment::Value(SignedValue::Body) => self.body,
            TemplateSegment::Text(text) => text.as_bytes(),
            TemplateSegment::Value(SignedValue::Secret) => &[],
        }
    }
}

impl HmacBytes {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Compares in constant time.
    pub fn equals(&self, other: &[u8]) -> bool {
        constant_time_eq(self.bytes(), other)
    }
}
