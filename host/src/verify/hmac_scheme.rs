//! Signatures that are a keyed hash: one description for every vendor that makes them.

use super::Distrust;
use crate::event::Identity;
use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// How one vendor signs: HMAC-SHA256 in hexadecimal over a template.
#[derive(Debug)]
pub struct HmacRule {
    /// The scheme's name in the configuration.
    pub name: &'static str,
    /// The header of the signature, in lower case.
    pub signature_header: &'static str,
    /// What stands before the hexadecimal digits.
    pub value_prefix: &'static str,
    /// The header of the time of signing in Unix seconds, in lower case.
    pub timestamp_header: &'static str,
    /// How far that time may be from now, in seconds, either way.
    pub tolerance_s: i64,
    /// What is signed, in order.
    pub template: &'static [Part],
}

/// A piece of what is signed.
#[derive(Debug)]
pub enum Part {
    /// The timestamp, as it stands in its header.
    Timestamp,
    /// The body, as it came over the wire.
    Body,
    /// These bytes.
    Text(&'static [u8]),
}

/// The schemes that are known by name.
pub static PRESETS: &[HmacRule] = &[HmacRule {
    name: "hookmill",
    signature_header: "x-webhook-signature",
    value_prefix: "sha256=",
    timestamp_header: "x-webhook-timestamp",
    tolerance_s: 300,
    template: &[Part::Timestamp, Part::Text(b"."), Part::Body],
}];

/// A rule with a source's key.
pub struct HmacScheme {
    rule: &'static HmacRule,
    keyed: Hmac<Sha256>,
}

impl HmacScheme {
    pub(super) fn new(rule: &'static HmacRule, secret: &[u8]) -> Self {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let keyed = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { rule, keyed }
    }

    pub(super) fn signature_header(&self) -> &str {
        self.rule.signature_header
    }

    /// What a sender puts into the signature header.
    pub fn sign(&self, timestamp: &str, body: &[u8]) -> String {
        let digest = self.mac(timestamp.as_bytes(), body).finalize().into_bytes();
        format!("{}{}", self.rule.value_prefix, hex::encode(digest))
    }

    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8], now_ms: i64) -> Result<Identity, Distrust> {
        let value = only(headers, self.rule.signature_header)?;
        let timestamp = only(headers, self.rule.timestamp_header)?;
        let digits = value.strip_prefix(self.rule.value_prefix.as_bytes()).ok_or(Distrust::Signature)?;
        let mut signature = [0; 32];
        hex::decode_to_slice(digits, &mut signature).map_err(|_| Distrust::Signature)?;
        self.mac(timestamp, body).verify_slice(&signature).map_err(|_| Distrust::Signature)?;
        let signed_at = unix_seconds(timestamp).ok_or(Distrust::Signature)?;
        let now = now_ms.div_euclid(1000);
        if now - signed_at > self.rule.tolerance_s {
            return Err(Distrust::Expired);
        }
        if signed_at - now > self.rule.tolerance_s {
            return Err(Distrust::Future);
        }
        Ok(Identity::SignedAt(signed_at))
    }

    fn mac(&self, timestamp: &[u8], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        for part in self.rule.template {
            mac.update(match part {
                Part::Timestamp => timestamp,
                Part::Body => body,
                Part::Text(text) => text,
            });
        }
        mac
    }
}

impl fmt::Debug for HmacScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "HmacScheme({})", self.rule.name)
    }
}

/// The value of a header that must be there once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h [u8], Distrust> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes().trim_ascii()),
        _ => Err(Distrust::Signature),
    }
}

/// Digits only, few enough not to overflow.
fn unix_seconds(text: &[u8]) -> Option<i64> {
    let plain = (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}
