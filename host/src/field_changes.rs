//! The differences between two JSON values, field by field.

use hookmill_store::FieldChange;
use serde_json::Value;

/// The number of changed fields of one payload that a report names.
const FIELDS_MAX: usize = 20;
/// The number of characters of a value that a report shows.
const VALUE_CHARS_MAX: usize = 200;

/// Returns the fields in which two values differ, up to a limit. The comparison stops there, because a plugin
/// decides how much it returns.
pub fn field_changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare_values(&mut String::new(), Some(before), Some(after), &mut changes);
    changes
}

fn compare_values(path: &mut String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    if changes.len() == FIELDS_MAX || before == after {
        return;
    }
    let length = path.len();
    let mut compare_member = |name: &str, before: Option<&Value>, after: Option<&Value>| {
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        compare_values(path, before, after, changes);
        path.truncate(length);
    };
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            before.iter().for_each(|(name, value)| compare_member(name, Some(value), after.get(name)));
            after.iter().filter(|(name, _)| !before.contains_key(*name)).for_each(|(name, value)| {
                compare_member(name, None, Some(value));
            });
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                compare_member(&index.to_string(), before.get(index), after.get(index));
            }
        }
        _ => {
            let text = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(text);
            changes.push(FieldChange { path: short(path), before: text(before), after: text(after) });
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        value => short(&value.to_string()),
    }
}

/// Shortens a text to what is shown of a value.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
