//! Points in time as vendors write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The Unix epoch as a Windows FILETIME, which counts steps of 100 ns from 1601.
const FILETIME_EPOCH: i128 = 116_444_736_000_000_000;
/// The upper bound of a count in each unit.
const SECONDS: i128 = 100_000_000_000;
const MILLISECONDS: i128 = 100_000_000_000_000;
const MICROSECONDS: i128 = 100_000_000_000_000_000;
const FILETIMES: i128 = 1_000_000_000_000_000_000;

/// Parses RFC 3339 with any offset and any number of fractional digits, or digits that count from the Unix epoch in
/// seconds, milliseconds, microseconds or nanoseconds, or from 1601 in steps of 100 ns (Windows FILETIME).
///
/// The units are distinguished by size: below 10¹¹ seconds (the year 5138), below 10¹⁴ ms, below 10¹⁷ µs, below 10¹⁸
/// FILETIME (from 1970, 1.16 × 10¹⁷, to the year 4769), above that ns (from 2001). Each unit may have a fraction.
///
/// # Errors
/// Returns a sentence with the reason if `text` is not such a time, or if its year is not between 1970 and 9999.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let parsed = match text.split_once('.') {
        None if is_digits(text) => from_digits(text),
        Some((whole, fraction)) if is_digits(whole) && is_digits(fraction) => with_fraction(whole, fraction),
        _ => shortened(text).parse().ok(),
    };
    match parsed {
        Some(time) if (1970..=9999).contains(&year(time)) => Ok(time),
        Some(_) => Err(format!("`{text}` is not between the years 1970 and 9999")),
        None => Err(format!("`{}` is neither RFC 3339 nor a number of seconds, ms, µs, ns or FILETIME", clip(text))),
    }
}

/// Returns the year in UTC.
pub fn year(time: Timestamp) -> i16 {
    TimeZone::UTC.to_datetime(time).year()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn from_digits(text: &str) -> Option<Timestamp> {
    let count: i128 = text.parse().ok()?;
    let epoch = if (MICROSECONDS..FILETIMES).contains(&count) { FILETIME_EPOCH } else { 0 };
    Timestamp::from_nanosecond((count - epoch).checked_mul(unit_nanos(count))?).ok()
}

fn with_fraction(whole: &str, fraction: &str) -> Option<Timestamp> {
    let billionths: i128 = format!("{fraction:0<9.9}").parse().ok()?;
    let nanos = billionths * unit_nanos(whole.parse().ok()?) / 1_000_000_000;
    Timestamp::from_nanosecond(from_digits(whole)?.as_nanosecond() + nanos).ok()
}

/// Returns the nanoseconds of one step of a count of this size.
fn unit_nanos(count: i128) -> i128 {
    match count {
        0..SECONDS => 1_000_000_000,
        SECONDS..MILLISECONDS => 1_000_000,
        MILLISECONDS..MICROSECONDS => 1_000,
        MICROSECONDS..FILETIMES => 100,
        _ => 1,
    }
}

/// Cuts a fraction to nine digits, as many as a [`Timestamp`] can hold.
fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(dot) = text.find('.') else { return text.into() };
    let fraction = text[dot + 1..].bytes().take_while(u8::is_ascii_digit).count();
    if fraction <= 9 {
        return text.into();
    }
    format!("{}{}", &text[..dot + 10], &text[dot + 1 + fraction..]).into()
}

fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_are_read_in_every_form() {
        let cases = [
            ("2024-01-15T10:00:00Z", "2024-01-15T10:00:00Z"),
            ("2024-01-15T12:00:00+02:00", "2024-01-15T10:00:00Z"),
            ("2021-04-27T12:19:27.7211305Z", "2021-04-27T12:19:27.7211305Z"),
            ("2019-05-17T15:31:56.7466090461234Z", "2019-05-17T15:31:56.746609046Z"),
            ("1705320000", "2024-01-15T12:00:00Z"),
            ("1581517935.25", "2020-02-12T14:32:15.25Z"),
            ("1705320000000", "2024-01-15T12:00:00Z"),
            ("1705320000000.75", "2024-01-15T12:00:00.00075Z"),
            ("1705320000000000", "2024-01-15T12:00:00Z"),
            ("1705320000000000000", "2024-01-15T12:00:00Z"),
            ("133497936000000000", "2024-01-15T12:00:00Z"),
            ("0", "1970-01-01T00:00:00Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(|time| time.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn other_texts_and_years_out_of_bounds_are_refused() {
        for text in [
            "",
            "yesterday",
            "2024-01-15",
            "-5",
            "1601-01-01T00:00:00Z",
            "+012345-01-01T00:00:00Z",
            "1e9",
            "99999999999999999999999999",
            "2024-13-01T00:00:00Z",
            "100000000000000000",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
