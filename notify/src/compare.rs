//! The comparison of JSON values that filters and templates share: numbers by value, times as points in time.

use jiff::Timestamp;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// A comparison of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// Returns whether the comparison holds for values in this order.
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

/// Returns the time of a value: RFC 3339, or milliseconds since the Unix epoch.
pub(crate) fn timestamp_of(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => hookmill_incident::timestamp::parse(text).ok(),
        Value::Number(number) => Timestamp::from_millisecond(number.as_i64()?).ok(),
        _ => None,
    }
}

/// Compares by value; integers are not rounded, not even when compared with a fraction.
pub(crate) fn compare_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    let integer = |number: &Number| number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(one), None) => compare_with_float(one, other.as_f64()?),
        (None, Some(other)) => compare_with_float(other, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn compare_with_float(integer: i128, float: f64) -> Option<Ordering> {
    // The cast saturates far beyond ±2⁶⁴, the bounds of the integers here, so it keeps the order.
    let whole = integer.cmp(&(float.trunc() as i128));
    Some(whole.then(0.0.partial_cmp(&float.fract())?))
}
