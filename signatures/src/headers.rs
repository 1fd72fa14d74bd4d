//! Headers that carry signatures and delivery ids.

use crate::request::{SignError, VerifyError};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Returns the trimmed value of a header, which may occur once at most.
pub(crate) fn at_most_one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, VerifyError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.as_bytes().trim_ascii())),
        _ => Err(VerifyError::Signature),
    }
}

/// Returns the sender's delivery id. An empty id counts as missing.
pub(crate) fn delivery_id<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, VerifyError> {
    Ok(at_most_one(headers, name)?.filter(|id| !id.is_empty()))
}

pub(crate) fn header_value(text: &str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|_| SignError::NoHeader)
}
