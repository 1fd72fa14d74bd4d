//! Signing times, as vendors write them.

use std::str;

const COMPACT: &str = "%Y%m%dT%H%M%S";

/// The unit and format of a signing time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Whole seconds since the Unix epoch.
    Seconds,
    /// Whole milliseconds since the Unix epoch.
    Milliseconds,
    /// RFC 3339. Plain digits are accepted as milliseconds, because vendors that document RFC 3339 have sent them.
    Rfc3339,
    /// ISO 8601 in UTC without separators: `20260131T080000`.
    Compact,
}

impl Unit {
    /// Parses a signing time into milliseconds since the Unix epoch. Returns `None` for any notation but plain digits or RFC 3339.
    pub fn parse(self, text: &[u8]) -> Option<i64> {
        match self {
            Self::Seconds => digits(text)?.checked_mul(1000),
            Self::Milliseconds => digits(text),
            Self::Rfc3339 => digits(text).or_else(|| {
                let time: jiff::Timestamp = str::from_utf8(text).ok()?.parse().ok()?;
                Some(time.as_millisecond())
            }),
            Self::Compact => {
                let time = jiff::civil::DateTime::strptime(COMPACT, text).ok()?;
                Some(jiff::tz::Offset::UTC.to_timestamp(time).ok()?.as_millisecond())
            }
        }
    }

    /// Formats a signing time as a sender does.
    pub fn format(self, unix_ms: i64) -> String {
        match self {
            Self::Seconds => unix_ms.div_euclid(1000).to_string(),
            Self::Milliseconds => unix_ms.to_string(),
            Self::Rfc3339 => jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string(),
            Self::Compact => {
                let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
                jiff::tz::Offset::UTC.to_datetime(time).strftime(COMPACT).to_string()
            }
        }
    }
}

/// Parses a number that consists of digits only: without a sign, a fraction or leading zeros, and short enough not to
/// overflow.
fn digits(text: &[u8]) -> Option<i64> {
    let plain = (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let padded = text.len() > 1 && text[0] == b'0';
    if !plain || padded {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}
