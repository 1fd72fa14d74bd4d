//! Incident numbers.

use std::fmt;
use std::str::FromStr;

/// An incident number, `INC-2026-0001`: a year in UTC and a count within that year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// The year in which the incident was made.
    pub year: i16,
    /// The count within the year, from 1.
    pub count: u32,
}

impl Number {
    /// Returns an integer with the same order as the number.
    pub fn to_key(self) -> i64 {
        i64::from(self.year) << 32 | i64::from(self.count)
    }

    /// Returns the number of a key that [`Number::to_key`] made.
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

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn a_number_keeps_its_value_and_order_as_text_and_as_key() {
        let numbers = [(2025, 12_345), (2026, 1), (2026, 9_999)].map(|(year, count)| Number { year, count });
        for number in numbers {
            assert_eq!(number.to_string().parse(), Ok(number));
            assert_eq!(Number::from_key(number.to_key()), number);
        }
        assert!(numbers.is_sorted_by_key(|number| number.to_key()));
        assert_eq!(numbers[1].to_string(), "INC-2026-0001");
        assert!(["INC-2026", "2026-0001", "INC--", "INC-2026-x"].iter().all(|text| text.parse::<Number>().is_err()));
    }
}
