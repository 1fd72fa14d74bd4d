//! A rule with a source's keys: verifies, and signs as the sender would. Verifying allocates nothing unless the sender
//! names an id or signs with ed25519.

use crate::declaration::Mistake;
use crate::hmac_key::{HASH_BYTES_MAX, HmacKey, Key, PublicKey, Signable};
use crate::hmac_rule::{Encoding, HeaderSet, HmacRule, Part};
use crate::secret::Secret;
use crate::value::{Few, Value};
use crate::{CannotSign, Distrust, Identity, Proof, Request, Signed, at_most_one, delivery_id};
use http::HeaderValue;

const ED25519_BYTES: usize = 64;

pub(crate) struct HmacScheme {
    pub rule: HmacRule,
    keys: Vec<HmacKey>,
}

impl HmacScheme {
    pub fn new(rule: HmacRule, secrets: &[Secret]) -> Result<Self, Mistake> {
        let keys = secrets.iter().map(|secret| HmacKey::new(&rule, secret)).collect::<Result<_, _>>()?;
        Ok(Self { rule, keys })
    }

    pub fn shortest_key(&self) -> Option<usize> {
        self.keys.iter().filter_map(|key| key.secret_bytes).min()
    }

    pub fn verify(&self, request: &Request) -> Result<Proof, Distrust> {
        let mut value = Value::default();
        let mut present = None;
        for set in &self.rule.header_sets {
            for name in &set.signatures {
                if let Some(text) = at_most_one(request.headers, name)? {
                    value.read(text, &self.rule.format)?;
                    present = Some(set);
                }
            }
            if present.is_some() {
                break;
            }
        }
        let set: &HeaderSet = present.ok_or(Distrust::Signature)?;
        if let Some(name) = &set.timestamp {
            value.timestamp = at_most_one(request.headers, name)?;
        }
        let id = match &set.id {
            Some(name) => delivery_id(request.headers, name)?,
            None => None,
        };
        if id.is_none() && self.rule.signs_id() {
            return Err(Distrust::Signature);
        }
        let timestamp = match (self.rule.is_timed(), value.timestamp) {
            (true, None) => return Err(Distrust::Signature),
            (true, timestamp) => timestamp,
            (false, _) => None,
        };
        let signed =
            Signable { timestamp: timestamp.unwrap_or_default(), id: id.unwrap_or_default(), body: request.body };
        let secret = self.find_key(&value, signed, request.now_ms).ok_or(Distrust::Signature)?;
        let signed_at = match timestamp {
            Some(text) => Some(self.check_age(self.rule.unit.read(text).ok_or(Distrust::Signature)?, request.now_ms)?),
            None => None,
        };
        let identity = match (id, signed_at) {
            (Some(id), _) => Identity::delivery(id),
            (None, Some(at)) => Identity::SignedAt(at),
            (None, None) => Identity::Body,
        };
        Ok(Proof { identity, secret })
    }

    /// The first live key that made one of the signatures. All keys and signatures are looked at, whatever came of those
    /// before.
    fn find_key(&self, value: &Value, signed: Signable, now_ms: i64) -> Option<usize> {
        let mut found = None;
        for (index, key) in self.keys.iter().enumerate().filter(|(_, key)| key.is_live(now_ms)) {
            // Without a signature there is nothing to compute for.
            let made_one = match &key.key {
                Key::Ed25519(key) => !value.ed25519.is_empty() && self.made_with(key, &value.ed25519, signed),
                key => !value.hashes.is_empty() && self.hashed_with(key, &value.hashes, signed),
            };
            if made_one && found.is_none() {
                found = Some(index);
            }
        }
        found
    }

    fn hashed_with(&self, key: &Key, hashes: &Few, signed: Signable) -> bool {
        let Some(hash) = key.hash(&self.rule.template, signed) else { return false };
        let mut bytes = [0; HASH_BYTES_MAX];
        let bytes = &mut bytes[..hash.bytes().len()];
        hashes.iter().fold(false, |is_one, item| is_one | (self.rule.encoding.decode(item, bytes) && hash.is(bytes)))
    }

    fn made_with(&self, key: &PublicKey, signatures: &Few, signed: Signable) -> bool {
        let message: Vec<u8> = self.rule.template.iter().flat_map(|part| signed.part(part)).copied().collect();
        let mut bytes = [0; ED25519_BYTES];
        signatures.iter().any(|item| Encoding::Base64.decode(item, &mut bytes) && key.verify(&message, &bytes).is_ok())
    }

    fn check_age(&self, signed_at_ms: i64, now_ms: i64) -> Result<i64, Distrust> {
        check_age(signed_at_ms, now_ms, self.rule.tolerance_s)
    }

    pub fn sign(&self, signed: &mut Signed, now_ms: i64, id: &str) -> Result<(), CannotSign> {
        let secret_keys = || self.keys.iter().filter(|key| key.secret_bytes.is_some());
        let key = secret_keys().find(|key| key.is_live(now_ms));
        let missing = if secret_keys().next().is_some() { CannotSign::Expired } else { CannotSign::NoKey };
        let key = key.ok_or(missing)?;
        let (rule, set) = (&self.rule, &self.rule.header_sets[0]);
        let timestamp = rule.unit.write(now_ms);
        let parts = Signable { timestamp: timestamp.as_bytes(), id: id.as_bytes(), body: &signed.body };
        let hash = key.key.hash(&rule.template, parts).ok_or(CannotSign::NoKey)?;
        let mut value = format!("{}{}", rule.format.prefixes[0], rule.encoding.encode(hash.bytes()));
        if let (Some(prefix), Some(separator)) = (&rule.format.timestamp_prefix, &rule.format.separator) {
            value = format!("{prefix}{timestamp}{separator}{value}");
        }
        let mut add = |name: &http::HeaderName, value: &str| {
            let value = HeaderValue::from_str(value).map_err(|_| CannotSign::NoHeader)?;
            signed.headers.insert(name, value);
            Ok(())
        };
        add(&set.signatures[0], &value)?;
        if let Some(name) = &set.timestamp {
            add(name, &timestamp)?;
        }
        if let Some(name) = &set.id {
            add(name, id)?;
        }
        Ok(())
    }

    pub fn keyed_hash(&self, secret: usize, text: &[u8]) -> Option<String> {
        let signed = Signable { timestamp: b"", id: b"", body: text };
        let hash = self.keys.get(secret)?.key.hash(&[Part::Body], signed)?;
        Some(self.rule.encoding.encode(hash.bytes()))
    }
}

/// A time of signing that is near enough to now. Whole seconds are compared: most senders write no more.
pub(crate) fn check_age(signed_at_ms: i64, now_ms: i64, tolerance_s: i64) -> Result<i64, Distrust> {
    let age_s = now_ms.div_euclid(1000).saturating_sub(signed_at_ms.div_euclid(1000));
    match age_s {
        age if age > tolerance_s => Err(Distrust::Expired(tolerance_s)),
        age if age < -tolerance_s => Err(Distrust::Future(tolerance_s)),
        _ => Ok(signed_at_ms),
    }
}
