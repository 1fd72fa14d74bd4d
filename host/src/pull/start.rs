//! The position where reading a source starts.

use hookmill_incident::timestamp;
use hookmill_store::Cursor;
use jiff::Timestamp;

/// Earlier times (before 1973) are refused as typing errors.
const START_MS_MIN: i64 = 100_000_000_000;

/// The position where a source is read from for the first time, and again when this setting changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    text: String,
    /// Milliseconds since the Unix epoch and a number within them; `None` means now.
    at: Option<(i64, u64)>,
    is_stream: bool,
}

impl Start {
    /// Parses `now`, `0` for everything, RFC 3339 or a count since the Unix epoch; for a stream also one of its ids.
    /// `description` identifies the stream or query, so that another stream or query starts from the beginning.
    ///
    /// # Errors
    /// Returns an error that lists the accepted forms.
    pub fn parse(text: &str, description: &str, is_stream: bool) -> Result<Self, String> {
        let digits = |text: &str| text.parse().ok().filter(|ms| *ms == 0 || *ms >= START_MS_MIN);
        let at = match text.split_once('-') {
            _ if text == "now" => None,
            Some((ms, number)) if is_stream && digits(ms).is_some() => digits(ms).zip(number.parse().ok()),
            _ => {
                let is_count = text != "0" && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let time = timestamp::parse(text).ok().map(Timestamp::as_millisecond);
                time.filter(|ms| !is_count || *ms >= START_MS_MIN).map(|ms| (ms, 0))
            }
        };
        if at.is_none() && text != "now" {
            let id = if is_stream { ", an id of the stream such as 1711633413527-0" } else { "" };
            return Err(format!(
                "`{text}` is not `now`, 0, a time such as 2026-01-31T08:00:00Z{id} or a number of s or ms since 1970"
            ));
        }
        Ok(Self { text: format!("{description} {text}"), at, is_stream })
    }

    /// Returns whether reading starts at the time of the first read.
    pub fn is_now(&self) -> bool {
        self.at.is_none()
    }

    /// Returns whether reading starts with the oldest item.
    pub fn is_everything(&self) -> bool {
        self.at == Some((0, 0))
    }

    /// Returns the position to start at; `now` is the present time.
    pub(super) fn position(&self, now: i64) -> Cursor {
        let (ms, number) = self.at.unwrap_or((now, 0));
        self.reached(if self.is_stream { format!("{ms}-{number}") } else { ms.to_string() })
    }

    /// Returns a position that was reached from this start.
    pub(super) fn reached(&self, at: String) -> Cursor {
        Cursor { start: self.text.clone(), position: at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_starts() {
        for (text, is_stream, at) in [
            ("0", true, Some("0-0")),
            ("0", false, Some("0")),
            ("2024-03-28T13:43:33.527Z", true, Some("1711633413527-0")),
            ("2024-03-28T13:43:33.527Z", false, Some("1711633413527")),
            ("1711633413527-5", true, Some("1711633413527-5")),
            ("1711633413527", false, Some("1711633413527")),
            ("1711633413", false, Some("1711633413000")),
            ("1711633413.527", false, Some("1711633413527")),
            ("1711633413527-5", false, None),
            ("2024-03", true, None),
            ("2024", false, None),
            ("-5", false, None),
            ("-0-0", true, None),
            ("yesterday", true, None),
        ] {
            let position = Start::parse(text, "of", is_stream).ok().map(|start| start.position(0).position);
            assert_eq!(position.as_deref(), at, "{text}");
        }
    }
}
