//! [JSON Web Signatures](https://www.rfc-editor.org/rfc/rfc7515) in compact form, with public keys only: neither `none`
//! nor an HMAC exists here, so that no key is ever taken for one of another kind.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The characters of an unknown algorithm that are shown.
const SHOWN_CHARS_MAX: usize = 16;

/// An algorithm with a private key for signing and a public key for checking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwsAlgorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl JwsAlgorithm {
    pub const ALL: [(&'static str, Self); 3] = [("RS256", Self::Rs256), ("ES256", Self::Es256), ("EdDSA", Self::EdDsa)];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}

/// A token whose signature is not checked yet.
pub(crate) struct Jws<'t> {
    pub algorithm: JwsAlgorithm,
    /// The id of the key.
    pub kid: Option<String>,
    pub payload: Vec<u8>,
    /// The text that is signed: header and payload, encoded.
    pub signed: &'t [u8],
    pub signature: Vec<u8>,
}

/// The reason why a token cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JwsError {
    Form,
    /// The name of an algorithm that is not known.
    Algorithm(String),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that a receiver must understand. None is known here.
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl<'t> Jws<'t> {
    pub fn read(token: &'t [u8]) -> Result<Self, JwsError> {
        let signature_start = memchr::memrchr(b'.', token).ok_or(JwsError::Form)?;
        let signed = &token[..signature_start];
        let header_end = memchr::memchr(b'.', signed).ok_or(JwsError::Form)?;
        let decoded = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Form);
        let header: Header = serde_json::from_slice(&decoded(&signed[..header_end])?).map_err(|_| JwsError::Form)?;
        if header.crit.is_some() {
            return Err(JwsError::Form);
        }
        let shown = || header.alg.escape_debug().take(SHOWN_CHARS_MAX).collect();
        Ok(Self {
            algorithm: JwsAlgorithm::named(&header.alg).ok_or_else(|| JwsError::Algorithm(shown()))?,
            kid: header.kid,
            payload: decoded(&signed[header_end + 1..])?,
            signed,
            signature: decoded(&token[signature_start + 1..])?,
        })
    }
}
