//! The beginning of a receiver's answer, made sanitize: it is shown to operators and may be anything.

use crate::authentication::Authentication;
use hyper::ext::ReasonPhrase;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::time::{Duration, SystemTime};

/// How much of an answer is kept with the attempt.
pub const ANSWER_BYTES_MAX: usize = 1024;
/// The longest wait that a receiver can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a receiver said.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// The beginning of its body.
    pub text: String,
}

impl Answer {
    /// Reads as much as is kept, for no longer than the request has time. A body that breaks off is what came of it: the
    /// status has been said.
    pub async fn read(mut response: Response, authentication: &Authentication) -> Self {
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        // A secret that the receiver sends back is only known when it is whole.
        let bytes_max = ANSWER_BYTES_MAX + authentication.longest_secret();
        let mut bytes = Vec::new();
        while let (true, Ok(Some(chunk))) = (bytes.len() < bytes_max, response.chunk().await) {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(bytes_max);
        if let (true, Some(reason)) = (bytes.is_empty(), response.extensions().get::<ReasonPhrase>()) {
            // OpenCTI says why there and nowhere else.
            bytes = reason.as_bytes().to_vec();
        }
        let text = authentication.without_secrets(&String::from_utf8_lossy(&bytes));
        Self { status, retry_after, text: sanitize(&text) }
    }
}

/// No control character and none that turns the direction of text, at most as long as an answer is kept.
pub fn sanitize(text: &str) -> String {
    let turns =
        |char: char| matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_harmful = |char: char| (char.is_control() && !matches!(char, '\n' | '\t')) || turns(char);
    let mut kept = String::new();
    for char in text.chars().map(|char| if is_harmful(char) { char::REPLACEMENT_CHARACTER } else { char }) {
        if kept.len() + char.len_utf8() > ANSWER_BYTES_MAX {
            break;
        }
        kept.push(char);
    }
    kept
}

/// Seconds or an HTTP date.
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
    use crate::{ANSWER_BYTES_MAX, sanitize};

    #[test]
    fn answers_are_made_harmless() {
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
