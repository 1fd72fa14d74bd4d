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
    /// Seconds, with or without a fraction, milliseconds or RFC 3339: for vendors that do not document the format.
    Any,
    /// ISO 8601 in UTC without separators: `20260131T080000`.
    Compact,
}

/// Larger numbers are milliseconds: as seconds they would be after the year 5000.
const SECONDS_MAX: i64 = 100_000_000_000;

impl Unit {
    /// Parses a signing time into milliseconds since the Unix epoch. Returns `None` for any
    /// notation but plain digits, a fraction of seconds where the unit allows that, and RFC 3339.
    pub fn parse(self, text: &[u8]) -> Option<i64> {
        match self {
            Self::Seconds => digits(text)?.checked_mul(1000),
            Self::Milliseconds => digits(text),
            Self::Rfc3339 => digits(text).or_else(|| rfc3339(text)),
            Self::Any => {
                let whole = text.split(|byte| *byte == b'.').next()?;
                match (digits(whole), text[whole.len()..].strip_prefix(b".")) {
                    (Some(ms), None) if ms > SECONDS_MAX => Some(ms),
                    (Some(seconds), None) => seconds.checked_mul(1000),
                    (Some(seconds), Some(fraction)) => seconds.checked_mul(1000)?.checked_add(milliseconds(fraction)?),
                    (None, _) => rfc3339(text),
                }
            }
            Self::Compact => {
                let time = jiff::civil::DateTime::strptime(COMPACT, text).ok()?;
                Some(jiff::tz::Offset::UTC.to_timestamp(time).ok()?.as_millisecond())
            }
        }
    }

    /// Formats a signing time as a sender does.
    pub fn format(self, unix_ms: i64) -> String {
        match self {
            Self::Seconds | Self::Any => unix_ms.div_euclid(1000).to_string(),
            Self::Milliseconds => unix_ms.to_string(),
            Self::Rfc3339 => jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string(),
            Self::Compact => {
                let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
                jiff::tz::Offset::UTC.to_datetime(time).strftime(COMPACT).to_string()
            }
        }
    }
}

/// Returns the whole milliseconds of the digits after a decimal point.
fn milliseconds(fraction: &[u8]) -> Option<i64> {
    let is_plain = !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit);
    let digit = |at: usize| i64::from(fraction.get(at).map_or(0, |digit| digit - b'0'));
    is_plain.then(|| digit(0) * 100 + digit(1) * 10 + digit(2))
}

fn rfc3339(text: &[u8]) -> Option<i64> {
    let time: jiff::Timestamp = str::from_utf8(text).ok()?.parse().ok()?;
    Some(time.as_millisecond())
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
