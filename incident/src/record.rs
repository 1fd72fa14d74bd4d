//! The text of a record as it is stored: without members that other columns have, and without empty ones.

use crate::members::Members;
use crate::{Incident, Note, Observable, PluginVersion, Technique, Tlp, Triage};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::Error;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The members of a record that are columns of its row.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names are those of the incident")]
pub struct RecordColumns<'a> {
    pub source: &'a str,
    pub source_ref: &'a str,
    pub severity: &'a str,
    pub status: &'a str,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The way in which a member is stored.
#[derive(Clone, Copy)]
enum Stored {
    InColumn,
    Always,
    /// Only if the value differs from this one.
    Unless(&'static str),
}
use Stored::{Always, InColumn, Unless};

/// The members of a record, in the order in which an incident is written.
const MEMBERS: [(&str, Stored); 24] = [
    ("source", InColumn),
    ("source_ref", InColumn),
    ("title", Always),
    ("description", Unless("null")),
    ("category", Unless("null")),
    ("severity", InColumn),
    ("status", InColumn),
    ("assignee", Unless("null")),
    ("tlp", Unless("null")),
    ("occurred_at", Unless("null")),
    ("external_link", Unless("null")),
    ("tags", Unless("[]")),
    ("observables", Unless("[]")),
    ("techniques", Unless("[]")),
    ("details", Unless("{}")),
    ("notes", Unless("[]")),
    ("playbook", Unless("null")),
    ("triage", Unless("null")),
    ("plugin", Always),
    ("hold", Unless("false")),
    ("truncated", Unless("0")),
    ("created_at", InColumn),
    ("updated_at", InColumn),
    ("revision", Unless("1")),
];

/// The members of an incident that are stored as text.
#[derive(Serialize)]
struct Short<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tlp: Option<Tlp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_link: Option<&'a str>,
    #[serde(skip_serializing_if = "is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "is_empty")]
    observables: &'a [Observable],
    #[serde(skip_serializing_if = "is_empty")]
    techniques: &'a [Technique],
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "is_empty")]
    notes: &'a [Note],
    #[serde(skip_serializing_if = "Option::is_none")]
    playbook: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    triage: Option<&'a Triage>,
    plugin: &'a PluginVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

fn is_empty<T>(list: &&[T]) -> bool {
    list.is_empty()
}

/// Returns the text to store for an incident: that of [`shortened`] for its record.
///
/// # Errors
/// Returns an error if a value cannot be written as JSON.
pub fn short_text(incident: &Incident) -> serde_json::Result<String> {
    serde_json::to_string(&Short {
        title: &incident.title,
        description: incident.description.as_deref(),
        category: incident.category.as_deref(),
        assignee: incident.assignee.as_deref(),
        tlp: incident.tlp,
        occurred_at: incident.occurred_at,
        external_link: incident.external_link.as_deref(),
        tags: &incident.tags,
        observables: &incident.observables,
        techniques: &incident.techniques,
        details: Some(&*incident.details).filter(|details| !details.is_empty()),
        notes: &incident.notes,
        playbook: incident.playbook.as_deref(),
        triage: incident.triage.as_ref(),
        plugin: &incident.plugin,
        hold: Some(true).filter(|_| incident.hold),
        truncated: Some(incident.truncated).filter(|count| *count != 0),
        revision: Some(incident.revision).filter(|count| *count != 1),
    })
}

/// Returns the text to store for a record in JSON that an earlier version stored as a whole.
///
/// # Errors
/// Returns an error if the record is not a JSON object.
pub fn shortened(record: &str) -> serde_json::Result<String> {
    let Members(mut members) = serde_json::from_str(record)?;
    members.retain(|(name, value)| match MEMBERS.iter().find(|(known, _)| known == name) {
        Some((_, InColumn)) => false,
        Some((_, Unless(default))) => value.get() != *default,
        Some((_, Always)) | None => true,
    });
    serde_json::to_string(&Members(members))
}

/// Returns a record in JSON from its stored text and its columns, exactly as it was before it was shortened.
///
/// # Errors
/// Returns an error if the text is not a JSON object or has not all members.
pub fn restored(stored: &str, columns: &RecordColumns) -> serde_json::Result<String> {
    let Members(members) = serde_json::from_str(stored)?;
    let mut record = String::with_capacity(stored.len() + 512);
    for (name, stored) in MEMBERS {
        let value = match stored {
            InColumn => Cow::Owned(columns.member(name)?),
            Always => present(&members, name).ok_or_else(|| Error::custom(format!("`{name}` is missing")))?,
            Unless(default) => present(&members, name).unwrap_or(Cow::Borrowed(default)),
        };
        record.push(if record.is_empty() { '{' } else { ',' });
        record.extend(["\"", name, "\":", &value]);
    }
    record.push('}');
    Ok(record)
}

fn present<'a>(members: &[(&str, &'a RawValue)], name: &str) -> Option<Cow<'a, str>> {
    members.iter().find(|(known, _)| *known == name).map(|(_, value)| Cow::Borrowed(value.get()))
}

impl RecordColumns<'_> {
    /// Returns a member in JSON.
    fn member(&self, name: &str) -> serde_json::Result<String> {
        match name {
            "source" => serde_json::to_string(self.source),
            "source_ref" => serde_json::to_string(self.source_ref),
            "severity" => serde_json::to_string(self.severity),
            "status" => serde_json::to_string(self.status),
            "created_at" => serde_json::to_string(&self.created_at),
            _ => serde_json::to_string(&self.updated_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Severity, Status};
    use serde_json::json;

    fn check(incident: &Incident, stored: &str) {
        let columns = RecordColumns {
            source: &incident.source,
            source_ref: &incident.source_ref,
            severity: incident.severity.as_str(),
            status: incident.status.as_str(),
            created_at: incident.created_at,
            updated_at: incident.updated_at,
        };
        let whole = serde_json::to_string(incident).unwrap();
        let short = shortened(&whole).unwrap();
        assert_eq!((short.as_str(), short_text(incident).unwrap().as_str()), (stored, stored));
        assert_eq!(restored(&short, &columns).unwrap(), whole);
        // A record that was not shortened is read too.
        assert_eq!(restored(&whole, &columns).unwrap(), whole);
    }

    #[test]
    fn a_record_is_stored_without_what_is_known_and_restored_exactly() {
        let at = Timestamp::from_nanosecond(1_767_225_000_123_456_789).unwrap();
        let mut incident = Incident {
            source: "e\"dr".into(),
            source_ref: "ref \u{1}".into(),
            title: "T".into(),
            description: None,
            category: None,
            severity: Severity::High,
            status: Status::InProgress,
            assignee: None,
            tlp: None,
            occurred_at: None,
            external_link: None,
            tags: Vec::new(),
            observables: Vec::new(),
            techniques: Vec::new(),
            details: crate::DetailMap::default(),
            notes: Vec::new(),
            playbook: None,
            triage: None,
            plugin: PluginVersion { name: "p".into(), version: "1".into(), sha256: "0".into() },
            hold: false,
            truncated: 0,
            created_at: at,
            updated_at: at,
            revision: 1,
        };
        check(&incident, r#"{"title":"T","plugin":{"name":"p","version":"1","sha256":"0"}}"#);
        (incident.description, incident.category) = (Some("D".into()), Some("null".into()));
        (incident.assignee, incident.external_link) = (Some("[]".into()), Some(String::new()));
        (incident.tlp, incident.occurred_at) = (Some(Tlp::AmberStrict), Some(at));
        incident.tags.push("t".into());
        let value = "192.0.2.1".to_owned();
        incident.observables.push(Observable {
            data_type: "ip".into(),
            value,
            message: None,
            tags: vec![],
            ioc: false,
        });
        incident.techniques.push(Technique { id: "T1".into(), tactic: None });
        incident.details.insert("x".into(), json!([1.1, null, {"title": "other"}]));
        incident.notes.push(Note { at, by: "ann".into(), text: "n".into() });
        (incident.playbook, incident.triage) = (Some("p".into()), Some(Triage::waiting("p", at)));
        (incident.hold, incident.truncated, incident.revision) = (true, 7, 2);
        let whole = serde_json::to_string(&incident).unwrap();
        let mut expected: Vec<(String, serde_json::Value)> = Vec::new();
        for name in MEMBERS.iter().filter(|(_, stored)| !matches!(stored, InColumn)).map(|(name, _)| *name) {
            expected.push((name.to_owned(), serde_json::from_str::<serde_json::Value>(&whole).unwrap()[name].clone()));
        }
        let short = shortened(&whole).unwrap();
        let found: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&short).unwrap();
        assert_eq!(found, expected.into_iter().collect());
        check(&incident, &short);
    }

    #[test]
    fn a_text_without_a_needed_member_is_refused() {
        let broken = restored(
            "{}",
            &RecordColumns {
                source: "",
                source_ref: "",
                severity: "low",
                status: "new",
                created_at: Timestamp::UNIX_EPOCH,
                updated_at: Timestamp::UNIX_EPOCH,
            },
        );
        assert!(broken.unwrap_err().to_string().contains("`title` is missing"));
    }
}
