//! The note of a record in the trail of operators: in words, the effect of the request or its reason.

use crate::http_error::HttpError;

/// The number of characters of a reason.
const REASON_CHARS_MAX: usize = 1000;

/// The note of a request, which a handler attaches to its answer.
#[derive(Clone, Debug)]
pub(super) struct ActionNote(pub String);

/// Returns the reason that an operator gave, without blanks around it.
///
/// # Errors
/// Returns an error if the reason is too long.
pub(super) fn check_reason(reason: Option<String>) -> Result<Option<String>, HttpError> {
    let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(HttpError::InvalidRequest(format!("`reason` may have at most {REASON_CHARS_MAX} characters")));
    }
    Ok(reason)
}
