//! The comparison of JSON values that filters and templates share: numbers by value, times as points in time.

use hookmill_incident::timestamp;
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

/// Returns the time of a value: RFC 3339, or a count since the Unix epoch as number or text, whose unit follows from its
/// size.
pub(crate) fn timestamp_of(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => timestamp::parse(text).ok(),
        Value::Number(number) => timestamp::parse(&number.to_string()).ok(),
        _ => None,
    }
}

/// Compares two values of vendors' fields by their form. Vendors also write numbers as texts, so a number is compared
/// with the number, else with the time, that a text holds.
pub(crate) fn compare_by_form(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare_numbers(one, other),
        (Value::Number(one), Value::String(other)) => compare_with_text(one, other),
        (Value::String(one), Value::Number(other)) => compare_with_text(other, one).map(Ordering::reverse),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (one, other) => (one == other).then_some(Ordering::Equal),
    }
}

/// Compares a number with the number or the time in a text.
pub(crate) fn compare_with_text(number: &Number, text: &str) -> Option<Ordering> {
    if let Ok(other) = text.trim().parse::<Number>() {
        return compare_numbers(number, &other);
    }
    let of_number = timestamp::parse(&number.to_string()).ok()?;
    Some(of_number.cmp(&timestamp::parse(text).ok()?))
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
