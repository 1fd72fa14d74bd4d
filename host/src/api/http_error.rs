//! Why a request is refused: one word for programs, one sentence for people, one status.

use hookmill_store::StoreError;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookmill_signatures::VerifyError;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How long a client that came at a bad time should wait, in seconds.
const RETRY_AFTER_S: u64 = 1;

/// Why the host failed at a request, on the answer that does not say it.
#[derive(Clone, Debug)]
pub struct Cause(pub Arc<anyhow::Error>);

/// A refusal. Its text is what the client is told.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The signature is missing or wrong.
    #[error("Webhook signature verification failed")]
    InvalidSignature,
    /// The signature is too old.
    #[error("Webhook timestamp is too old (>{})", length(*.tolerance_s))]
    TimestampExpired {
        /// How old it may be.
        tolerance_s: i64,
    },
    /// The signature is from a time to come.
    #[error("Webhook timestamp is in the future (>{})", length(*.tolerance_s))]
    TimestampFuture {
        /// How far ahead it may be.
        tolerance_s: i64,
    },
    /// It came from an address that its source does not send from.
    #[error("this source does not take webhooks from your address")]
    AddressRefused,
    /// What signed it could not be fetched.
    #[error("the sender's certificate could not be fetched; try again")]
    CertificateUnavailable,
    /// Nobody registered this source.
    #[error("Webhook source '{0}' is not registered")]
    UnknownSource(String),
    /// The body is too large.
    #[error("the payload is larger than {bytes_max} bytes")]
    PayloadTooLarge {
        /// The largest that is taken.
        bytes_max: usize,
    },
    /// The body does not come.
    #[error("the body took longer than {0:?}")]
    BodyTimeout(Duration),
    /// More came than is taken in a second.
    #[error("too many requests; try again in {retry_after_s} s")]
    RateLimited {
        /// When one will be taken again.
        retry_after_s: u64,
    },
    /// Too much waits already.
    #[error("too much is waiting; try again")]
    Overloaded,
    /// No token, or one that is not valid.
    #[error("a valid `Authorization: Bearer hm_…` is needed; `hookmill token create` makes one")]
    Unauthorized,
    /// The token is valid for less.
    #[error("this token has scope `read`; a change needs scope `admin`")]
    Forbidden,
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// The path is there, for other methods. Which ones, the router says.
    #[error("this path does not take this method")]
    MethodNotAllowed,
    /// It does not fit what is there.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be understood.
    #[error("{0}")]
    InvalidRequest(String),
    /// The host failed. The cause goes to the log.
    #[error("something failed inside; the log says what")]
    Internal(anyhow::Error),
}

impl HttpError {
    /// The word that stands for it.
    pub fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidSignature => (StatusCode::UNAUTHORIZED, "invalid_signature"),
            Self::TimestampExpired { .. } | Self::TimestampFuture { .. } => {
                (StatusCode::UNAUTHORIZED, "timestamp_expired")
            }
            Self::UnknownSource(_) => (StatusCode::NOT_FOUND, "unknown_source"),
            Self::PayloadTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::BodyTimeout(_) => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::Overloaded | Self::CertificateUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden | Self::AddressRefused => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let body = Json(json!({"error": {"code": code, "message": self.to_string()}}));
        let retry_after_s = match &self {
            Self::Overloaded | Self::CertificateUnavailable => Some(RETRY_AFTER_S),
            Self::RateLimited { retry_after_s } => Some(*retry_after_s),
            _ => None,
        };
        let retry_after = retry_after_s.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        let mut response = (status, retry_after, body).into_response();
        if let Self::Internal(cause) = self {
            response.extensions_mut().insert(Cause(Arc::new(cause)));
        }
        response
    }
}

/// A length of time in words.
fn length(seconds: i64) -> String {
    if seconds % 60 == 0 { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") }
}

impl From<VerifyError> for HttpError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Signature => Self::InvalidSignature,
            VerifyError::Expired(tolerance_s) => Self::TimestampExpired { tolerance_s },
            VerifyError::Future(tolerance_s) => Self::TimestampFuture { tolerance_s },
            VerifyError::CertificateMissing(_) => Self::CertificateUnavailable,
        }
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::Overloaded,
            StoreError::Failed(cause) => Self::Internal(anyhow::anyhow!("{cause:#}")),
        }
    }
}

impl From<anyhow::Error> for HttpError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}
