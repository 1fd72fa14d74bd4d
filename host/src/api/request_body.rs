//! Request bodies.

use crate::bodies::ReadBody;
use crate::http_error::HttpError;
use serde::de::DeserializeOwned;

/// Reads a body as JSON, and ignores the content type.
pub(super) fn body<T: DeserializeOwned>(body: &ReadBody) -> Result<T, HttpError> {
    // Serde would read a list as the members of an object in their order.
    if !body.bytes.trim_ascii_start().starts_with(b"{") {
        return Err(HttpError::InvalidRequest("the body is not a JSON object".into()));
    }
    serde_json::from_slice(&body.bytes).map_err(|error| HttpError::InvalidRequest(format!("the body: {error}")))
}

/// Reads a body that may be missing.
pub(super) fn optional_body<T: DeserializeOwned + Default>(read: &ReadBody) -> Result<T, HttpError> {
    if read.bytes.is_empty() { Ok(T::default()) } else { body(read) }
}
