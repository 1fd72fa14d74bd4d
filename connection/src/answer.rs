//! The start of a server's answer, made safe to show: operators see the text, and its content is not trusted.

use crate::Authentication;
use hyper::ext::ReasonPhrase;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::time::{Duration, SystemTime};

/// The part of an answer's body that is kept.
const ANSWER_BYTES_MAX: usize = 1024;
/// The longest wait that a server can request; longer ones are reduced to it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The parts of a server's answer that are kept.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The wait that the server requests in `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// The first KiB of the body, without secrets and control characters. If the body is empty, the reason phrase of
    /// the status line.
    pub text: String,
}

impl Answer {
    /// Reads the part of an answer that is kept, within the time limit of the request. A body that breaks off is kept
    /// as far as it arrived, because the status is already known.
    pub async fn read(mut response: Response, authentication: &Authentication) -> Self {
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        // A server may repeat a secret, which is recognized only if it is complete. So more is read than is kept.
        let bytes_max = ANSWER_BYTES_MAX + authentication.secret_bytes_max();
        let mut bytes = Vec::new();
        while let (true, Ok(Some(chunk))) = (bytes.len() < bytes_max, response.chunk().await) {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(bytes_max);
        if let (true, Some(reason)) = (bytes.is_empty(), response.extensions().get::<ReasonPhrase>()) {
            // OpenCTI gives the reason of an error in the status line only.
            bytes = reason.as_bytes().to_vec();
        }
        let text = authentication.redact(&String::from_utf8_lossy(&bytes));
        Self { status, retry_after, text: sanitize(&text) }
    }
}

/// Returns a text without control characters and without characters that change the direction of text, cut to 1 KiB.
pub fn sanitize(text: &str) -> String {
    let is_direction =
        |char: char| matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_harmful = |char: char| (char.is_control() && !matches!(char, '\n' | '\t')) || is_direction(char);
    let mut kept = String::new();
    for char in text.chars().map(|char| if is_harmful(char) { char::REPLACEMENT_CHARACTER } else { char }) {
        if kept.len() + char.len_utf8() > ANSWER_BYTES_MAX {
            break;
        }
        kept.push(char);
    }
    kept
}

/// Reads the header `Retry-After`, which holds seconds or an HTTP date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()?,
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_BYTES_MAX, sanitize};

    #[test]
    fn answers_are_sanitized() {
        for (text, expected) in [
            ("plain\n\ttext", "plain\n\ttext"),
            ("\u{1b}[2Jgone\0", "\u{fffd}[2Jgone\u{fffd}"),
            ("a\u{202e}b\u{85}", "a\u{fffd}b\u{fffd}"),
        ] {
            assert_eq!(sanitize(text), expected);
        }
        let long = sanitize(&"ä\u{7}".repeat(ANSWER_BYTES_MAX));
        assert!(long.len() <= ANSWER_BYTES_MAX && long.len() > ANSWER_BYTES_MAX - 4);
    }
}
