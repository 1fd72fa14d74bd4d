//! `LAST_POLL_TIME` in the text of a query or URL, and sums such as `LAST_POLL_TIME-180000`. They are parsed once, with the
//! configuration; nothing else in the text is evaluated.

use anyhow::{Context, Result};
use hookmill_incident::words;
use jiff::Timestamp;
use jiff::tz::Offset;

const NAME: &str = "LAST_POLL_TIME";

words!(
    /// The notation of a time.
    TimeFormat {
        /// Milliseconds since the Unix epoch.
        UnixMs = "unix_ms",
        /// Seconds since the Unix epoch.
        UnixS = "unix_s",
        /// RFC 3339, such as 2026-01-31T08:00:00.000Z.
        Rfc3339 = "rfc3339",
    }
);

/// A text with placeholders for the time of the last poll.
#[derive(Debug)]
pub struct SinceText {
    segments: Vec<SinceSegment>,
    format: TimeFormat,
}

#[derive(Debug, PartialEq, Eq)]
enum SinceSegment {
    Text(String),
    /// The time of the last poll plus this many milliseconds.
    Time(i64),
}

impl SinceText {
    /// Parses a text.
    ///
    /// # Errors
    /// Returns an error if a summand is too large.
    pub fn parse(text: &str, format: TimeFormat) -> Result<Self> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(NAME) {
            segments.push(SinceSegment::Text(rest[..at].to_owned()));
            rest = &rest[at + NAME.len()..];
            let mut offset_ms = 0_i64;
            while let Some((summand, after)) = summand(rest) {
                let sum = summand.parse::<i64>().ok().and_then(|summand| offset_ms.checked_add(summand));
                offset_ms = sum.with_context(|| format!("`{NAME}{summand}` is not a time: the number is too large"))?;
                rest = after;
            }
            segments.push(SinceSegment::Time(offset_ms));
        }
        segments.push(SinceSegment::Text(rest.to_owned()));
        Ok(Self { segments, format })
    }

    /// Returns the text for a last poll at this time, in milliseconds since the Unix epoch.
    pub fn at(&self, unix_ms: i64) -> String {
        let written = self.segments.iter().map(|segment| match segment {
            SinceSegment::Text(text) => text.clone(),
            SinceSegment::Time(offset_ms) => self.time(unix_ms.saturating_add(*offset_ms).max(0)),
        });
        written.collect()
    }

    fn time(&self, unix_ms: i64) -> String {
        match self.format {
            TimeFormat::UnixMs => unix_ms.to_string(),
            TimeFormat::UnixS => unix_ms.div_euclid(1000).to_string(),
            TimeFormat::Rfc3339 => {
                let time = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH);
                Offset::UTC.to_datetime(time).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
            }
        }
    }
}

/// Returns the sign and digits at the start of a text, and the rest.
fn summand(text: &str) -> Option<(String, &str)> {
    let trimmed = text.trim_start_matches(' ');
    let sign = trimmed.chars().next().filter(|char| matches!(char, '+' | '-'))?;
    let digits = trimmed[1..].trim_start_matches(' ');
    let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
    (end > 0).then(|| (format!("{sign}{}", &digits[..end]), &digits[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced() {
        for (text, format, expected) in [
            ("no time", TimeFormat::UnixMs, "no time"),
            ("[\"LAST_POLL_TIME\"]", TimeFormat::UnixMs, "[\"1700000000123\"]"),
            ("LAST_POLL_TIME-180000", TimeFormat::UnixMs, "1699999820123"),
            ("LAST_POLL_TIME - 180000 + 1, x", TimeFormat::UnixMs, "1699999820124, x"),
            ("LAST_POLL_TIME-x LAST_POLL_TIME-", TimeFormat::UnixMs, "1700000000123-x 1700000000123-"),
            ("since=LAST_POLL_TIME&to=1", TimeFormat::UnixS, "since=1700000000&to=1"),
            ("LAST_POLL_TIME-123", TimeFormat::Rfc3339, "2023-11-14T22:13:20.000Z"),
            ("LAST_POLL_TIME-99999999999999999", TimeFormat::Rfc3339, "1970-01-01T00:00:00.000Z"),
            ("__import__('os') LAST_POLL_TIME*2", TimeFormat::UnixMs, "__import__('os') 1700000000123*2"),
        ] {
            assert_eq!(SinceText::parse(text, format).unwrap().at(1_700_000_000_123), expected, "{text}");
        }
        for text in ["LAST_POLL_TIME-99999999999999999999", "LAST_POLL_TIME-9223372036854775807-9"] {
            assert!(SinceText::parse(text, TimeFormat::UnixMs).is_err(), "{text}");
        }
    }
}
