//! [JSON Web Key Sets](https://www.rfc-editor.org/rfc/rfc7517): the public keys of an issuer of tokens.

use crate::jws::{Jws, JwsAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use std::fmt;

/// The largest number of keys. A token without the id of its key is checked with each of them.
const KEYS_MAX: usize = 64;
/// The least number of bytes of an RSA modulus.
const MODULUS_BYTES_MIN: usize = 256;
/// The first byte of an elliptic point that is written with both coordinates.
const UNCOMPRESSED: u8 = 4;
const COORDINATE_BYTES: usize = 32;

/// The public keys of an issuer.
pub struct KeySet(Vec<PublicKey>);

/// The reason why a key set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The text is not a key set.
    #[error("the keys are not a JSON Web Key Set, such as {{\"keys\": [{{\"kty\": \"RSA\", …}}]}}")]
    Form,
    /// No key fits one of the algorithms.
    #[error(
        "the key set has no public key for RS256 (RSA of at least 2048 bits), ES256 (P-256) or EdDSA (Ed25519) with the use \
         `sig`"
    )]
    NoKey,
    /// There are too many keys.
    #[error("the key set has more than {KEYS_MAX} keys")]
    TooMany,
}

/// The reason why the signature of a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// The key that the token names did not make the signature.
    Wrong,
    /// The key of the token is not in the set.
    Unknown,
}

struct PublicKey {
    kid: Option<String>,
    algorithm: JwsAlgorithm,
    bytes: KeyBytes,
}

enum KeyBytes {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Plain(Vec<u8>),
}

#[derive(Deserialize)]
struct JsonWebKeySet {
    keys: Vec<JsonWebKey>,
}

#[derive(Deserialize)]
struct JsonWebKey {
    #[serde(default)]
    kty: Option<String>,
    #[serde(default)]
    r#use: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys for other purposes and of other kinds are passed over.
    ///
    /// # Errors
    /// Returns an error if the text is not a key set, or has no key that can be used.
    pub fn read(json: &[u8]) -> Result<Self, KeySetError> {
        let set: JsonWebKeySet = serde_json::from_slice(json).map_err(|_| KeySetError::Form)?;
        if set.keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let keys: Vec<PublicKey> = set.keys.into_iter().filter_map(public_key).collect();
        if keys.is_empty() { Err(KeySetError::NoKey) } else { Ok(Self(keys)) }
    }

    /// Checks the signature of a token.
    pub(crate) fn verify(&self, token: &Jws) -> Result<(), KeyError> {
        let is_candidate = |key: &&PublicKey| {
            key.algorithm == token.algorithm && (key.kid.is_none() || token.kid.is_none() || key.kid == token.kid)
        };
        if self.0.iter().filter(is_candidate).any(|key| key.verify(token)) {
            return Ok(());
        }
        // With an id the key is certain, whatever its algorithm, and newer keys would not help.
        let is_certain = token.kid.is_some() && self.0.iter().any(|key| key.kid == token.kid);
        Err(if is_certain { KeyError::Wrong } else { KeyError::Unknown })
    }
}

impl PublicKey {
    fn verify(&self, token: &Jws) -> bool {
        let verified = match (&self.bytes, self.algorithm) {
            (KeyBytes::Rsa { modulus, exponent }, _) => RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                token.signed,
                &token.signature,
            ),
            (KeyBytes::Plain(bytes), JwsAlgorithm::EdDsa) => {
                UnparsedPublicKey::new(&ED25519, bytes).verify(token.signed, &token.signature)
            }
            (KeyBytes::Plain(bytes), _) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).verify(token.signed, &token.signature)
            }
        };
        verified.is_ok()
    }
}

fn public_key(key: JsonWebKey) -> Option<PublicKey> {
    let decoded = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok();
    let coordinate = |text| decoded(text).filter(|bytes| bytes.len() == COORDINATE_BYTES);
    if key.r#use.is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let (algorithm, bytes) = match (key.kty?.as_str(), key.crv.as_deref()) {
        ("RSA", _) => {
            // A zero at the start does not change the number, and ring refuses it.
            let without_zeros = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
            let (modulus, exponent) = (without_zeros(decoded(key.n)?), without_zeros(decoded(key.e)?));
            (JwsAlgorithm::Rs256, (modulus.len() >= MODULUS_BYTES_MIN).then_some(KeyBytes::Rsa { modulus, exponent })?)
        }
        ("EC", Some("P-256")) => {
            let point = [&[UNCOMPRESSED][..], &coordinate(key.x)?, &coordinate(key.y)?].concat();
            (JwsAlgorithm::Es256, KeyBytes::Plain(point))
        }
        ("OKP", Some("Ed25519")) => (JwsAlgorithm::EdDsa, KeyBytes::Plain(coordinate(key.x)?)),
        _ => return None,
    };
    let is_meant = key.alg.is_none_or(|alg| JwsAlgorithm::named(&alg) == Some(algorithm));
    is_meant.then_some(PublicKey { kid: key.kid, algorithm, bytes })
}

impl fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "KeySet of {}", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Jws, KeyError, KeySet, KeySetError};

    /// The example in appendix A.3 of RFC 7515.
    const ES256: [&str; 2] = [
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ];
    /// The example in appendix A.4 of RFC 8037.
    const EDDSA: [&str; 2] = [
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ];

    fn set(keys: &[&str]) -> Result<KeySet, KeySetError> {
        KeySet::read(format!("{{\"keys\": [{}]}}", keys.join(",")).as_bytes())
    }

    #[test]
    fn published_examples_are_verified() {
        for ([key, token], [other, _]) in [(ES256, EDDSA), (EDDSA, ES256)] {
            let jws = Jws::read(token.as_bytes()).unwrap();
            assert_eq!(set(&[other, key]).unwrap().verify(&jws), Ok(()));
            assert_eq!(set(&[other]).unwrap().verify(&jws), Err(KeyError::Unknown));
            let tampered = token.replace(".R", ".S").replace(".eyJp", ".eyJq");
            let tampered = Jws::read(tampered.as_bytes()).unwrap();
            // A token without the id of its key may be signed by a newer one.
            assert_eq!(set(&[key]).unwrap().verify(&tampered), Err(KeyError::Unknown));
            // The id names a key of another algorithm.
            let named = Jws { kid: Some("a".to_owned()), ..Jws::read(token.as_bytes()).unwrap() };
            let other = other.replacen('{', r#"{"kid":"a","#, 1);
            assert_eq!(set(&[&other]).unwrap().verify(&named), Err(KeyError::Wrong));
            assert_eq!(set(&[&other, key]).unwrap().verify(&named), Ok(()));
        }
    }

    #[test]
    fn keys_that_cannot_be_used_are_passed_over() {
        let [key, token] = ES256;
        let jws = Jws::read(token.as_bytes()).unwrap();
        let with = |member: &str| key.replacen('{', &format!("{{{member},"), 1);
        for (key, expected) in [
            (with(r#""use":"sig","alg":"ES256""#), Ok(())),
            (with(r#""use":"enc""#), Err(KeySetError::NoKey)),
            (with(r#""alg":"RS256""#), Err(KeySetError::NoKey)),
            (with(r#""alg":"ES384""#), Err(KeySetError::NoKey)),
            (key.replace("P-256", "P-384"), Err(KeySetError::NoKey)),
            (key.replace("f83O", ""), Err(KeySetError::NoKey)),
            (r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(), Err(KeySetError::NoKey)),
            (r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(), Err(KeySetError::NoKey)),
            ("1".to_owned(), Err(KeySetError::Form)),
            (vec![key; 65].join(","), Err(KeySetError::TooMany)),
        ] {
            let found = set(&[&key]).map(|set| set.verify(&jws).unwrap());
            assert_eq!(found, expected, "{key}");
        }
        assert_eq!(KeySet::read(b"<html>").unwrap_err(), KeySetError::Form);
    }
}
