//! Reads the header `Retry-After`, in every form in which servers write it.

use reqwest::header::{AGE, DATE, HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest wait that a server can ask for; a longer one is reduced to it.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Units after a number, which no standard has, in seconds.
const UNITS: [(&str, f64); 6] =
    [("ms", 0.001), ("seconds", 1.0), ("second", 1.0), ("secs", 1.0), ("sec", 1.0), ("s", 1.0)];

/// Returns the wait that a server asks for: the longest, if the header is repeated. `now_ms` is the host's time.
pub(crate) fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let texts = headers.get_all(RETRY_AFTER).iter().filter_map(|value| value.to_str().ok());
    let now = UNIX_EPOCH + Duration::from_millis(now_ms.try_into().unwrap_or(0));
    let now = server_time(headers, now);
    texts.filter_map(|text| parse(text, now)).max()
}

/// Returns the time by the server's clock, by which it wrote a date; the host's time if the server's is not known or not
/// plausible.
fn server_time(headers: &HeaderMap, now: SystemTime) -> SystemTime {
    let date = headers.get(DATE).filter(|_| !headers.contains_key(AGE)).and_then(|value| value.to_str().ok());
    let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
    let is_plausible = |date: &SystemTime| {
        let behind = now.duration_since(*date).unwrap_or_else(|ahead| ahead.duration());
        behind < RETRY_AFTER_MAX
    };
    date.filter(is_plausible).unwrap_or(now)
}

/// Parses a number of seconds, with or without a fraction, or a date. A time in the past means no wait.
fn parse(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim().trim_matches('"').trim();
    // Intermediaries join repeated headers.
    let numbers = text.split(',').map(|number| seconds(number.trim())).collect::<Option<Vec<_>>>();
    let wait = match numbers {
        Some(numbers) => numbers.into_iter().max()?,
        None => date(text)?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn seconds(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    let unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?.trim_end(), *seconds)));
    let (number, unit) = unit.unwrap_or((&text, 1.0));
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit());
    let count: f64 = number.parse().ok().filter(|_| is_number)?;
    Some(Duration::from_secs_f64((count * unit).clamp(0.0, RETRY_AFTER_MAX.as_secs_f64())))
}

/// Parses a date of HTTP. Some servers write a zone other than GMT, which means the same.
fn date(text: &str) -> Option<SystemTime> {
    let zones = ["UTC", "UT", "Z", "+0000", "-0000"];
    let in_gmt = zones.iter().find_map(|zone| Some(format!("{} GMT", text.strip_suffix(zone)?.trim_end())));
    httpdate::parse_http_date(in_gmt.as_deref().unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::{RETRY_AFTER_MAX, parse, server_time};
    use reqwest::header::{AGE, DATE, HeaderMap};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn waits_are_read_in_every_form() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        let cases = [
            ("1", Some(1_000)),
            (" 120 ", Some(120_000)),
            ("0", Some(0)),
            ("007", Some(7_000)),
            ("1.5", Some(1_500)),
            (".25", Some(250)),
            ("2.", Some(2_000)),
            ("1e1", Some(10_000)),
            ("+3", Some(3_000)),
            ("-3", Some(0)),
            ("\"4\"", Some(4_000)),
            ("5 s", Some(5_000)),
            ("6 Seconds", Some(6_000)),
            ("700ms", Some(700)),
            ("1, 30", Some(30_000)),
            ("86401", Some(86_400_000)),
            ("99999999999999999999999999999999", Some(86_400_000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90_000)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(90_000)),
            ("Sun Nov  6 08:49:37 1994", Some(90_000)),
            ("Sun, 06 Nov 1994 08:49:37 UTC", Some(90_000)),
            ("Sun, 06 Nov 1994 08:49:37 +0000", Some(90_000)),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("Mon, 06 Nov 1995 08:49:37 GMT", Some(86_400_000)),
            ("", None),
            ("soon", None),
            ("inf", None),
            ("NaN", None),
            ("s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, now), expected.map(Duration::from_millis), "{text}");
        }
        assert_eq!(parse(&"9".repeat(400), now), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn dates_are_by_the_clock_of_the_server() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut headers = HeaderMap::from_iter([(DATE, "Sun, 06 Nov 1994 08:40:37 GMT".parse().unwrap())]);
        assert_eq!(server_time(&headers, now), now - Duration::from_secs(9 * 60));
        headers.insert(AGE, "1".parse().unwrap());
        assert_eq!(server_time(&headers, now), now);
        for (date, expected) in [("Thu, 01 Jan 1970 00:00:00 GMT", now), ("today", now)] {
            let headers = HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
            assert_eq!(server_time(&headers, now), expected, "{date}");
        }
    }
}
