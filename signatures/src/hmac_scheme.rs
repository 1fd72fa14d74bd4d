//! HMAC schemes with the keys of one source: verification, and signing as the sender would.
//!
//! Verification allocates nothing unless the sender sends a delivery id or an ed25519 signature.

use crate::declaration::DeclarationError;
use crate::headers::{at_most_one, delivery_id, header_value, is_unambiguous};
use crate::hmac_format::{Encoding, HeaderSet, HmacFormat, SignedValue, TemplateSegment};
use crate::hmac_key::{HMAC_BYTES_MAX, HmacKey, PublicKey, SignedContent, VerifyingKey};
use crate::request::{Identity, Request, SignError, SignatureError, Signed, Verification, VerifyError};
use crate::secret::Secret;
use crate::signature_items::{ItemList, Items, TooManyItems};
use http::HeaderName;

const ED25519_BYTES: usize = 64;

pub(crate) struct HmacScheme {
    pub format: HmacFormat,
    keys: Vec<HmacKey>,
}

impl HmacScheme {
    pub fn new(format: HmacFormat, secrets: &[Secret]) -> Result<Self, DeclarationError> {
        let keys = secrets.iter().map(|secret| HmacKey::new(&format, secret)).collect::<Result<_, _>>()?;
        Ok(Self { format, keys })
    }

    pub fn shortest_key_bytes(&self) -> Option<usize> {
        self.keys.iter().filter_map(|key| key.secret_bytes).min()
    }

    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        let mut items = Items::default();
        let mut present = None;
        for set in &self.format.header_sets {
            for name in &set.signatures {
                if let Some(text) = at_most_one(request.headers, name)? {
                    let form = |TooManyItems| SignatureError::HeaderForm(name.clone());
                    items.read(text, &self.format.items).map_err(form)?;
                    present = Some(set);
                }
            }
            if present.is_some() {
                break;
            }
        }
        let first = || self.format.header_sets[0].signatures[0].clone();
        let set: &HeaderSet = present.ok_or_else(|| SignatureError::HeaderMissing(first()))?;
        if items.hmacs.is_empty() && items.ed25519.is_empty() {
            return Err(SignatureError::HeaderForm(set.signatures[0].clone()).into());
        }
        if let Some(name) = &set.timestamp {
            items.timestamp = at_most_one(request.headers, name)?;
        }
        let id = match &set.id {
            Some(name) => delivery_id(request.headers, name)?,
            None => None,
        };
        if self.format.signs_id() && !id.is_some_and(is_unambiguous) {
            let error = if id.is_some() { SignatureError::HeaderForm } else { SignatureError::HeaderMissing };
            return Err(error(set.id_header().clone()).into());
        }
        let timestamp = match (self.format.is_timed(), items.timestamp) {
            (true, None) => return Err(set.timestamp_missing().into()),
            (true, timestamp) => timestamp,
            (false, _) => None,
        };
        let content =
            SignedContent { timestamp: timestamp.unwrap_or_default(), id: id.unwrap_or_default(), body: request.body };
        let secret = self.find_key(&items, content, |key| key.is_live(request.now_ms)).ok_or_else(|| {
            let expired = self.find_key(&items, content, |key| !key.is_live(request.now_ms));
            expired.map_or(SignatureError::Wrong, |_| SignatureError::SecretExpired)
        })?;
        let signed_at = match timestamp {
            Some(text) => {
                let signed_at_ms = self.format.unit.parse(text);
                let form = || SignatureError::HeaderForm(set.timestamp_header().clone());
                let signed_at_ms = signed_at_ms.ok_or_else(form)?;
                Some(check_age(signed_at_ms, request.now_ms, self.format.tolerance_s)?)
            }
            None => None,
        };
        let identity = match (id, signed_at) {
            (Some(id), _) if self.format.signs_id() => Identity::delivery(id),
            (Some(id), signed_at) => {
                Identity::UnsignedDelivery { id: String::from_utf8_lossy(id).into_owned(), signed_at }
            }
            (None, Some(at)) => Identity::SignedAt(at),
            (None, None) => Identity::Body,
        };
        Ok(Verification { identity, secret })
    }

    /// Returns the index of the first selected key that made one of the signatures. Every selected key and every HMAC is
    /// compared, also after a match, so that the time taken does not show which one matched.
    fn find_key(&self, items: &Items, content: SignedContent, is_selected: impl Fn(&HmacKey) -> bool) -> Option<usize> {
        let mut found = None;
        for (index, key) in self.keys.iter().enumerate().filter(|(_, key)| is_selected(key)) {
            // A request without a signature of this kind costs no computation.
            let matches = match &key.key {
                VerifyingKey::Ed25519(key) => {
                    !items.ed25519.is_empty() && self.any_ed25519_matches(key, &items.ed25519, content)
                }
                key => !items.hmacs.is_empty() && self.any_hmac_matches(key, &items.hmacs, content),
            };
            if matches && found.is_none() {
                found = Some(index);
            }
        }
        found
    }

    fn any_hmac_matches(&self, key: &VerifyingKey, hmacs: &ItemList, content: SignedContent) -> bool {
        let Some(expected) = key.hmac(&self.format.template, content) else { return false };
        let mut bytes = [0; HMAC_BYTES_MAX];
        let bytes = &mut bytes[..expected.bytes().len()];
        hmacs
            .iter()
            .fold(false, |matched, item| matched | (self.format.encoding.decode(item, bytes) && expected.equals(bytes)))
    }

    fn any_ed25519_matches(&self, key: &PublicKey, signatures: &ItemList, content: SignedContent) -> bool {
        let message: Vec<u8> =
            self.format.template.iter().flat_map(|segment| content.bytes_of(segment)).copied().collect();
        let mut bytes = [0; ED25519_BYTES];
        signatures.iter().any(|item| Encoding::Base64.decode(item, &mut bytes) && key.verify(&message, &bytes).is_ok())
    }

    /// Adds the headers that the sender would send, with the first live secret key.
    pub fn sign(&self, signed: &mut Signed, now_ms: i64, id: &str) -> Result<(), SignError> {
        let secret_keys = || self.keys.iter().filter(|key| key.secret_bytes.is_some());
        let key = secret_keys().find(|key| key.is_live(now_ms));
        let missing = if secret_keys().next().is_some() { SignError::Expired } else { SignError::NoKey };
        let key = key.ok_or(missing)?;
        let (format, set) = (&self.format, &self.format.header_sets[0]);
        let timestamp = format.unit.format(now_ms);
        let content = SignedContent { timestamp: timestamp.as_bytes(), id: id.as_bytes(), body: &signed.body };
        let mut value = self.item(key, content).ok_or(SignError::NoKey)?;
        if let (Some(prefix), Some(separator)) = (&format.items.timestamp_prefix, &format.items.separator) {
            value = format!("{prefix}{timestamp}{separator}{value}");
        }
        let mut add = |name: &HeaderName, value: &str| {
            signed.headers.insert(name, header_value(value)?);
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

    /// Returns the signatures of all secret keys, expired or not, as one header value.
    pub fn sign_with_all(&self, content: SignedContent) -> String {
        let items: Vec<String> = self.keys.iter().filter_map(|key| self.item(key, content)).collect();
        items.join(self.format.items.separator.as_deref().unwrap_or_default())
    }

    /// Returns one signature with its prefix; `None` for a public key.
    fn item(&self, key: &HmacKey, content: SignedContent) -> Option<String> {
        let hmac = key.key.hmac(&self.format.template, content)?;
        Some(format!("{}{}", self.format.items.prefixes[0], self.format.encoding.encode(hmac.bytes())))
    }

    pub fn hmac(&self, secret: usize, text: &[u8]) -> Option<String> {
        let content = SignedContent { timestamp: b"", id: b"", body: text };
        let hmac = self.keys.get(secret)?.key.hmac(&[TemplateSegment::Value(SignedValue::Body)], content)?;
        Some(self.format.encoding.encode(hmac.bytes()))
    }
}

/// Returns the signing time if it is near enough to now. Whole seconds are compared, because most senders send no
/// fraction.
pub(crate) fn check_age(signed_at_ms: i64, now_ms: i64, tolerance_s: i64) -> Result<i64, VerifyError> {
    let age_s = now_ms.div_euclid(1000).saturating_sub(signed_at_ms.div_euclid(1000));
    match age_s {
        age_s if age_s > tolerance_s => Err(VerifyError::Expired { tolerance_s, age_s }),
        age_s if age_s < -tolerance_s => Err(VerifyError::Future { tolerance_s, ahead_s: age_s.saturating_neg() }),
        _ => Ok(signed_at_ms),
    }
}
