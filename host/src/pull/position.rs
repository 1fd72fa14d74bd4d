//! The position of a poll: the time up to which a source was read, and the server's own position if the source continues
//! there.

use serde_json::Value;
use std::fmt;

/// The position of a poll, stored as `1769846400000`, or as `1769846400000 "c2"` with the server's position.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PollPosition {
    /// The time up to which the source was read, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The server's position after the last page.
    pub cursor: Option<Value>,
}

impl PollPosition {
    /// Parses a stored position. A text that is none stands for `now_ms`.
    pub fn parse(text: &str, now_ms: i64) -> Self {
        let (time, cursor) = text.split_once(' ').unwrap_or((text, ""));
        Self { at_ms: time.parse().unwrap_or(now_ms), cursor: serde_json::from_str(cursor).ok() }
    }
}

impl fmt::Display for PollPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match &self.cursor {
            Some(cursor) => write!(formatter, "{} {cursor}", self.at_ms),
            None => write!(formatter, "{}", self.at_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn positions_are_read_as_they_were_written() {
        for (text, at_ms, cursor) in [
            ("1769846400000", 1_769_846_400_000, None),
            (r#"1769846400000 "a b\"c""#, 1_769_846_400_000, Some(json!("a b\"c"))),
            ("5 [1,12345678901234567890]", 5, Some(json!([1, 12_345_678_901_234_567_890_u64]))),
        ] {
            let position = PollPosition::parse(text, 7);
            assert_eq!(position, PollPosition { at_ms, cursor });
            assert_eq!(position.to_string(), text);
        }
        assert_eq!(PollPosition::parse("soon", 7), PollPosition { at_ms: 7, cursor: None });
    }
}
