//! Incident numbers.

use std::fmt;
use std::str::FromStr;

/// `INC-2026-0001`: the year in UTC and a count within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// The year in which the incident was made.
    pub year: i16,
    /// Its place among that year's, from 1.
    pub count: u32,
}

impl Number {
    /// One integer that sorts as the number does.
    pub fn to_key(self) -> i64 {
        i64::from(self.year) << 32 | i64::from(self.count)
    }

    /// The inverse of [`Number::to_key`].
    pub fn from_key(key: i64) -> Self {
        Self { year: (key >> 32) as i16, count: key as u32 }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "INC-{}-{:04}", self.year, self.count)
    }
}

impl FromStr for Number {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (year, count) = text.strip_prefix("INC-").and_then(|rest| rest.split_once('-')).ok_or(())?;
        Ok(Self { year: year.parse().map_err(drop)?, count: count.parse().map_err(drop)? })
    }
}
