//! The content of a proof's report: differences between two results, and the objection to a version that failed.

use hookmill_store::{Difference, FieldChange, Report};
use serde_json::Value;
use uuid::Uuid;

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

/// Shortens a text to what a report shows.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Removes what plugins said about their samples. Sample files are not payloads of the host's sources, and a plugin may
/// quote all of a file.
pub fn hide_samples(report: &mut Report) {
    for differences in [&mut report.changed, &mut report.newly_failing, &mut report.newly_succeeding] {
        for difference in differences.payloads.iter_mut().filter(|difference| is_sample(difference)) {
            (difference.reason, difference.fields) = (None, Vec::new());
        }
    }
}

/// Returns whether a difference is about a sample: stored payloads have the id of their event instead of a name.
fn is_sample(difference: &Difference) -> bool {
    Uuid::parse_str(&difference.payload).is_err()
}

/// Returns one sentence on why the version of a report does not go live.
pub fn objection(report: &Report) -> String {
    let name = &report.plugin.name;
    if report.newly_failing.count == 0 {
        return format!(
            "version {} did not finish a single payload in time; raise `reload_time`, or `hookmill plugin promote {name}` \
             makes it live nevertheless",
            report.plugin.version
        );
    }
    let first = report.newly_failing.payloads.first();
    let first = first.map_or_else(String::new, |first| {
        // Everybody who may read sees this sentence, also in the log.
        let reason = first.reason.as_ref().filter(|_| !is_sample(first));
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        format!("; first {} of {}{reason}", first.payload, first.source)
    });
    format!(
        "version {} newly fails on {} of {} payloads{first}; `hookmill plugin diff {name}` shows them, `hookmill \
         plugin promote {name}` makes it live nevertheless",
        report.plugin.version, report.newly_failing.count, report.payloads
    )
}
