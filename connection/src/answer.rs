//! The start of a server's answer, made safe to show: operators see the text, and its content is not trusted.

use crate::retry_after::retry_after;
use crate::{Code, Failure, Secrets};
use anyhow::{Result, ensure};
use hyper::ext::ReasonPhrase;
use reqwest::header::{AGE, DATE, HeaderMap, LOCATION};
use reqwest::{Response, StatusCode};
use std::time::{Duration, UNIX_EPOCH};

/// The part of an answer's body that is kept.
const ANSWER_BYTES_MAX: usize = 1024;
/// The shortest wait for a server that asks for one.
const ASKED_WAIT_MIN: Duration = Duration::from_secs(1);
/// Clocks that differ by less are not named as a reason.
const CLOCK_DIFFERENCE_MS: u64 = 60_000;

/// The parts of a server's answer that are kept.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The wait that the server requests in `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// The target of a redirect, without its query.
    pub location: Option<String>,
    /// The first KiB of the body, without secrets and control characters. If the body is empty, the reason phrase of
    /// the status line.
    pub text: String,
    /// The time by which the server's clock is ahead of the host's, if they differ by more than a minute.
    pub clock_ahead_ms: Option<i64>,
}

impl Answer {
    /// Reads the part of an answer that is kept, within the time limit of the request. A body that breaks off is kept
    /// as far as it arrived, because the status is already known.
    ///
    /// `now_ms` is the host's time in milliseconds since the Unix epoch.
    pub async fn read(response: Response, secrets: &Secrets, now_ms: i64) -> Self {
        Self::read_document(response, secrets, 0, now_ms).await.0
    }

    /// Reads an answer as [`Self::read`] does, and its body up to a number of bytes.
    pub async fn read_document(
        mut response: Response,
        secrets: &Secrets,
        bytes_max: usize,
        now_ms: i64,
    ) -> (Self, Vec<u8>) {
        let (status, retry_after) = (response.status(), retry_after(response.headers(), now_ms));
        let clock_ahead_ms = clock_ahead_ms(response.headers(), now_ms);
        let location = status.is_redirection().then(|| location(&response)).flatten();
        let location = location.map(|target| sanitize(&secrets.redact(&target)));
        // A server may repeat a secret, which is recognized only if it is complete. So more is read than is kept.
        let kept_bytes_max = ANSWER_BYTES_MAX + secrets.bytes_max();
        let bytes_max = kept_bytes_max.max(bytes_max);
        let mut bytes = Vec::new();
        while let (true, Ok(Some(chunk))) = (bytes.len() < bytes_max, response.chunk().await) {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(bytes_max);
        if let (true, Some(reason)) = (bytes.is_empty(), response.extensions().get::<ReasonPhrase>()) {
            // OpenCTI gives the reason of an error in the status line only.
            bytes = reason.as_bytes().to_vec();
        }
        let kept = &bytes[..bytes.len().min(kept_bytes_max)];
        let text = sanitize(&secrets.redact(&String::from_utf8_lossy(kept)));
        (Self { status, retry_after, location, text, clock_ahead_ms }, bytes)
    }

    /// Returns how long the server asks to wait because it has too much to do (429 and 503), at least a second.
    pub fn asked_wait(&self) -> Option<Duration> {
        let is_busy = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        self.retry_after.filter(|_| is_busy).map(|wait| wait.max(ASKED_WAIT_MIN))
    }

    /// Returns the failure for an answer with a status other than 2xx.
    pub fn failure(&self) -> Failure {
        let status = self.status;
        let text = match &self.location {
            Some(target) => format!(
                "the server answered {status} and redirects to {target}; redirects are not followed: set `url` to it"
            ),
            None if status.is_redirection() => {
                format!("the server answered {status} without a target; redirects are not followed: check `url`")
            }
            None => format!("the server answered {status}: {}", self.text),
        };
        let is_refused = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let hint = self.clock_ahead_ms.filter(|_| is_refused).map(clock_hint).unwrap_or_default();
        Failure { asked_wait: self.asked_wait(), ..Failure::new(Code::Status, text + &hint) }
    }
}

/// Reads the body of an answer, which must not be larger than this.
///
/// # Errors
/// Returns an error if the body is larger, or does not arrive within the time limit of the request.
pub async fn read_body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        ensure!(bytes.len() <= bytes_max, "the answer is larger than {bytes_max} bytes");
    }
    Ok(bytes)
}

/// Returns the time by which a server's clock is ahead, if it differs enough to make signatures invalid. An answer from a
/// cache does not show it.
fn clock_ahead_ms(headers: &HeaderMap, now_ms: i64) -> Option<i64> {
    let date = headers.get(DATE).filter(|_| !headers.contains_key(AGE))?.to_str().ok()?;
    let date = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let ahead_ms = i64::try_from(date.as_millis()).ok()?.saturating_sub(now_ms);
    Some(ahead_ms).filter(|ahead_ms| ahead_ms.unsigned_abs() > CLOCK_DIFFERENCE_MS)
}

fn clock_hint(ahead_ms: i64) -> String {
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let seconds = ahead_ms.unsigned_abs() / 1000;
    format!("; the server's clock is {seconds} s {side} the host's, which makes tokens and signatures invalid")
}

/// Returns the target of a redirect without user name, query and fragment, which may hold secrets.
fn location(response: &Response) -> Option<String> {
    let text = response.headers().get(LOCATION)?;
    let mut target = response.url().join(&String::from_utf8_lossy(text.as_bytes())).ok()?;
    target.set_query(None);
    target.set_fragment(None);
    let _ = target.set_username("").and_then(|()| target.set_password(None));
    Some(target.into())
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
