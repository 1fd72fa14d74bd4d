//! The fields of the messages of each trigger.

use crate::fields::{FieldType, MemberTypes};
use hookmill_incident::{Operation, Severity, Status, Tlp, TriageCode, TriageStatus};

/// Makes the vocabularies of enums that `words!` made.
macro_rules! vocabularies {
    ($($function:ident: $words:ty),* $(,)?) => {$(
        pub(crate) fn $function() -> Vec<&'static str> {
            <$words>::ALL.iter().map(|word| word.as_str()).collect()
        }
    )*};
}

vocabularies!(
    operations: Operation,
    severities: Severity,
    statuses: Status,
    tlps: Tlp,
    triage_statuses: TriageStatus,
    triage_codes: TriageCode,
);

const TEXTS: FieldType = FieldType::List(&FieldType::Text);

/// A change of an incident: `object` is the incident after the change, `details` has the fields that changed.
pub(crate) const CHANGE: MemberTypes = &[
    ("object", FieldType::Object(INCIDENT)),
    ("details", FieldType::Object(INCIDENT)),
    ("audit", FieldType::Object(AUDIT)),
    ("url", FieldType::Text),
    ("event", FieldType::Object(&[])),
];

/// An event that was received.
pub(crate) const EVENT_RECEIVED: MemberTypes = &[("event", FieldType::Object(RECEIVED)), ("url", FieldType::Text)];

/// An event that could not be mapped.
pub(crate) const EVENT_QUARANTINED: MemberTypes =
    &[("event", FieldType::Object(QUARANTINED)), ("url", FieldType::Text)];

/// A destination that was disabled.
pub(crate) const DESTINATION_DISABLED: MemberTypes = &[("object", FieldType::Object(DISABLED))];

/// A plugin file that was refused.
pub(crate) const PLUGIN_REFUSED: MemberTypes = &[("object", FieldType::Object(REFUSED))];

/// A source that sent nothing for longer than expected.
pub(crate) const SOURCE_SILENT: MemberTypes = &[("object", FieldType::Object(SILENT))];

/// Backups that fail, or that are not completed in time.
pub(crate) const BACKUP_FAILED: MemberTypes = &[("object", FieldType::Object(BACKUP))];

/// A disk that becomes too small for the store.
pub(crate) const STORAGE_LOW: MemberTypes = &[("object", FieldType::Object(LOW))];

const INCIDENT: MemberTypes = &[
    ("id", FieldType::Text),
    ("number", FieldType::Text),
    ("source", FieldType::Text),
    ("source_ref", FieldType::Text),
    ("title", FieldType::Text),
    ("description", FieldType::Text),
    ("category", FieldType::Text),
    ("severity", FieldType::Rank(severities)),
    ("status", FieldType::Word(statuses)),
    ("assignee", FieldType::Text),
    ("tlp", FieldType::Rank(tlps)),
    ("occurred_at", FieldType::Time),
    ("external_link", FieldType::Text),
    ("tags", TEXTS),
    ("observables", FieldType::List(&FieldType::Object(OBSERVABLE))),
    ("techniques", FieldType::List(&FieldType::Object(&[("id", FieldType::Text), ("tactic", FieldType::Text)]))),
    ("details", FieldType::Any),
    (
        "notes",
        FieldType::List(&FieldType::Object(&[
            ("at", FieldType::Time),
            ("by", FieldType::Text),
            ("text", FieldType::Text),
        ])),
    ),
    ("playbook", FieldType::Text),
    ("triage", FieldType::Object(TRIAGE)),
    ("plugin", FieldType::Object(PLUGIN)),
    ("hold", FieldType::Boolean),
    ("truncated", FieldType::Number),
    ("created_at", FieldType::Time),
    ("updated_at", FieldType::Time),
    ("revision", FieldType::Number),
    ("occurrences", FieldType::Number),
    ("event_ids", TEXTS),
];

const OBSERVABLE: MemberTypes = &[
    ("data_type", FieldType::Text),
    ("value", FieldType::Text),
    ("message", FieldType::Text),
    ("tags", TEXTS),
    ("ioc", FieldType::Boolean),
];

const TRIAGE: MemberTypes = &[
    ("playbook", FieldType::Text),
    ("status", FieldType::Word(triage_statuses)),
    ("at", FieldType::Time),
    ("plugin", FieldType::Object(PLUGIN)),
    ("error", FieldType::Object(&[("code", FieldType::Word(triage_codes)), ("message", FieldType::Text)])),
    ("problems", TEXTS),
];

const PLUGIN: MemberTypes = &[("name", FieldType::Text), ("version", FieldType::Text), ("sha256", FieldType::Text)];

const AUDIT: MemberTypes = &[
    ("operation", FieldType::Word(operations)),
    ("objectType", FieldType::Text),
    ("objectId", FieldType::Text),
    ("startDate", FieldType::Time),
    ("requestId", FieldType::Text),
    ("base", FieldType::Boolean),
    ("rootId", FieldType::Text),
];

const RECEIVED: MemberTypes = &[
    ("id", FieldType::Text),
    ("source", FieldType::Text),
    ("received_at", FieldType::Time),
    ("content_type", FieldType::Text),
    ("headers", FieldType::TextMap),
    ("context", FieldType::TextMap),
    ("body", FieldType::Any),
];

const QUARANTINED: MemberTypes = &[
    ("id", FieldType::Text),
    ("source", FieldType::Text),
    ("received_at", FieldType::Time),
    ("content_type", FieldType::Text),
    ("headers", FieldType::TextMap),
    ("context", FieldType::TextMap),
    ("error", FieldType::Object(&[("code", FieldType::Text), ("message", FieldType::Text)])),
];

const DISABLED: MemberTypes = &[("name", FieldType::Text), ("reason", FieldType::Text)];

const REFUSED: MemberTypes = &[("name", FieldType::Text), ("sha256", FieldType::Text), ("error", FieldType::Text)];

// `silent_after` is shown as the source's declaration writes it.
const SILENT: MemberTypes =
    &[("name", FieldType::Text), ("last_event_at", FieldType::Time), ("silent_after", FieldType::Any)];

const BACKUP: MemberTypes =
    &[("to", FieldType::Text), ("error", FieldType::Text), ("last_success_at", FieldType::Time)];

const LOW: MemberTypes = &[
    ("reason", FieldType::Text),
    ("disk_free_bytes", FieldType::Number),
    ("database_bytes", FieldType::Number),
    ("growth_bytes_per_day", FieldType::Number),
    ("days_until_low", FieldType::Number),
];

#[cfg(test)]
mod tests;
