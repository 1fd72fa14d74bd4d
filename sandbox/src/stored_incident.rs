//! The conversion of an incident as the API shows it to the record that playbooks and notifiers get.

use crate::bindings::wit;
use hookmill_incident::{Incident, Severity, ShownIncident, Status, Tlp};
use serde_json::{Map, Value};

/// The texts that the record borrows. The generated types require slices of slices, which the domain types do not have.
pub(crate) struct Texts<'a> {
    shown: &'a ShownIncident,
    id: String,
    occurred_at: Option<String>,
    created_at: String,
    updated_at: String,
    tags: Vec<&'a str>,
    observable_tags: Vec<Vec<&'a str>>,
    techniques: Vec<wit::TechniqueParam<'a>>,
    details: Vec<(&'a str, String)>,
    note_times: Vec<String>,
}

/// The lists that are made of [`Texts`].
pub(crate) struct Lists<'a> {
    texts: &'a Texts<'a>,
    observables: Vec<wit::ObservableParam<'a>>,
    details: Vec<wit::FieldParam<'a>>,
    notes: Vec<wit::Note<'a>>,
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Returns the names and texts of attributes: texts unchanged, other values as JSON.
pub(crate) fn texts_of(attributes: &Map<String, Value>) -> Vec<(&str, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    attributes.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
}

/// Returns the texts of [`texts_of`] as fields of the record.
pub(crate) fn fields_of<'a>(texts: &'a [(&'a str, String)]) -> Vec<wit::FieldParam<'a>> {
    texts.iter().map(|(name, value)| wit::FieldParam { name, value }).collect()
}

impl<'a> Texts<'a> {
    pub fn new(shown: &'a ShownIncident) -> Self {
        let incident = &shown.incident;
        let technique = |technique: &'a hookmill_incident::Technique| wit::TechniqueParam {
            id: &technique.id,
            tactic: technique.tactic.as_deref(),
        };
        Self {
            shown,
            id: shown.id.to_string(),
            occurred_at: incident.occurred_at.map(|time| time.to_string()),
            created_at: incident.created_at.to_string(),
            updated_at: incident.updated_at.to_string(),
            tags: strs(&incident.tags),
            observable_tags: incident.observables.iter().map(|observable| strs(&observable.tags)).collect(),
            techniques: incident.techniques.iter().map(technique).collect(),
            details: texts_of(&incident.details),
            note_times: incident.notes.iter().map(|note| note.at.to_string()).collect(),
        }
    }
}

impl<'a> Lists<'a> {
    pub fn new(texts: &'a Texts<'a>) -> Self {
        let incident = &texts.shown.incident;
        let observables = incident.observables.iter().zip(&texts.observable_tags);
        let observables = observables.map(|(observable, tags)| wit::ObservableParam {
            data_type: &observable.data_type,
            value: &observable.value,
            message: observable.message.as_deref(),
            tags,
            ioc: observable.ioc,
        });
        let notes = incident.notes.iter().zip(&texts.note_times);
        let notes = notes.map(|(note, at)| wit::Note { at, by: &note.by, text: &note.text });
        Self { texts, observables: observables.collect(), details: fields_of(&texts.details), notes: notes.collect() }
    }

    pub fn record(&'a self) -> wit::StoredIncident<'a> {
        let Texts { shown, .. } = self.texts;
        let incident: &Incident = &shown.incident;
        wit::StoredIncident {
            id: &self.texts.id,
            number: &shown.number,
            source: &incident.source,
            source_ref: &incident.source_ref,
            title: &incident.title,
            description: incident.description.as_deref(),
            category: incident.category.as_deref(),
            severity: severity(incident.severity),
            status: status(incident.status),
            assignee: incident.assignee.as_deref(),
            tlp: incident.tlp.map(tlp),
            occurred_at: self.texts.occurred_at.as_deref(),
            external_link: incident.external_link.as_deref(),
            tags: &self.texts.tags,
            observables: &self.observables,
            techniques: &self.texts.techniques,
            details: &self.details,
            notes: &self.notes,
            occurrences: shown.occurrences,
            created_at: &self.texts.created_at,
            updated_at: &self.texts.updated_at,
        }
    }
}

fn severity(severity: Severity) -> wit::Severity {
    match severity {
        Severity::Informational => wit::Severity::Informational,
        Severity::Low => wit::Severity::Low,
        Severity::Medium => wit::Severity::Medium,
        Severity::High => wit::Severity::High,
        Severity::Critical => wit::Severity::Critical,
    }
}

fn status(status: Status) -> wit::Status {
    match status {
        Status::New => wit::Status::New,
        Status::Triaged => wit::Status::Triaged,
        Status::InProgress => wit::Status::InProgress,
        Status::Escalated => wit::Status::Escalated,
        Status::Resolved => wit::Status::Resolved,
        Status::FalsePositive => wit::Status::FalsePositive,
        Status::Closed => wit::Status::Closed,
    }
}

fn tlp(tlp: Tlp) -> wit::Tlp {
    match tlp {
        Tlp::Clear => wit::Tlp::Clear,
        Tlp::Green => wit::Tlp::Green,
        Tlp::Amber => wit::Tlp::Amber,
        Tlp::AmberStrict => wit::Tlp::AmberStrict,
        Tlp::Red => wit::Tlp::Red,
    }
}
