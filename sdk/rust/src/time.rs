//! Vendors' times in a form that the host accepts.

use crate::Fields;
use crate::path::excerpt;
use crate::present::present;
use crate::problems::problem;
use std::borrow::Cow;

/// The greatest time that the host accepts, 9999-12-30T22:00:00Z, in seconds since the Unix epoch.
const SECONDS_MAX: i64 = 253_402_207_200;
/// The ends of the ranges of counts in each unit. Counts from [`FILETIME_END`] are nanoseconds.
const SECONDS_END: i128 = 100_000_000_000;
const MILLISECONDS_END: i128 = 100_000_000_000_000;
const MICROSECONDS_END: i128 = 100_000_000_000_000_000;
const FILETIME_END: i128 = 1_000_000_000_000_000_000;
/// The Unix epoch as a Windows FILETIME, which counts steps of 100 ns from 1601.
const FILETIME_EPOCH: i128 = 116_444_736_000_000_000;
/// The FILETIME that stands for "never".
const FILETIME_NEVER: &str = "9223372036854775807";
/// The length of most times.
const TIME_BYTES: usize = 32;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const OUT_OF_RANGE: &str = "it is not between the years 1970 and 9999";
const NO_TIME: &str = "it is not a time";
const NO_SUCH_TIME: &str = "there is no such day or time of day";

/// Converts a vendor's time to a form that the host accepts: a number is unchanged, other times become RFC 3339.
///
/// - Numbers are seconds, milliseconds, microseconds, nanoseconds or Windows FILETIME, distinguished by size.
/// - Between date and time may be a space; seconds, fraction, time of day and offset may be missing. A time without an
///   offset is UTC.
/// - Also read: `20240605T091524Z`, `Wed, 05 Jun 2024 09:15:24 GMT`, `Wed Jun  5 09:15:24 2024`,
///   `05/Jun/2024:09:15:24 -0600` and, with AM or PM, `6/5/2024 9:15:24 AM`.
///
/// Returns none if the text is absent or a value that vendors use for "never": zero, the first day of the years 0, 1,
/// 1601 and 1900, and 9999-12-31. Any other text that is not a time, an impossible day, and a year outside 1970 to 9999
/// are reported as problems.
pub fn timestamp(text: &str) -> Option<String> {
    let text = present(text)?;
    parse(text).unwrap_or_else(|reason| {
        problem(format!("the time `{}` is left out: {reason}", excerpt(text)));
        None
    })
}

/// Returns whether [`timestamp`] converts this text.
pub fn is_timestamp(text: &str) -> bool {
    matches!(parse(text), Ok(Some(_)))
}

impl Fields<'_> {
    /// Returns the first value at one of `paths`, in their order, that [`timestamp`] converts.
    pub fn time(&self, paths: &[&str]) -> Option<String> {
        paths.iter().find_map(|path| timestamp(self.first(&[path])?))
    }
}

fn parse(text: &str) -> Result<Option<String>, &'static str> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return number(text);
    }
    let time = basic(text).or_else(|| ordered(text)).or_else(|| named(text)).or_else(|| american(text));
    time.ok_or(NO_TIME)?.format()
}

fn number(text: &str) -> Result<Option<String>, &'static str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let count: i128 = whole.parse().map_err(|_| NO_TIME)?;
    fraction.parse::<u128>().map_err(|_| NO_TIME)?;
    if count == 0 || whole == FILETIME_NEVER {
        return Ok(None);
    }
    let seconds = match count {
        ..SECONDS_END => count,
        SECONDS_END..MILLISECONDS_END => count / 1_000,
        MILLISECONDS_END..MICROSECONDS_END => count / 1_000_000,
        MICROSECONDS_END..FILETIME_END => (count - FILETIME_EPOCH) / 10_000_000,
        FILETIME_END.. => count / 1_000_000_000,
    };
    if !(0..=i128::from(SECONDS_MAX)).contains(&seconds) {
        return Err(OUT_OF_RANGE);
    }
    // Only seconds may have a fraction.
    Ok(Some(if whole.len() <= 11 { text } else { whole }.to_owned()))
}

/// The parts of a time as they are written.
#[derive(Default)]
struct Written<'t> {
    year: &'t str,
    month: &'t str,
    day: &'t str,
    clock: &'t str,
    zone: &'t str,
    is_afternoon: Option<bool>,
}

/// Reads `20240605T091524Z`.
fn basic(text: &str) -> Option<Written<'_>> {
    let (date, rest) = text.split_at_checked(8).filter(|(date, _)| is_number(date))?;
    let rest = rest.strip_prefix(['T', 't'])?;
    let clock = rest.get(..6).filter(|clock| is_number(clock))?;
    Some(Written {
        year: &date[..4],
        month: &date[4..6],
        day: &date[6..],
        clock,
        zone: &rest[6..],
        ..Written::default()
    })
}

/// Reads `2024-06-05T09:15:24.5+02:00`, with any of its parts after the date missing.
fn ordered(text: &str) -> Option<Written<'_>> {
    let (date, rest) = text.split_at_checked(10)?;
    let separator = date.as_bytes()[4];
    let is_date = date.is_ascii() && matches!(separator, b'-' | b'/') && date.as_bytes()[7] == separator;
    let [year, month, day] = [date.get(..4)?, date.get(5..7)?, date.get(8..)?];
    if !is_date || ![year, month, day].into_iter().all(is_number) {
        return None;
    }
    let written = Written { year, month, day, ..Written::default() };
    if rest.is_empty() {
        return Some(written);
    }
    let rest = rest.strip_prefix(['T', 't', ' ', '_'])?.trim();
    let zone_at = rest.find(|sign: char| !sign.is_ascii_digit() && !":.,".contains(sign)).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    Some(Written { clock, zone: zone.trim(), ..written })
}

/// Reads a time with the name of its month.
fn named(text: &str) -> Option<Written<'_>> {
    let mut written = Written::default();
    for word in text.split([' ', ',', '/', '(', ')']).filter(|word| !word.is_empty()) {
        let is_month = |word: &str| month_of(word).is_some();
        match word {
            _ if written.month.is_empty() && is_month(word) => written.month = word,
            // `2024:09:15:24`
            _ if word.len() == 13 && word.as_bytes()[4] == b':' => (written.year, written.clock) = word.split_at(4),
            _ if word.contains(':') && !word.starts_with(['+', '-']) && written.clock.is_empty() => {
                written.clock = word
            }
            _ if is_number(word) && word.len() == 4 => written.year = word,
            _ if is_number(word) && word.len() <= 2 => written.day = word,
            _ if word.len() == 2 && word.eq_ignore_ascii_case("pm") => written.is_afternoon = Some(true),
            _ if word.len() == 2 && word.eq_ignore_ascii_case("am") => written.is_afternoon = Some(false),
            // The day of the week comes first.
            _ if written.clock.is_empty() => {}
            _ => written.zone = word,
        }
    }
    written.clock = written.clock.trim_start_matches(':');
    (!written.month.is_empty() && !written.year.is_empty() && !written.day.is_empty()).then_some(written)
}

/// Reads `6/5/2024 9:15:24 AM`. Without AM or PM, the order of day and month is not certain.
fn american(text: &str) -> Option<Written<'_>> {
    let mut words = text.split_whitespace();
    let mut date = words.next()?.split('/');
    let (month, day, year) = (date.next()?, date.next()?, date.next()?);
    let (clock, half) = (words.next()?, words.next()?);
    let is_afternoon = half.eq_ignore_ascii_case("pm");
    let is_date = [month, day, year].into_iter().all(is_number) && year.len() == 4;
    if !is_date || !(is_afternoon || half.eq_ignore_ascii_case("am")) {
        return None;
    }
    let zone = words.next().unwrap_or_default();
    Some(Written { year, month, day, clock, zone, is_afternoon: Some(is_afternoon) })
}

impl Written<'_> {
    fn format(&self) -> Result<Option<String>, &'static str> {
        let year: i64 = self.year.parse().map_err(|_| NO_TIME)?;
        let month = self.month.parse().ok().or_else(|| month_of(self.month)).ok_or(NO_TIME)?;
        let day: i64 = self.day.parse().map_err(|_| NO_TIME)?;
        let (clock, fraction) = self.clock.split_once(['.', ',']).unwrap_or((self.clock, ""));
        let [hour, minute, second] = self.time_of_day(clock)?;
        if !fraction.is_empty() && !is_number(fraction) {
            return Err(NO_TIME);
        }
        let (zone, offset_minutes) = zone(self.zone)?;
        let is_day = (1..=12).contains(&month) && (1..=days(year, month)).contains(&day);
        if !is_day || hour > 23 || minute > 59 || second > 60 {
            return Err(NO_SUCH_TIME);
        }
        if matches!((year, month, day), (0 | 1 | 1601 | 1900, 1, 1) | (9999, 12, 31)) {
            return Ok(None);
        }
        let minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
        let seconds = minutes * 60 + second;
        if seconds == 0 {
            return Ok(None);
        }
        if !(0..=SECONDS_MAX).contains(&seconds) {
            return Err(OUT_OF_RANGE);
        }
        // A leap second.
        let second = second.min(59);
        let dot = if fraction.is_empty() { "" } else { "." };
        let parts = [year / 100, year % 100, month, day, hour, minute, second];
        let mut text = String::with_capacity(TIME_BYTES);
        for (number, sign) in parts.into_iter().zip(["", "-", "-", "T", ":", ":", dot]) {
            text.extend([number / 10, number % 10].map(|digit| char::from(b'0' + digit as u8)));
            text.push_str(sign);
        }
        text.extend([fraction, &zone]);
        Ok(Some(text))
    }

    fn time_of_day(&self, clock: &str) -> Result<[i64; 3], &'static str> {
        let mut colons = clock.splitn(3, ':');
        let texts = match clock.len() {
            0 => ["0"; 3],
            6 if is_number(clock) => [&clock[..2], &clock[2..4], &clock[4..]],
            _ => [colons.next(), colons.next(), Some(colons.next().unwrap_or("0"))].map(Option::unwrap_or_default),
        };
        let mut parts = [0; 3];
        for (part, text) in parts.iter_mut().zip(texts) {
            if !is_number(text) || text.len() > 2 {
                return Err(NO_TIME);
            }
            *part = text.parse().map_err(|_| NO_TIME)?;
        }
        match self.is_afternoon {
            Some(_) if !(1..=12).contains(&parts[0]) => return Err(NO_SUCH_TIME),
            Some(is_afternoon) => parts[0] = parts[0] % 12 + if is_afternoon { 12 } else { 0 },
            None => {}
        }
        Ok(parts)
    }
}

/// Returns an offset in the form of RFC 3339 and in minutes.
fn zone(text: &str) -> Result<(Cow<'static, str>, i64), &'static str> {
    let text = text.trim_matches(['(', ')', ' ', '[', ']']);
    if ["", "Z", "UTC", "GMT", "Z UTC", "Z[UTC"].iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return Ok((Cow::Borrowed("Z"), 0));
    }
    let number: String = text.chars().filter(|sign| *sign != ':').collect();
    let (sign, digits) = number.split_at_checked(1).ok_or(NO_TIME)?;
    let is_offset = matches!(sign, "+" | "-") && is_number(digits) && matches!(digits.len(), 2 | 4);
    if !is_offset {
        return Err("its time zone is not known");
    }
    let (hours, minutes) = (&digits[..2], digits.get(2..).filter(|minutes| !minutes.is_empty()).unwrap_or("00"));
    let count = hours.parse::<i64>().unwrap_or(99) * 60 + minutes.parse::<i64>().unwrap_or(99);
    if count > 24 * 60 || minutes > "59" {
        return Err("its time zone is not known");
    }
    Ok((Cow::Owned(format!("{sign}{hours}:{minutes}")), if sign == "-" { -count } else { count }))
}

fn month_of(name: &str) -> Option<i64> {
    let short = name.get(..3)?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|known| *known == short)?;
    name.bytes().all(|letter| letter.is_ascii_alphabetic()).then_some(month as i64 + 1)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn days(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let before = |year: i64| year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let months: i64 = (1..month).map(|month| days(year, month)).sum();
    before(year) - before(1970) + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::{parse, timestamp};

    #[test]
    fn times_of_every_spelling_are_read() {
        let cases = [
            ("2024-01-15T10:00:00Z", "2024-01-15T10:00:00Z"),
            ("2021-04-27T12:19:27.7211305Z", "2021-04-27T12:19:27.7211305Z"),
            ("2025-04-21 20:51:04.058183200", "2025-04-21T20:51:04.058183200Z"),
            ("2021-03-24 18:19:49", "2021-03-24T18:19:49Z"),
            ("2024-06-05T09:15:24.000+0200", "2024-06-05T09:15:24.000+02:00"),
            ("2024-06-05T09:15:24,5+02", "2024-06-05T09:15:24.5+02:00"),
            ("2024-06-05 09:15:24 UTC", "2024-06-05T09:15:24Z"),
            ("2024-06-05 09:15:24 (UTC)", "2024-06-05T09:15:24Z"),
            ("2024-06-05T09:15Z", "2024-06-05T09:15:00Z"),
            ("2024/06/05 09:15:24", "2024-06-05T09:15:24Z"),
            ("2024-06-05", "2024-06-05T00:00:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("20240605T091524Z", "2024-06-05T09:15:24Z"),
            ("Wed, 05 Jun 2024 09:15:24 GMT", "2024-06-05T09:15:24Z"),
            ("Wed Jun  5 09:15:24 2024", "2024-06-05T09:15:24Z"),
            ("05/Jun/2024:09:15:24 -0600", "2024-06-05T09:15:24-06:00"),
            ("June 5, 2024 9:15:24 PM", "2024-06-05T21:15:24Z"),
            ("6/5/2024 12:15:24 AM", "2024-06-05T00:15:24Z"),
            ("1705320000", "1705320000"),
            ("1717578914.332298000", "1717578914.332298000"),
            ("1705320000000.5", "1705320000000"),
            ("133551234567890000", "133551234567890000"),
            ("1705320000000000000", "1705320000000000000"),
        ];
        for (text, expected) in cases {
            assert_eq!(timestamp(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_first_field_that_is_a_time_is_read() {
        let fields: crate::Fields = serde_json::from_str(r#"{"a": "0001-01-01", "b": {"c": 1700000000}}"#).unwrap();
        assert_eq!(fields.time(&["x", "a", "b.c"]).as_deref(), Some("1700000000"));
        assert_eq!(fields.time(&["x", "a"]), None);
    }

    #[test]
    fn never_is_absent_and_everything_else_is_a_problem() {
        let nevers = [
            "0",
            "0.000",
            "0001-01-01T00:00:00Z",
            "1601-01-01T00:00:00Z",
            "1970-01-01 00:00:00",
            "9999-12-31",
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T00:00:00+01:00",
            "12/31/9999 11:59:59 PM",
        ];
        for text in nevers {
            assert_eq!(parse(text), Ok(None), "{text}");
        }
        let faults = [
            "1.2.3.4",
            "2026-02-30T10:00:00Z",
            "2026-02-29",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "1950-05-05T00:00:00Z",
            "1970-01-01T00:30:00+02:00",
            "9999-12-30T23:59:59Z",
            "9999-12-32T00:00:00Z",
            "12024-01-01T00:00:00Z",
            "-5",
            "100000000000000000",
            "99999999999999999999999",
            "99999999999999999999999999999999999999999999",
            "2024-06-05T09:15:24.000+01.00",
            "2024-06-05T09:15:24 CEST",
            "2024-06-05T9Z",
            "05/06/2024 09:15:24",
            "yesterday",
            "2024-06-0\u{e9}T00:00:00Z",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
            "Jun",
            "Wed Jun 31 09:15:24 2024",
        ];
        for text in faults {
            assert!(parse(text).is_err(), "{text}: {:?}", parse(text));
        }
    }
}
