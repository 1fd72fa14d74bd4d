//! The tree of a parsed filter, and its evaluation.

use super::predicate::Predicate;
use crate::fields::{Field, is_index};
use serde_json::Value;

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

    pub fn looks_at_body(&self) -> bool {
        let is_body = |field: &Field| field.segments.iter().take(2).eq(["event", "body"]);
        match self {
            Self::Always => false,
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Self::looks_at_body),
            Self::Not(node) => node.looks_at_body(),
            Self::Has(field) | Self::Empty(field) | Self::Value(field, _) | Self::Element(field, _) => is_body(field),
        }
    }
}

/// Returns whether one of the values at a path passes. Lists on the way stand for their elements; with `elements`, so
/// does a list at the end.
fn any_at(value: &Value, path: &[String], elements: bool, passes: &mut dyn FnMut(&Value) -> bool) -> bool {
    let Some((name, rest)) = path.split_first() else {
        return match value {
            Value::Array(items) if elements => items.iter().any(|item| any_at(item, path, elements, passes)),
            _ => passes(value),
        };
    };
    match value {
        Value::Object(members) => {
            if let Some(member) = members.get(name)
                && any_at(member, rest, elements, passes)
            {
                return true;
            }
            // Vendors also write a whole path as one name: `process.name`.
            let whole = || members.get(&path.join("."));
            !rest.is_empty() && whole().is_some_and(|member| any_at(member, &[], elements, passes))
        }
        Value::Array(items) => {
            let indexed = is_index(name).then(|| name.parse().ok()).flatten().and_then(|index: usize| items.get(index));
            indexed.is_some_and(|item| any_at(item, rest, elements, passes))
                || items.iter().any(|item| any_at(item, path, elements, passes))
        }
        _ => false,
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
