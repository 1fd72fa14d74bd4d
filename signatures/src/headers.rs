//! Headers that carry signatures and delivery ids.

use crate::request::{SignError, SignatureError};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Returns the trimmed value of a header, which may occur once at most.
pub(crate) fn at_most_one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.as_bytes().trim_ascii())),
        _ => Err(SignatureError::HeaderRepeated(name.clone())),
    }
}

/// Returns the sender's delivery id. An empty id counts as missing.
pub(crate) fn delivery_id<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, SignatureError> {
    Ok(at_most_one(headers, name)?.filter(|id| !id.is_empty()))
}

/// Returns whether an id can be part of a signed text without ambiguity: it consists of the characters of an HTTP token
/// except the dot. Templates put dots between their parts. With an id that contains one, a part of a signed body could be
/// presented as the end of the id and the time of another message with the same signature.
pub(crate) fn is_unambiguous(id: &[u8]) -> bool {
    id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-^_`|~".contains(byte))
}

pub(crate) fn header_value(text: &str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|_| SignError::NoHeader)
}
