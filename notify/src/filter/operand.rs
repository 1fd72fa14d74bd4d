//! The values of a filter, converted to the type of the field that they are compared with.

use crate::compare::{compare_numbers, compare_with_text, timestamp_of};
use crate::fields::{Field, FieldType};
use crate::vocabulary::{Vocabulary, known_word, rank};
use anyhow::{Context, Result, anyhow, bail, ensure};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// The greatest length of a value to compare with, or of a path, in bytes.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;

/// A value of a filter.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Rank(Vocabulary, usize),
    Time(Timestamp),
    /// A text that can be read as a time. Only its form shows whether a vendor's own field holds a time.
    TimeOrText(Timestamp, String),
    Text(String),
    Number(Number),
    Boolean(bool),
}

impl Operand {
    /// Converts a value to the type of a field.
    ///
    /// # Errors
    /// Returns an error that says which values the field can have.
    pub fn new(field: &Field, value: &Value) -> Result<Self> {
        if let Value::String(text) = value {
            let length = text.len();
            ensure!(length <= VALUE_BYTES_MAX, "a value has at most {VALUE_BYTES_MAX} bytes; this one has {length}");
        }
        match field.field_type.element() {
            FieldType::Rank(vocabulary) => {
                let word = word(vocabulary, field, value)?;
                Ok(Self::Rank(vocabulary, rank(vocabulary, word).unwrap_or_default()))
            }
            FieldType::Word(vocabulary) => Ok(Self::Text(word(vocabulary, field, value)?.to_owned())),
            FieldType::Time => timestamp_of(value).or_else(|| day(value)).map(Self::Time).ok_or_else(|| {
                anyhow!(
                    "`{}` is a time: RFC 3339 such as 2026-01-31T08:00:00Z, or a number of s or ms since 1970; not {value}",
                    field.path()
                )
            }),
            FieldType::Number => match value {
                Value::Number(number) => Ok(Self::Number(number.clone())),
                _ => bail!("`{}` is a number; not {value}", field.path()),
            },
            FieldType::Boolean => match value {
                Value::Bool(boolean) => Ok(Self::Boolean(*boolean)),
                _ => bail!("`{}` is true or false; not {value}", field.path()),
            },
            FieldType::Any => Self::by_form(field, value),
            FieldType::Text | FieldType::TextMap | FieldType::List(_) | FieldType::Object(_) => {
                Self::text(field, value)
            }
        }
    }

    /// Converts a value by its own form, for a field whose type the vendor defines.
    fn by_form(field: &Field, value: &Value) -> Result<Self> {
        Ok(match value {
            Value::String(text) => match text.parse().ok().or_else(|| day(value)) {
                Some(time) => Self::TimeOrText(time, text.clone()),
                None => Self::Text(text.clone()),
            },
            Value::Number(number) => Self::Number(number.clone()),
            Value::Bool(boolean) => Self::Boolean(*boolean),
            Value::Null | Value::Array(_) | Value::Object(_) => return Err(not_comparable(field, value)),
        })
    }

    fn text(field: &Field, value: &Value) -> Result<Self> {
        match value {
            Value::String(text) => Ok(Self::Text(text.clone())),
            // YAML drops the leading zeros of a number, and the last ones of a version, so what was written is not known.
            Value::Number(_) | Value::Bool(_) => bail!("`{}` is a text; put the value into quotes", field.path()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(not_comparable(field, value)),
        }
    }

    /// Returns how a value of a message is ordered against this one; `None` if the two cannot be compared.
    pub fn compare(&self, value: &Value) -> Option<Ordering> {
        match (self, value) {
            (Self::Rank(vocabulary, of_operand), Value::String(word)) => Some(rank(*vocabulary, word)?.cmp(of_operand)),
            (Self::Time(time), _) => Some(timestamp_of(value)?.cmp(time)),
            (Self::TimeOrText(time, text), _) => match (timestamp_of(value), value) {
                (Some(other), _) => Some(other.cmp(time)),
                (None, Value::String(other)) => Some(other.as_str().cmp(text)),
                _ => None,
            },
            (Self::Text(text), Value::String(other)) => Some(other.as_str().cmp(text)),
            // Quotes make an id of a number, which can be equal, but has no order.
            (Self::Text(text), Value::Number(other)) => {
                compare_with_text(other, text).filter(|ordering| ordering.is_eq())
            }
            (Self::Number(number), Value::Number(other)) => compare_numbers(other, number),
            (Self::Number(number), Value::String(text)) => compare_with_text(number, text).map(Ordering::reverse),
            (Self::Boolean(boolean), Value::Bool(other)) => Some(other.cmp(boolean)),
            _ => None,
        }
    }
}

/// Returns the beginning of a day, such as `2026-01-31`, in UTC.
fn day(value: &Value) -> Option<Timestamp> {
    // A longer text has a time without an offset.
    let day: Date = value.as_str().filter(|text| text.len() == "2026-01-31".len())?.parse().ok()?;
    Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
}

fn word(vocabulary: Vocabulary, field: &Field, value: &Value) -> Result<&'static str> {
    match value {
        Value::String(word) => known_word(vocabulary, word).with_context(|| field.path()),
        _ => bail!("`{}` is one of: {}; not {value}", field.path(), vocabulary().join(", ")),
    }
}

fn not_comparable(field: &Field, value: &Value) -> anyhow::Error {
    let path = field.path();
    match value {
        Value::Null => anyhow!("nothing equals null; use {{_empty: {path}}} or {{_has: {path}}}"),
        _ => anyhow!("`{path}` is compared with one text, number, true or false; use _in for several"),
    }
}
