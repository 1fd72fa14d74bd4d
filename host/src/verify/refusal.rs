//! The reasons why a payload is refused before it is an event.

use crate::aws::CertificateUnavailable;
use crate::issuers::KeysUnavailable;
use hookmill_signatures::{SignatureError, VerifyError};

/// The reason why a payload does not become an event.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The signature is missing or wrong.
    #[error("Webhook signature verification failed")]
    Signature(SignatureError),
    /// The signature is too old.
    #[error("Webhook timestamp is too old (>{})", length(*.tolerance_s))]
    Expired {
        /// The largest allowed age, in seconds.
        tolerance_s: i64,
        /// The age, in seconds.
        age_s: i64,
    },
    /// The signature is from the future.
    #[error("Webhook timestamp is in the future (>{})", length(*.tolerance_s))]
    Future {
        /// The largest allowed distance into the future, in seconds.
        tolerance_s: i64,
        /// The distance, in seconds.
        ahead_s: i64,
    },
    /// The certificate that the payload was signed with could not be fetched.
    #[error(transparent)]
    CertificateUnavailable(#[from] CertificateUnavailable),
    /// The keys that the token needs could not be fetched.
    #[error(transparent)]
    KeysUnavailable(#[from] KeysUnavailable),
    /// The unpacked body is larger than allowed.
    #[error("the payload is larger than {bytes_max} bytes")]
    TooLarge {
        /// The largest allowed body, in bytes.
        bytes_max: usize,
    },
    /// The encoding of the body does not match its headers.
    #[error("{0}")]
    Undecodable(String),
    /// The host failed. The cause goes to the log.
    #[error("internal error; see the log")]
    Internal(anyhow::Error),
}

impl Refusal {
    /// Returns the exact reason, for the operator. The sender learns less.
    pub fn reason(&self) -> String {
        match self {
            Self::Signature(error) => error.to_string(),
            Self::Expired { tolerance_s, age_s } => format!(
                "the request was signed {} before it arrived, and the scheme allows {}: the clock of the sender or of \
                 this host is wrong, or an old request was sent again",
                distance(*age_s),
                length(*tolerance_s)
            ),
            Self::Future { tolerance_s, ahead_s } => format!(
                "the request was signed {} in the future, and the scheme allows {}: the clock of the sender or of this \
                 host is wrong",
                distance(*ahead_s),
                length(*tolerance_s)
            ),
            other => other.to_string(),
        }
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Signature(error) => Self::Signature(error),
            VerifyError::Expired { tolerance_s, age_s } => Self::Expired { tolerance_s, age_s },
            VerifyError::Future { tolerance_s, ahead_s } => Self::Future { tolerance_s, ahead_s },
            VerifyError::CertificateMissing(_) => Self::CertificateUnavailable(CertificateUnavailable),
            VerifyError::KeysMissing => Self::KeysUnavailable(KeysUnavailable),
        }
    }
}

/// Returns a distance between two clocks as text. Minutes are what an operator looks for.
fn distance(seconds: i64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, _) | (_, 0) => length(seconds),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// Returns a duration as text.
fn length(seconds: i64) -> String {
    if seconds % 60 == 0 { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") }
}
