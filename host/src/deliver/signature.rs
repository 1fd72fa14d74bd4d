//! Signs what is delivered as [Standard Webhooks](https://www.standardwebhooks.com) say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "whsec_";
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key of a destination.
#[derive(Clone)]
pub struct SigningSecret(Hmac<Sha256>);

impl SigningSecret {
    /// The `webhook-signature` of a message.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl FromStr for SigningSecret {
    type Err = String;

    /// `whsec_` and the key in base64. The text itself is never in the error.
    fn from_str(text: &str) -> Result<Self, String> {
        let help = "write `whsec_` and 24 to 64 random bytes in base64: `echo whsec_$(openssl rand -base64 32)`";
        let encoded =
            text.strip_prefix(PREFIX).ok_or_else(|| format!("the secret does not begin with whsec_; {help}"))?;
        let key = STANDARD.decode(encoded).map_err(|_| format!("the secret is not base64 after whsec_; {help}"))?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(format!("the secret has {} bytes; {help}", key.len()));
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("SigningSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::SigningSecret;

    /// The vectors of the Standard Webhooks and Svix libraries.
    #[test]
    fn published_vectors() {
        let vectors = [
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ];
        for (secret, id, timestamp, body, expected) in vectors {
            let secret: SigningSecret = secret.parse().unwrap();
            assert_eq!(secret.sign(id, timestamp, body.as_bytes()), expected);
        }
    }

    #[test]
    fn unusable_secrets_are_refused_without_being_shown() {
        for text in ["", "hunter2hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%"] {
            let error = text.parse::<SigningSecret>().unwrap_err();
            assert!(error.contains("openssl rand") && !error.contains("hunter2"), "{error}");
        }
    }
}
