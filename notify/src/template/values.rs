//! The meaning of JSON values in templates: their text, their truth and their order.

use super::syntax::ComparedAs;
use crate::compare::{Comparison, compare_by_form, timestamp_of};
use crate::fields::any_at;
use crate::vocabulary::{Vocabulary, rank};
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Returns the first value at a path, as filters find it; null if it is missing. Borrowed values stay borrowed.
pub(super) fn find<'a>(value: &Cow<'a, Value>, names: &[String]) -> Cow<'a, Value> {
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(descend(value, names)),
        Cow::Owned(value) => Cow::Owned(descend(value, names).clone()),
    }
}

fn descend<'v>(value: &'v Value, names: &[String]) -> &'v Value {
    let mut first = &Value::Null;
    any_at(value, names, false, &mut |found| {
        first = found;
        !found.is_null()
    });
    first
}

/// Returns whether a value counts as true.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(boolean) => *boolean,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// Returns the text of a value: nothing for null, compact JSON for objects and lists.
pub(super) fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Returns the number of elements, members or characters; 0 for other values.
pub(super) fn length(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        Value::String(text) => text.chars().count(),
        _ => 0,
    }
}

/// Returns whether a comparison holds. Values without an order to each other can be equal, but neither is greater.
pub(super) fn holds(comparison: Comparison, compared_as: ComparedAs, one: &Value, other: &Value) -> bool {
    match (compared_as.compare(one, other), comparison) {
        (Some(ordering), _) => comparison.holds(ordering),
        (None, Comparison::Equal) => one == other,
        (None, Comparison::NotEqual) => one != other,
        (None, _) => false,
    }
}

impl ComparedAs {
    fn compare(self, one: &Value, other: &Value) -> Option<Ordering> {
        match self {
            Self::Rank(vocabulary) => Some(rank_of(vocabulary, one)?.cmp(&rank_of(vocabulary, other)?)),
            Self::Time => Some(timestamp_of(one)?.cmp(&timestamp_of(other)?)),
            Self::Plain => compare_by_form(one, other),
        }
    }
}

fn rank_of(vocabulary: Vocabulary, value: &Value) -> Option<usize> {
    rank(vocabulary, value.as_str()?)
}
