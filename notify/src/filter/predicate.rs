//! The predicates of a filter on one value.

use super::operand::Operand;
use super::pattern::Pattern;
use crate::compare::Comparison;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A predicate on one value. Texts are in lower case, because the predicates with texts ignore case.
#[derive(Clone, Debug)]
pub(super) enum Predicate {
    Compare(Comparison, Operand),
    /// From the first operand, inclusive, to the second, exclusive.
    Between(Operand, Operand),
    In(Vec<Operand>),
    Like(Pattern),
    StartsWith(String),
    EndsWith(String),
    /// The text contains each of these words.
    Match(Vec<String>),
}

impl Predicate {
    /// Returns whether a value fulfils the predicate.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Compare(comparison, operand) => {
                operand.compare(value).is_some_and(|ordering| comparison.holds(ordering))
            }
            Self::Between(from, to) => {
                from.compare(value).is_some_and(Ordering::is_ge) && to.compare(value).is_some_and(Ordering::is_lt)
            }
            Self::In(operands) => operands.iter().any(|operand| operand.compare(value) == Some(Ordering::Equal)),
            Self::Like(pattern) => lowercase(value).is_some_and(|text| pattern.matches(&text)),
            Self::StartsWith(start) => lowercase(value).is_some_and(|text| text.starts_with(start)),
            Self::EndsWith(end) => lowercase(value).is_some_and(|text| text.ends_with(end)),
            Self::Match(wanted) => {
                lowercase(value).is_some_and(|text| wanted.iter().all(|word| words(&text).any(|known| known == word)))
            }
        }
    }

    /// Returns the only texts that fulfil the predicate, if it is known that there are no others.
    pub fn required(&self) -> Option<BTreeSet<&str>> {
        let operands = match self {
            Self::Compare(Comparison::Equal, operand) => std::slice::from_ref(operand),
            Self::In(operands) => operands,
            _ => return None,
        };
        let texts = operands.iter().map(|operand| match operand {
            Operand::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

/// Splits a text into its words: runs of letters and digits.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn lowercase(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_lowercase()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        _ => None,
    }
}
