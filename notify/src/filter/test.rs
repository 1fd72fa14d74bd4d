//! The tests of a filter on one value.

use super::operand::Operand;
use super::pattern::Pattern;
use serde_json::Value;
use std::cmp::Ordering;

/// A test of one value. Texts are in lower case, because the tests with texts ignore case.
#[derive(Clone, Debug)]
pub(super) enum Test {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Test {
    pub fn passes(&self, value: &Value) -> bool {
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
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
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
