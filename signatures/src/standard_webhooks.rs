//! [Standard Webhooks](https://www.standardwebhooks.com) for a sender that signs each message with all its secrets, so
//! that a receiver can verify with any one of these secrets during a rotation.

use crate::declaration::{Declaration, DeclarationError};
use crate::headers::header_value;
use crate::hmac_format::HmacFormat;
use crate::hmac_key::SignedContent;
use crate::hmac_scheme::HmacScheme;
use crate::request::{Request, SignError, Verification, VerifyError};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use std::fmt;
use std::ops::RangeInclusive;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
const SECRET_PREFIX: &str = "whsec_";
const KEY_BYTES: RangeInclusive<usize> = 24..=64;

/// The keys of one destination, for signing and verifying.
///
/// A [`crate::Scheme`] named `standard-webhooks` reads secrets in the forms that vendors use; the secrets here belong
/// to the operator and must follow the specification: `whsec_` and 24 to 64 bytes in padded base64.
pub struct StandardWebhooks(HmacScheme);

impl StandardWebhooks {
    /// Takes secrets of the form `whsec_…`.
    ///
    /// # Errors
    /// Returns an error if there is no secret, or one does not have this form. The text never contains a secret.
    pub fn new<S: AsRef<str>>(secrets: &[S]) -> Result<Self, DeclarationError> {
        if secrets.is_empty() {
            return Err(DeclarationError::new("Standard Webhooks needs at least one secret"));
        }
        let checked = |secret: &S| check(secret.as_ref()).map(|()| Secret::new(secret.as_ref().to_owned()));
        let secrets = secrets.iter().map(checked).collect::<Result<Vec<_>, _>>()?;
        let declaration = Declaration::preset("standard-webhooks");
        let (_, keys) = declaration.resolve()?;
        Ok(Self(HmacScheme::new(HmacFormat::from_keys(&keys)?, &secrets)?))
    }

    /// Returns the headers that identify a message, which are sent with or without a signature.
    ///
    /// # Errors
    /// Returns an error if a header cannot carry the id.
    pub fn unsigned_headers(id: &str, timestamp_s: i64) -> Result<HeaderMap, SignError> {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(ID, header_value(id)?);
        headers.insert(TIMESTAMP, timestamp_s.into());
        Ok(headers)
    }

    /// Returns the headers of a message. The signature is one `v1,<base64>` for each secret, separated by spaces.
    ///
    /// # Errors
    /// Returns an error if a header cannot carry the id.
    pub fn headers(&self, id: &str, timestamp_s: i64, body: &[u8]) -> Result<HeaderMap, SignError> {
        let mut headers = Self::unsigned_headers(id, timestamp_s)?;
        let timestamp = headers[TIMESTAMP].as_bytes();
        let signature = self.0.sign_with_all(SignedContent { timestamp, id: id.as_bytes(), body });
        headers.insert(SIGNATURE, header_value(&signature)?);
        Ok(headers)
    }

    /// Verifies a message as its receiver. One right signature among those of the header is enough.
    ///
    /// # Errors
    /// Returns an error if no secret made one of the signatures, or the message was signed more than 5 minutes before or
    /// after `now_ms`.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now_ms: i64) -> Result<Verification, VerifyError> {
        self.0.verify(&Request { headers, body, token: None, now_ms, fetched: None })
    }
}

/// Checks a secret of our own more strictly than one of a vendor.
fn check(secret: &str) -> Result<(), DeclarationError> {
    let help = "write `whsec_` and 24 to 64 random bytes in base64: `echo whsec_$(openssl rand -base64 32)`";
    let problem = |text: String| Err(DeclarationError::new(format!("{text}; {help}")));
    let Some(encoded) = secret.strip_prefix(SECRET_PREFIX) else {
        return problem("the secret does not begin with whsec_".into());
    };
    match STANDARD.decode(encoded) {
        Err(_) => problem("the secret is not base64 after whsec_".into()),
        Ok(key) if !KEY_BYTES.contains(&key.len()) => problem(format!("the secret has {} bytes", key.len())),
        Ok(_) => Ok(()),
    }
}

impl fmt::Debug for StandardWebhooks {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("StandardWebhooks")
    }
}
