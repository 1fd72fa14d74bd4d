//! Senders that sign as [Standard Webhooks](https://www.standardwebhooks.com) if the operator gave them a signing key, and
//! otherwise send a secret token in a header.
//!
//! A secret that begins with `whsec_` is a signing key. A request with a signature must pass its check if there is such a
//! key: a right token beside a wrong signature does not count.

use crate::declaration::{Declaration, DeclarationError, Keys};
use crate::hmac_format::HmacFormat;
use crate::hmac_scheme::HmacScheme;
use crate::presets::Family;
use crate::request::{Request, SignError, Signed, Verification, VerifyError};
use crate::secret::Secret;
use crate::shared_secret::SharedSecretScheme;
use http::HeaderName;

const SIGNING_KEY_PREFIX: &str = "whsec_";

pub(crate) struct SignatureOrToken {
    token: SharedSecretScheme,
    signature: Option<HmacScheme>,
    /// The index of each signing key among the secrets of the source.
    signing_keys: Vec<usize>,
}

impl SignatureOrToken {
    pub fn new(keys: &Keys, secrets: &[Secret]) -> Result<Self, DeclarationError> {
        let is_signing_key = |secret: &Secret| secret.expose().starts_with(SIGNING_KEY_PREFIX);
        let signing = secrets.iter().enumerate().filter(|(_, secret)| is_signing_key(secret));
        let (signing_keys, signing): (Vec<usize>, Vec<Secret>) =
            signing.map(|(index, secret)| (index, secret.clone())).unzip();
        let signature = match signing.is_empty() {
            true => None,
            false => {
                let standard_webhooks = Declaration::preset("standard-webhooks");
                let (_, keys) = standard_webhooks.resolve()?;
                Some(HmacScheme::new(HmacFormat::from_keys(&keys)?, &signing)?)
            }
        };
        Ok(Self { token: SharedSecretScheme::new(Family::Header, keys, secrets)?, signature, signing_keys })
    }

    pub fn shortest_secret_bytes(&self) -> Option<usize> {
        let signing = self.signature.as_ref().and_then(HmacScheme::shortest_key_bytes);
        signing.into_iter().chain(self.token.shortest_secret_bytes()).min()
    }

    pub fn tolerance_s(&self) -> Option<i64> {
        self.signature.as_ref().map(|signature| signature.format.tolerance_s)
    }

    pub fn is_secret_header(&self, header: &HeaderName) -> bool {
        let is_signature = |signature: &HmacScheme| signature.format.signature_headers().any(|name| name == header);
        self.token.header() == Some(header) || self.signature.as_ref().is_some_and(is_signature)
    }

    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        let has_signature = |signature: &&HmacScheme| {
            signature.format.signature_headers().any(|name| request.headers.contains_key(name))
        };
        match self.signature.as_ref().filter(has_signature) {
            Some(signature) => {
                let Verification { identity, secret } = signature.verify(request)?;
                Ok(Verification { identity, secret: self.signing_keys[secret] })
            }
            None => self.token.verify(request),
        }
    }

    /// Signs, or adds the token if no signing key is valid.
    pub fn sign(&self, signed: &mut Signed, now_ms: i64, id: &str) -> Result<(), SignError> {
        match self.signature.as_ref().map(|signature| signature.sign(signed, now_ms, id)) {
            None | Some(Err(SignError::Expired)) => self.token.sign(signed, now_ms, id),
            Some(result) => result,
        }
    }
}
