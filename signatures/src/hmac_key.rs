//! One secret of a scheme with a keyed hash, ready to use: the hash has taken in the key already.

use crate::declaration::Mistake;
use crate::hmac_rule::{Algorithm, Encoding, HmacRule, Part};
use crate::secret::Secret;
use constant_time_eq::constant_time_eq;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Sha256, Sha512};

/// The longest keyed hash.
pub(crate) const HASH_BYTES_MAX: usize = 64;
/// How a public key is told from a secret one.
const PUBLIC_KEY_PREFIX: &str = "whpk_";
const PUBLIC_KEY_BYTES: usize = 32;

pub(crate) struct HmacKey {
    pub key: Key,
    /// What somebody who does not know it has to guess; nothing of a public key.
    pub secret_bytes: Option<usize>,
    /// The secret that it was made of.
    secret: Secret,
}

#[allow(clippy::large_enum_variant, reason = "nearly all of them are of the larger kinds")]
pub(crate) enum Key {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Ed25519(PublicKey),
}

/// The public half of an ed25519 key.
pub(crate) type PublicKey = UnparsedPublicKey<Vec<u8>>;

/// What of a request is signed besides the rule's own text.
#[derive(Clone, Copy)]
pub(crate) struct Signable<'r> {
    pub timestamp: &'r [u8],
    pub id: &'r [u8],
    pub body: &'r [u8],
}

/// A keyed hash.
pub(crate) struct Hash {
    bytes: [u8; HASH_BYTES_MAX],
    length: usize,
}

impl HmacKey {
    pub fn new(rule: &HmacRule, secret: &Secret) -> Result<Self, Mistake> {
        let public = secret.expose().strip_prefix(PUBLIC_KEY_PREFIX).filter(|_| rule.format.ed25519_prefix.is_some());
        if let Some(encoded) = public {
            let key = Encoding::Base64.key(encoded)?;
            if key.len() != PUBLIC_KEY_BYTES {
                let text = format!("the public key has {} bytes; ed25519 has {PUBLIC_KEY_BYTES}", key.len());
                return Err(Mistake::new(text));
            }
            let key = Key::Ed25519(UnparsedPublicKey::new(&ED25519, key));
            return Ok(Self { key, secret_bytes: None, secret: secret.clone() });
        }
        let text = secret.expose();
        let bytes = rule.key_encoding.key(text.strip_prefix(rule.key_prefix.as_str()).unwrap_or(text))?;
        let impossible = |_| Mistake::new("the secret cannot be a key");
        let key = match rule.algorithm {
            Algorithm::Sha256 => Key::Sha256(Hmac::new_from_slice(&bytes).map_err(impossible)?),
            Algorithm::Sha512 => Key::Sha512(Hmac::new_from_slice(&bytes).map_err(impossible)?),
        };
        Ok(Self { key, secret_bytes: Some(bytes.len()), secret: secret.clone() })
    }

    pub fn is_live(&self, now_ms: i64) -> bool {
        self.secret.is_live(now_ms)
    }
}

impl Key {
    /// The keyed hash of what is signed; none of a public key.
    pub fn hash(&self, template: &[Part], signed: Signable) -> Option<Hash> {
        fn finish<M: Mac + Clone>(keyed: &M, template: &[Part], signed: Signable) -> Hash {
            let mut mac = keyed.clone();
            template.iter().for_each(|part| mac.update(signed.part(part)));
            let digest = mac.finalize().into_bytes();
            let mut hash = Hash { bytes: [0; HASH_BYTES_MAX], length: digest.len() };
            hash.bytes[..digest.len()].copy_from_slice(&digest);
            hash
        }
        match self {
            Self::Sha256(keyed) => Some(finish(keyed, template, signed)),
            Self::Sha512(keyed) => Some(finish(keyed, template, signed)),
            Self::Ed25519(_) => None,
        }
    }
}

impl Signable<'_> {
    /// The bytes of a part of the template.
    pub fn part<'s>(&'s self, part: &'s Part) -> &'s [u8] {
        match part {
            Part::Timestamp => self.timestamp,
            Part::Id => self.id,
            Part::Body => self.body,
            Part::Text(text) => text.as_bytes(),
        }
    }
}

impl Hash {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Compared in a time that tells nothing.
    pub fn is(&self, other: &[u8]) -> bool {
        constant_time_eq(self.bytes(), other)
    }
}
