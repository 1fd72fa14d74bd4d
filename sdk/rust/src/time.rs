//! Vendors' times in a form that the host accepts.

use crate::text::present;

/// Converts a vendor's time to a form that the host accepts.
///
/// Numbers and RFC 3339 are unchanged. Otherwise a space between date and time becomes `T`, a missing offset becomes
/// `Z`, and an offset without a colon gets one: `2025-04-21 20:51:04.0581832` becomes `2025-04-21T20:51:04.0581832Z`.
///
/// Returns none if the text is absent, zero or not a time, and for years before 1970, which vendors use for "never":
/// the host rejects a whole event for one invalid time.
pub fn timestamp(text: &str) -> Option<String> {
    let text = present(text)?;
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let number = (1..=19).contains(&whole.len()) && !fraction.is_empty() && !fraction.contains('.');
        return (number && whole.bytes().any(|digit| digit != b'0')).then(|| text.to_owned());
    }
    let (date, rest) = text.split_at_checked(10)?;
    let clock_and_zone = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = clock_and_zone.find(['Z', 'z', '+', '-', ' ']).unwrap_or(clock_and_zone.len());
    let (clock, zone) = clock_and_zone.split_at(zone_at);
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let well_formed = looks_like(date, "0000-00-00")
        && looks_like(seconds, "00:00:00")
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !well_formed || date < "1970" || (date == "1970-01-01" && seconds == "00:00:00") {
        return None;
    }
    let zone = match zone.trim() {
        "" | "Z" | "z" | "UTC" => "Z".to_owned(),
        offset if looks_like(offset, "+00:00") => offset.to_owned(),
        offset if looks_like(offset, "+0000") => format!("{}:{}", &offset[..3], &offset[3..]),
        _ => return None,
    };
    Some(format!("{date}T{clock}{zone}"))
}

/// Returns whether `text` has digits where `shape` has `0`, a sign where it has `+`, and otherwise the same characters.
fn looks_like(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'+' => byte == b'+' || byte == b'-',
            _ => byte == shape,
        })
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn times_are_converted_and_absent_times_are_none() {
        let cases = [
            ("2024-01-15T10:00:00Z", Some("2024-01-15T10:00:00Z")),
            ("2021-04-27T12:19:27.7211305Z", Some("2021-04-27T12:19:27.7211305Z")),
            ("2025-04-21 20:51:04.058183200", Some("2025-04-21T20:51:04.058183200Z")),
            ("2021-03-24 18:19:49", Some("2021-03-24T18:19:49Z")),
            ("2024-06-05T09:15:24.000+0200", Some("2024-06-05T09:15:24.000+02:00")),
            ("2024-06-05 09:15:24 UTC", Some("2024-06-05T09:15:24Z")),
            ("1705320000", Some("1705320000")),
            ("1717578914.332298000", Some("1717578914.332298000")),
            ("133551234567890000", Some("133551234567890000")),
            ("0", None),
            ("0.000", None),
            ("1.2.3.4", None),
            ("", None),
            ("none", None),
            ("0001-01-01T00:00:00Z", None),
            ("1601-01-01T00:00:00Z", None),
            ("1970-01-01T00:00:00Z", None),
            ("2024-06-05T09:15:24.000+01.00", None),
            ("2024-06-05", None),
            ("12/Feb/2020:08:32:15 -0600", None),
            ("2024-06-0\u{e9}T00:00:00Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(timestamp(text).as_deref(), expected, "{text}");
        }
    }
}
