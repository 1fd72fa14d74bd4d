//! The patterns of `dateFormat`: Java's letters for dates, as in TheHive's templates, with English names.

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::fmt::Write;

/// The greatest length of a pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256;
const LETTERS: &str = "yMdHhmsSaEzZX";
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A format of times.
#[derive(Clone, Debug)]
pub(super) struct DatePattern {
    segments: Vec<PatternSegment>,
    offset: Offset,
}

#[derive(Clone, Debug)]
enum PatternSegment {
    Text(String),
    /// A letter and the number of its repetitions.
    Letter(char, usize),
}

impl DatePattern {
    /// Parses a pattern such as `yyyy-MM-dd 'at' HH:mm` and its zone: `UTC`, an offset such as `+02:00`, or an English
    /// locale, which has no effect.
    ///
    /// # Errors
    /// Returns an error that explains the mistake and lists the allowed values.
    pub fn new(pattern: &str, zone: Option<&str>) -> Result<Self> {
        ensure!(
            (1..=PATTERN_BYTES_MAX).contains(&pattern.len()),
            "a date pattern has 1 to {PATTERN_BYTES_MAX} bytes; this one has {}",
            pattern.len()
        );
        let mut segments = Vec::new();
        let mut rest = pattern;
        while !rest.is_empty() {
            let (segment, length) = first_segment(rest, pattern)?;
            segments.push(segment);
            rest = &rest[length..];
        }
        Ok(Self { segments, offset: zone.map_or(Ok(Offset::UTC), parse_zone)? })
    }

    /// Returns a time in this format.
    pub fn format(&self, time: Timestamp) -> String {
        let local = self.offset.to_datetime(time);
        let mut text = String::new();
        for segment in &self.segments {
            match segment {
                PatternSegment::Text(literal) => text.push_str(literal),
                PatternSegment::Letter(letter, count) => text.push_str(&self.letter(*letter, *count, local)),
            }
        }
        text
    }

    fn letter(&self, letter: char, count: usize, local: DateTime) -> String {
        let number = |number: i64| format!("{number:0count$}");
        let name = |names: &[&str], index: i8| {
            let name = names.get(usize::try_from(index).unwrap_or_default()).copied().unwrap_or_default();
            if count < 4 { name[..3.min(name.len())].to_owned() } else { name.to_owned() }
        };
        let hour = i64::from(local.hour());
        match letter {
            'y' if count == 2 => format!("{:02}", local.year().rem_euclid(100)),
            'y' => number(local.year().into()),
            'M' if count > 2 => name(&MONTHS, local.month() - 1),
            'M' => number(local.month().into()),
            'd' => number(local.day().into()),
            'H' => number(hour),
            'h' => number((hour + 11) % 12 + 1),
            'm' => number(local.minute().into()),
            's' => number(local.second().into()),
            'S' => format!("{:09}", local.subsec_nanosecond())[..count].to_owned(),
            'a' => (if hour < 12 { "AM" } else { "PM" }).to_owned(),
            'E' => name(&DAYS, local.weekday().to_monday_zero_offset()),
            'Z' => self.offset_text(""),
            'X' | 'z' if self.offset.is_zero() => (if letter == 'z' { "UTC" } else { "Z" }).to_owned(),
            'X' if count == 2 => self.offset_text(""),
            'X' => self.offset_text(":"),
            _ => format!("GMT{}", self.offset_text(":")),
        }
    }

    fn offset_text(&self, between: &str) -> String {
        let minutes = self.offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let mut text = String::new();
        let _ = write!(text, "{sign}{:02}{between}{:02}", minutes.abs() / 60, minutes.abs() % 60);
        text
    }
}

/// Returns the first segment of `rest`, the rest of `pattern`, and its length in bytes.
fn first_segment(rest: &str, pattern: &str) -> Result<(PatternSegment, usize)> {
    let first = rest.chars().next().unwrap_or_default();
    if first == '\'' {
        let (text, length) = quoted(rest)?;
        return Ok((PatternSegment::Text(text), length));
    }
    if !first.is_ascii_alphabetic() {
        return Ok((PatternSegment::Text(first.to_string()), first.len_utf8()));
    }
    ensure!(
        LETTERS.contains(first),
        "`{first}` in the date pattern `{pattern}` is not one of the letters {LETTERS}; put text in single quotes"
    );
    let count = rest.len() - rest.trim_start_matches(first).len();
    ensure!(first != 'S' || count <= 9, "a date pattern has at most nine `S`; `{pattern}` has {count}");
    Ok((PatternSegment::Letter(first, count), count))
}

/// Returns the quoted text at the start of a pattern and its length with the quotes. Two quotes stand for one.
fn quoted(pattern: &str) -> Result<(String, usize)> {
    if pattern.starts_with("''") {
        return Ok(("'".to_owned(), 2));
    }
    let mut text = String::new();
    let mut characters = pattern.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        if character != '\'' {
            text.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            text.push('\'');
        } else {
            return Ok((text, index + 1));
        }
    }
    bail!("a quote in the date pattern is not closed: {pattern}")
}

fn parse_zone(zone: &str) -> Result<Offset> {
    let unknown = || {
        anyhow::anyhow!(
            "`{zone}` is not a zone of dateFormat; expected UTC, an offset such as +02:00, or an English locale"
        )
    };
    let is_english = zone.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("en"))
        && zone[2..].chars().next().is_none_or(|next| next == '_' || next == '-');
    if is_english || ["UTC", "GMT", "Z"].contains(&zone) {
        return Ok(Offset::UTC);
    }
    let (sign, rest) = match zone.as_bytes().first() {
        Some(b'+') => (1, &zone[1..]),
        Some(b'-') => (-1, &zone[1..]),
        _ => return Err(unknown()),
    };
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) =
        rest.split_once(':').filter(|(hours, minutes)| two_digits(hours) && two_digits(minutes)).ok_or_else(unknown)?;
    let (hours, minutes): (i32, i32) = (hours.parse()?, minutes.parse()?);
    ensure!(hours <= 18 && minutes < 60, unknown());
    Ok(Offset::from_seconds(sign * (hours * 3_600 + minutes * 60))?)
}
