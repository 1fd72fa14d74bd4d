//! The tree of a parsed filter, and its evaluation.

use super::predicate::Predicate;
use crate::fields::{Field, any_at};
use serde_json::Value;
use std::collections::BTreeSet;

/// A condition on a message, or on an element of a list in the message.
#[derive(Clone, Debug)]
pub(super) enum FilterNode {
    Always,
    All(Vec<FilterNode>),
    Any(Vec<FilterNode>),
    Not(Box<FilterNode>),
    Has(Field),
    Empty(Field),
    /// One of the values at the path fulfils the predicate.
    Value(Field, Predicate),
    /// One element of the list at the path matches.
    Element(Field, Box<FilterNode>),
}

impl FilterNode {
    pub fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Always => true,
            Self::All(nodes) => nodes.iter().all(|node| node.matches(value)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(value)),
            Self::Not(node) => !node.matches(value),
            Self::Has(field) => any_at(value, &field.segments, false, &mut |found| !found.is_null()),
            Self::Empty(field) => !any_at(value, &field.segments, false, &mut |found| !is_empty(found)),
            Self::Value(field, predicate) => any_at(value, &field.segments, true, &mut |found| predicate.holds(found)),
            Self::Element(field, node) => any_at(value, &field.segments, true, &mut |found| node.matches(found)),
        }
    }

    /// Returns the texts of which the field at this path must have one for the condition to be true, if that is known.
    pub fn required(&self, path: [&str; 2]) -> Option<BTreeSet<&str>> {
        match self {
            Self::All(nodes) => nodes.iter().find_map(|node| node.required(path)),
            Self::Any(nodes) => {
                let of_each = nodes.iter().map(|node| node.required(path)).collect::<Option<Vec<_>>>();
                of_each.map(|texts| texts.into_iter().flatten().collect())
            }
            Self::Value(field, predicate) if field.segments == path => predicate.required(),
            _ => None,
        }
    }

    pub fn reads(&self, path: &[&str]) -> bool {
        match self {
            Self::Always => false,
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(|node| node.reads(path)),
            Self::Not(node) => node.reads(path),
            Self::Has(field) | Self::Empty(field) | Self::Value(field, _) | Self::Element(field, _) => {
                field.segments.iter().zip(path).all(|(name, wanted)| name == wanted)
            }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
