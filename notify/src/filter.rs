//! Filters select the messages of a notification, with TheHive's filter operators over one JSON message.
//!
//! A filter is parsed once, with every field and every value checked; afterwards, evaluation cannot fail.
//!
//! - A missing value compares as false: only `_ne`, `_not` and `_empty` can be true for a missing value.
//! - A condition on a path through a list is true if it is true for at least one element. `_ne` is `_not` of `_eq`:
//!   true if no element is equal.
//! - `_eq`, `_ne` and `_in` are exact; `_like`, `_startsWith`, `_endsWith` and `_match` ignore case.
//! - Severity and TLP compare by rank, times as points in time, numbers by value whatever their type, text by its characters.

mod arguments;
mod node;
mod operand;
mod parse;
mod pattern;
mod predicate;

#[cfg(test)]
mod tests;

use crate::Trigger;
use anyhow::Result;
use node::FilterNode;
use serde_json::Value;
use std::collections::BTreeSet;

/// A condition on messages.
#[derive(Clone, Debug)]
pub struct Filter(FilterNode);

impl Filter {
    /// Parses a filter for the messages of a trigger.
    ///
    /// # Errors
    /// Returns an error that names the position in the filter, the mistake and the allowed values.
    pub fn parse(filter: &Value, trigger: Trigger) -> Result<Self> {
        parse::parse(filter, trigger).map(Self)
    }

    /// Returns whether a message fulfils the condition.
    pub fn matches(&self, message: &Value) -> bool {
        self.0.matches(message)
    }

    /// Returns the texts of which the field at this path must have one in every message that fulfils the condition; `None` if
    /// that is not known.
    pub(crate) fn required(&self, path: [&str; 2]) -> Option<BTreeSet<&str>> {
        self.0.required(path)
    }

    /// Returns whether the filter reads the field at this path, one below it, or one that contains it.
    pub fn reads(&self, path: &[&str]) -> bool {
        self.0.reads(path)
    }
}
