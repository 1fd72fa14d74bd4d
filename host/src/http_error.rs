//! Errors as HTTP answers: a status, a code for programs and a sentence for people.
//!
//! The errors of all other modules become HTTP only here.

use crate::bodies::BodyError;
use crate::handshake::NotConfirmed;
use crate::pipeline::AcceptError;
use crate::rate_limit::RateLimited;
use crate::registry::RegisterError;
use crate::verify::Refusal;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookmill_store::StoreError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The time after which a client should try again when the host is overloaded, in seconds.
const RETRY_AFTER_S: u64 = 1;
/// The same when the database takes no writes: a full disk or a lock lasts longer than a burst.
const STORE_RETRY_AFTER_S: u64 = 5;

/// The cause of an internal error, attached to the answer for the log. The client does not see it.
#[derive(Clone, Debug)]
pub struct Cause(pub Arc<anyhow::Error>);

/// The reason why a request is refused. The client sees the text.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The payload cannot be verified.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The subscription cannot be confirmed.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// There were too many requests in a second.
    #[error(transparent)]
    RateLimited(#[from] RateLimited),
    /// The source does not allow this address.
    #[error("this source does not accept webhooks from your address")]
    AddressRefused,
    /// No source has this name.
    #[error("Webhook source '{0}' is not registered")]
    UnknownSource(String),
    /// Too many requests are waiting already.
    #[error("the host is overloaded; try again later")]
    Overloaded,
    /// The store takes no writes now.
    #[error("{0}; try again later")]
    StoreBusy(StoreError),
    /// The token is missing or not valid.
    #[error("a valid `Authorization: Bearer hm_…` is needed; `hookmill token create` makes one")]
    Unauthorized,
    /// The token that should begin a session is not valid.
    #[error("this token is not valid; `hookmill token create` makes one")]
    InvalidToken,
    /// The code that should begin a session is not valid.
    #[error("the code was used or has ended; sign in with a token, which `hookmill token create` makes")]
    InvalidCode,
    /// A change by a session may come from a page of another origin.
    #[error(
        "a change with a session needs the header `x-hookmill-console: 1` and has to come from the host's own pages"
    )]
    CrossSite,
    /// Others could read the cookie of a session on its way.
    #[error(
        "a session needs HTTPS, because others could read it on its way; set `tls` or `admin_tls`, use a proxy that has \
             TLS, or open the address of the loopback interface on the host's machine"
    )]
    PlainSession,
    /// The scope of the token is too small.
    #[error("this token has scope `read`; a change needs scope `admin`")]
    Forbidden,
    /// The thing does not exist.
    #[error("there is no {0}")]
    NotFound(String),
    /// The path exists for other methods, which the router adds in a header.
    #[error("this path does not support this method")]
    MethodNotAllowed,
    /// The request contradicts the present state.
    #[error("{0}")]
    Conflict(String),
    /// The request cannot be understood.
    #[error("{0}")]
    InvalidRequest(String),
    /// The host failed. The cause goes to the log.
    #[error("internal error; see the log")]
    Internal(anyhow::Error),
}

/// The body of a refusal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// The refusal.
    pub error: ErrorDetail,
}

/// A refusal for programs and for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// The code.
    pub code: String,
    /// The reason as text.
    pub message: String,
}

impl HttpError {
    /// Returns the code of the error.
    pub fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    /// Returns the error for programs and for people.
    pub fn detail(&self) -> ErrorDetail {
        ErrorDetail { code: self.code().to_owned(), message: self.to_string() }
    }

    /// Returns the exact reason, for the operator. The client learns less.
    pub fn reason(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::AddressRefused => "the address is not in a network of the source's `allow_ips`".to_owned(),
            other => other.to_string(),
        }
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        const OVERLOADED: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "overloaded");
        const TOO_LARGE: (StatusCode, &str) = (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large");
        const INVALID: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "invalid_request");
        const INTERNAL: (StatusCode, &str) = (StatusCode::INTERNAL_SERVER_ERROR, "internal");
        match self {
            Self::Refused(Refusal::Signature(_)) => (StatusCode::UNAUTHORIZED, "invalid_signature"),
            Self::Refused(Refusal::Expired { .. } | Refusal::Future { .. }) => {
                (StatusCode::UNAUTHORIZED, "timestamp_expired")
            }
            Self::Refused(Refusal::TooLarge { .. }) | Self::Body(BodyError::TooLarge { .. }) => TOO_LARGE,
            Self::Body(BodyError::Timeout(_) | BodyError::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::Overloaded
            | Self::Body(BodyError::Overloaded)
            | Self::Refused(Refusal::CertificateUnavailable(_) | Refusal::KeysUnavailable(_))
            | Self::NotConfirmed(_) => OVERLOADED,
            Self::StoreBusy(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_busy"),
            Self::UnknownSource(_) => (StatusCode::NOT_FOUND, "unknown_source"),
            Self::Unauthorized | Self::InvalidToken | Self::InvalidCode => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden | Self::AddressRefused | Self::CrossSite | Self::PlainSession => {
                (StatusCode::FORBIDDEN, "forbidden")
            }
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::InvalidRequest(_) | Self::Body(BodyError::Incomplete) | Self::Refused(Refusal::Undecodable(_)) => {
                INVALID
            }
            Self::Internal(_) | Self::Refused(Refusal::Internal(_)) => INTERNAL,
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let (status, _) = self.status_and_code();
        let body = Json(ErrorAnswer { error: self.detail() });
        let retry_after_s = match &self {
            Self::RateLimited(RateLimited { retry_after_s }) => Some(*retry_after_s),
            Self::StoreBusy(StoreError::Blocked) => Some(STORE_RETRY_AFTER_S),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER_S),
            _ => None,
        };
        let retry_after = retry_after_s.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        let mut response = (status, retry_after, body).into_response();
        if let Self::Internal(cause) | Self::Refused(Refusal::Internal(cause)) = self {
            response.extensions_mut().insert(Cause(Arc::new(cause)));
        }
        response
    }
}

impl From<AcceptError> for HttpError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Refused(refusal) => refusal.into(),
            AcceptError::RateLimited(limited) => limited.into(),
            AcceptError::NotConfirmed(error) => error.into(),
            AcceptError::Store(error) => error.into(),
        }
    }
}

impl From<RegisterError> for HttpError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::NotFound(thing) => Self::NotFound(thing),
            RegisterError::Conflict(text) => Self::Conflict(text),
            RegisterError::Invalid(text) => Self::InvalidRequest(text),
            RegisterError::Store(error) => error.into(),
            RegisterError::Internal(cause) => Self::Internal(cause),
        }
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::Overloaded,
            StoreError::Busy | StoreError::Blocked | StoreError::LeaseLost | StoreError::Closed => {
                Self::StoreBusy(error)
            }
            StoreError::Failed(cause) => Self::Internal(anyhow::anyhow!("{cause:#}")),
        }
    }
}

impl From<anyhow::Error> for HttpError {
    fn from(error: anyhow::Error) -> Self {
        // Reads return this among other errors.
        match error.downcast_ref::<StoreError>() {
            Some(store) => store.clone().into(),
            None => Self::Internal(error),
        }
    }
}
