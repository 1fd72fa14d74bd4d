//! Placeholders in the texts of requests, such as `LAST_POLL_TIME` and sums such as `LAST_POLL_TIME-180000`. They are parsed
//! once, with the configuration; nothing else in a text is evaluated.

use anyhow::{Context, Result, ensure};
use hookmill_incident::words;
use jiff::Timestamp;
use jiff::tz::Offset;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The characters of an id that are encoded in a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

words!(
    /// The notation of a time.
    TimeFormat {
        /// Milliseconds since the Unix epoch.
        UnixMs = "unix_ms",
        /// Seconds since the Unix epoch.
        UnixS = "unix_s",
        /// RFC 3339, such as 2026-01-31T08:00:00.000Z.
        Rfc3339 = "rfc3339",
        /// RFC 3339 without a fraction, such as 2026-01-31T08:00:00Z.
        Rfc3339S = "rfc3339_s",
        /// The day in UTC, such as 2026-01-31.
        Date = "date",
    }
);

words!(
    /// The name that stands for a value.
    Placeholder {
        /// The time of the last poll.
        Time = "LAST_POLL_TIME",
        /// The time of this poll, up to which items are requested.
        Until = "THIS_POLL_TIME",
        /// The number of items before the page.
        Offset = "NEXT_OFFSET",
        /// The number of the page, from 1 on.
        Page = "NEXT_PAGE",
        /// The value that the page before has at `next`.
        Cursor = "NEXT_CURSOR",
        /// The word that moves a position which the server keeps.
        Operation = "NEXT_OPERATION",
        /// The ids of several items, as a list.
        Ids = "ITEM_IDS",
        /// The id of an item.
        Id = "ITEM_ID",
    }
);

impl Placeholder {
    /// The placeholders in the address of a list.
    pub const OF_URL: &'static [Self] = &[Self::Time, Self::Until, Self::Offset, Self::Page, Self::Operation];
    /// The placeholders in the body of a request for a list.
    pub const OF_BODY: &'static [Self] =
        &[Self::Time, Self::Until, Self::Offset, Self::Page, Self::Operation, Self::Cursor];
    /// The placeholders in the address of details.
    pub const OF_DETAIL_URL: &'static [Self] = &[Self::Time, Self::Until, Self::Id];
    /// The placeholders in the body of a request for details.
    pub const OF_DETAIL_BODY: &'static [Self] = &[Self::Time, Self::Until, Self::Id, Self::Ids];

    /// Returns the first placeholder in a text with its position. The longer of two names that begin alike is the right one.
    fn first_in(text: &str) -> Option<(usize, Self)> {
        let found = Self::ALL.iter().filter_map(|name| Some((text.find(name.as_str())?, *name)));
        found.min_by_key(|(at, name)| (*at, usize::MAX - name.as_str().len()))
    }

    /// Returns whether a number can be added to the value.
    fn is_number(self) -> bool {
        matches!(self, Self::Time | Self::Until | Self::Offset | Self::Page)
    }
}

/// The values of the placeholders in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestValues<'v> {
    /// Milliseconds since the Unix epoch.
    pub since_ms: i64,
    pub until_ms: i64,
    pub offset: u64,
    pub page: u64,
    pub cursor: Option<&'v Value>,
    pub operation: &'v str,
    pub ids: &'v [Value],
}

/// A text with placeholders.
#[derive(Debug)]
pub struct RequestText {
    segments: Vec<TextSegment>,
    format: TimeFormat,
}

#[derive(Debug, PartialEq, Eq)]
enum TextSegment {
    Text(String),
    /// A value plus a number.
    Value(Placeholder, i64),
}

impl RequestText {
    /// Parses a text, which may have the placeholders in `allowed`.
    ///
    /// # Errors
    /// Returns an error if the text has another placeholder, or a summand is too large.
    pub fn parse(text: &str, format: TimeFormat, allowed: &[Placeholder]) -> Result<Self> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((at, name)) = Placeholder::first_in(rest) {
            ensure!(
                allowed.contains(&name),
                "`{name}` has no value here; use only: {}",
                allowed.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
            );
            segments.push(TextSegment::Text(rest[..at].to_owned()));
            rest = &rest[at + name.as_str().len()..];
            let mut sum = 0_i64;
            while name.is_number()
                && let Some((summand, after)) = summand(rest)
            {
                let added = summand.parse::<i64>().ok().and_then(|summand| sum.checked_add(summand));
                sum = added.with_context(|| format!("the number in `{name}{summand}` is too large"))?;
                rest = after;
            }
            segments.push(TextSegment::Value(name, sum));
        }
        segments.push(TextSegment::Text(rest.to_owned()));
        Ok(Self { segments, format })
    }

    /// Returns whether the text has a placeholder.
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.segments.iter().any(|segment| matches!(segment, TextSegment::Value(name, _) if *name == placeholder))
    }

    /// Returns the text if it has no placeholder.
    pub(super) fn fixed(&self) -> Option<&str> {
        match &self.segments[..] {
            [TextSegment::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the text with example values, for checks.
    pub fn example(&self) -> String {
        self.url(&RequestValues { since_ms: 0, until_ms: 0, offset: 0, page: 1, cursor: None, operation: "", ids: &[] })
    }

    /// Returns the text with these values.
    pub(super) fn text(&self, values: &RequestValues<'_>) -> String {
        self.written(values, |id| id)
    }

    /// Returns the text with these values as a URL, in which ids are encoded.
    pub(super) fn url(&self, values: &RequestValues<'_>) -> String {
        self.written(values, |id| utf8_percent_encode(&id, ENCODED).to_string())
    }

    /// Returns the value of a text that consists of one placeholder; `None` if it has no value now.
    pub(super) fn value(&self, values: &RequestValues<'_>) -> Option<Value> {
        let (name, sum) = self.segments.iter().find_map(|segment| match segment {
            TextSegment::Value(name, sum) => Some((*name, *sum)),
            TextSegment::Text(_) => None,
        })?;
        match name {
            Placeholder::Cursor => values.cursor.cloned(),
            Placeholder::Id => values.ids.first().cloned(),
            Placeholder::Ids => Some(values.ids.to_vec().into()),
            Placeholder::Operation => Some(values.operation.into()),
            Placeholder::Time | Placeholder::Until | Placeholder::Offset | Placeholder::Page => {
                let written = self.number(name, sum, values);
                Some(written.parse::<i64>().map_or(Value::String(written), Value::from))
            }
        }
    }

    fn written(&self, values: &RequestValues<'_>, id: impl Fn(String) -> String) -> String {
        let written = self.segments.iter().map(|segment| match segment {
            TextSegment::Text(text) => text.clone(),
            TextSegment::Value(Placeholder::Operation, _) => values.operation.to_owned(),
            TextSegment::Value(Placeholder::Cursor, _) => values.cursor.map(text_of).unwrap_or_default(),
            TextSegment::Value(Placeholder::Id | Placeholder::Ids, _) => {
                values.ids.first().map(text_of).map(&id).unwrap_or_default()
            }
            TextSegment::Value(name, sum) => self.number(*name, *sum, values),
        });
        written.collect()
    }

    fn number(&self, name: Placeholder, sum: i64, values: &RequestValues<'_>) -> String {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX).saturating_add(sum).to_string();
        match name {
            Placeholder::Offset => count(values.offset),
            Placeholder::Page => count(values.page),
            Placeholder::Until => self.time(values.until_ms.saturating_add(sum).max(0)),
            _ => self.time(values.since_ms.saturating_add(sum).max(0)),
        }
    }

    fn time(&self, unix_ms: i64) -> String {
        let written = |form: &str| {
            let time = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH);
            Offset::UTC.to_datetime(time).strftime(form).to_string()
        };
        match self.format {
            TimeFormat::UnixMs => unix_ms.to_string(),
            TimeFormat::UnixS => unix_ms.div_euclid(1000).to_string(),
            TimeFormat::Rfc3339 => written("%Y-%m-%dT%H:%M:%S.%3fZ"),
            TimeFormat::Rfc3339S => written("%Y-%m-%dT%H:%M:%SZ"),
            TimeFormat::Date => written("%Y-%m-%d"),
        }
    }
}

/// Returns the placeholder with its summands at the start of a text, and the rest.
pub(super) fn leading_placeholder(text: &str) -> Option<(&str, &str)> {
    let names = Placeholder::ALL.iter().filter(|name| text.starts_with(name.as_str()));
    let name = names.max_by_key(|name| name.as_str().len())?;
    let mut rest = &text[name.as_str().len()..];
    while name.is_number()
        && let Some((_, after)) = summand(rest)
    {
        rest = after;
    }
    Some(text.split_at(text.len() - rest.len()))
}

/// Returns the sign and digits at the start of a text, and the rest.
fn summand(text: &str) -> Option<(String, &str)> {
    let trimmed = text.trim_start_matches(' ');
    let sign = trimmed.chars().next().filter(|char| matches!(char, '+' | '-'))?;
    let digits = trimmed[1..].trim_start_matches(' ');
    let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
    (end > 0).then(|| (format!("{sign}{}", &digits[..end]), &digits[end..]))
}

/// Returns a text as it is, and any other value as JSON.
pub(super) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: RequestValues<'static> = RequestValues {
        since_ms: 1_700_000_000_123,
        until_ms: 1_700_000_060_999,
        offset: 200,
        page: 3,
        cursor: None,
        operation: "resend",
        ids: &[],
    };

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
            ("LAST_POLL_TIME+1000", TimeFormat::Rfc3339S, "2023-11-14T22:13:21Z"),
            ("LAST_POLL_TIME-99999999999999999", TimeFormat::Rfc3339, "1970-01-01T00:00:00.000Z"),
            ("__import__('os') LAST_POLL_TIME*2", TimeFormat::UnixMs, "__import__('os') 1700000000123*2"),
            ("LAST_POLL_TIME/THIS_POLL_TIME-1000", TimeFormat::UnixS, "1700000000/1700000059"),
            ("LAST_POLL_TIME-1", TimeFormat::Date, "2023-11-14"),
            ("operation=NEXT_OPERATION-1", TimeFormat::UnixMs, "operation=resend-1"),
            ("NEXT_OFFSET+1 to NEXT_OFFSET + 100 of NEXT_PAGE-1", TimeFormat::UnixMs, "201 to 300 of 2"),
        ] {
            let parsed = RequestText::parse(text, format, Placeholder::OF_URL).unwrap();
            assert_eq!(parsed.text(&VALUES), expected, "{text}");
        }
        for text in ["LAST_POLL_TIME-99999999999999999999", "LAST_POLL_TIME-9223372036854775807-9", "NEXT_CURSOR"] {
            assert!(RequestText::parse(text, TimeFormat::UnixMs, Placeholder::OF_URL).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_are_encoded_in_urls() {
        let text = RequestText::parse("/alerts/ITEM_ID?a=b", TimeFormat::UnixMs, Placeholder::OF_DETAIL_URL).unwrap();
        let ids = [Value::from("a/../b ?c&d:ü")];
        assert_eq!(text.url(&RequestValues { ids: &ids, ..VALUES }), "/alerts/a%2F..%2Fb%20%3Fc%26d%3A%C3%BC?a=b");
        let ids = [Value::from(12_345_678_901_234_567_890_u64)];
        assert_eq!(text.url(&RequestValues { ids: &ids, ..VALUES }), "/alerts/12345678901234567890?a=b");
    }
}
