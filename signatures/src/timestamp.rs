//! When something was signed, as vendors write it.

use std::str;

/// How a time of signing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Whole seconds since the Unix epoch.
    Seconds,
    /// Whole milliseconds since the Unix epoch.
    Milliseconds,
    /// RFC 3339, or digits, which are milliseconds: vendors that document the one have sent the other.
    Rfc3339,
}

impl Unit {
    /// Milliseconds since the Unix epoch, or nothing where the text is no such time in its one plain spelling.
    pub fn read(self, text: &[u8]) -> Option<i64> {
        match self {
            Self::Seconds => digits(text)?.checked_mul(1000),
            Self::Milliseconds => digits(text),
            Self::Rfc3339 => digits(text).or_else(|| {
                let time: jiff::Timestamp = str::from_utf8(text).ok()?.parse().ok()?;
                Some(time.as_millisecond())
            }),
        }
    }

    /// A time as a sender writes it.
    pub fn write(self, unix_ms: i64) -> String {
        match self {
            Self::Seconds => unix_ms.div_euclid(1000).to_string(),
            Self::Milliseconds => unix_ms.to_string(),
            Self::Rfc3339 => jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string(),
        }
    }
}

/// A number in digits only: no sign, no fraction, no leading zeros, few enough not to overflow.
fn digits(text: &[u8]) -> Option<i64> {
    let plain = (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let padded = text.len() > 1 && text[0] == b'0';
    if !plain || padded {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}
