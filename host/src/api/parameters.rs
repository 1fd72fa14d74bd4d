//! The parameters of lists: filters that may repeat, a limit and a cursor.

use crate::http_error::HttpError;
use jiff::Timestamp;
use std::num::NonZeroUsize;
use std::str::FromStr;
use uuid::Uuid;

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1000;

/// The parameters of a query. Handlers take the ones that they know; [`Parameters::end`] refuses the others.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// Takes all values of a parameter.
    pub fn all(&mut self, name: &str) -> Vec<String> {
        let taken = self.0.extract_if(.., |(known, _)| known == name);
        taken.map(|(_, value)| value).collect()
    }

    /// Takes all values of a parameter, each of which must be one of `allowed`.
    pub fn words<T: Copy + ToString>(&mut self, name: &str, allowed: &[T]) -> Result<Vec<T>, HttpError> {
        let known = |word: &String| {
            let allowed_words = || allowed.iter().map(T::to_string).collect::<Vec<_>>().join(", ");
            let known = allowed.iter().find(|allowed| allowed.to_string() == *word).copied();
            known.ok_or_else(|| invalid(name, word, &format!("expected one of: {}", allowed_words())))
        };
        self.all(name).iter().map(known).collect()
    }

    /// Takes the value of a parameter that may be given once, which must be one of `allowed`.
    pub fn word<T: Copy + ToString>(&mut self, name: &str, allowed: &[T]) -> Result<Option<T>, HttpError> {
        let mut words = self.words(name, allowed)?;
        match words.len() {
            0 | 1 => Ok(words.pop()),
            _ => Err(HttpError::InvalidRequest(format!("`{name}` may be given only once"))),
        }
    }

    /// Takes all values of a parameter as ids.
    pub fn ids(&mut self, name: &str) -> Result<Vec<Uuid>, HttpError> {
        self.all(name).iter().map(|text| text.parse().map_err(|_| invalid(name, text, "expected a UUID"))).collect()
    }

    /// Takes the value of a parameter that may be given once.
    pub fn one(&mut self, name: &str) -> Result<Option<String>, HttpError> {
        let mut values = self.all(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(HttpError::InvalidRequest(format!("`{name}` may be given only once"))),
        }
    }

    /// Takes the value of a parameter that may be given once, as a time.
    pub fn time(&mut self, name: &str) -> Result<Option<Timestamp>, HttpError> {
        self.parsed(name, "expected a time such as 2026-01-31T08:00:00Z")
    }

    /// Takes `limit`, the number of rows.
    pub fn limit(&mut self) -> Result<usize, HttpError> {
        self.count("limit", LIMIT, LIMIT_MAX)
    }

    /// Takes `limit` and `cursor`: the number of rows, and the key after which they begin.
    pub fn page(&mut self) -> Result<(usize, Option<i64>), HttpError> {
        Ok((self.limit()?, self.cursor()?))
    }

    /// Takes `cursor`, the key after which the rows begin.
    pub fn cursor(&mut self) -> Result<Option<i64>, HttpError> {
        let Some(text) = self.one("cursor")? else { return Ok(None) };
        let known = key(&text);
        known.map(Some).ok_or_else(|| invalid("cursor", &text, "expected the `next_cursor` of an earlier answer"))
    }

    /// Takes the value of a parameter that may be given once, as a number from 1. A number above `max` becomes `max`.
    pub fn count(&mut self, name: &str, default: usize, max: usize) -> Result<usize, HttpError> {
        let help = format!("expected a number from 1 to {max}");
        let count: Option<NonZeroUsize> = self.parsed(name, &help)?;
        Ok(count.map_or(default, |count| count.get().min(max)))
    }

    /// Refuses a query with parameters that were not taken.
    pub fn end(self) -> Result<(), HttpError> {
        match self.0.first() {
            Some((name, _)) => Err(HttpError::InvalidRequest(format!("unknown parameter `{name}`"))),
            None => Ok(()),
        }
    }

    fn parsed<T: FromStr>(&mut self, name: &str, help: &str) -> Result<Option<T>, HttpError> {
        let text = self.one(name)?;
        text.map(|text| text.parse().map_err(|_| invalid(name, &text, help))).transpose()
    }
}

/// Returns a key as a cursor: opaque, and safe in a URL.
pub(super) fn cursor(key: i64) -> String {
    digits(key)
}

/// Returns the key of a cursor that [`cursor`] made.
fn key(text: &str) -> Option<i64> {
    number(text).filter(|key| *key >= 0)
}

/// Returns a number in digits that are safe in a URL.
pub(super) fn digits(number: i64) -> String {
    let (mut rest, mut digits) = (number.unsigned_abs(), Vec::new());
    while rest > 0 || digits.is_empty() {
        digits.extend(char::from_digit((rest % 36) as u32, 36));
        rest /= 36;
    }
    if number < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

/// Returns the number that [`digits`] wrote.
pub(super) fn number(text: &str) -> Option<i64> {
    // `from_str_radix` would accept a plus.
    let is_written = !text.starts_with('+');
    is_written.then(|| i64::from_str_radix(text, 36).ok()).flatten()
}

pub(super) fn invalid(name: &str, value: &str, help: &str) -> HttpError {
    HttpError::InvalidRequest(format!("invalid value `{value}` of `{name}`: {help}"))
}
