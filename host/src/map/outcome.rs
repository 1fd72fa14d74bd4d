//! From what a mapper returned to what the domain can take.

use crate::event::{Failure, FailureCode};
use crate::incident::{
    Observable, Observation, Severity, State, TAG_BYTES_MAX, TITLE_BYTES_MAX, Technique, Tlp, check_length,
    merge_repeats,
};
use crate::plugin::shapes;
use crate::timestamp;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

const SOURCE_REF_BYTES_MAX: usize = 512;

/// An outcome that was checked.
pub(super) struct Checked {
    pub observations: Vec<Observation>,
    pub skipped: Vec<String>,
    pub problems: Vec<String>,
}

/// Checks every incident of an outcome; one that cannot be refuses them all.
pub(super) fn check(
    outcome: shapes::Outcome,
    severity_mapping: &BTreeMap<String, Severity>,
    incidents_max: usize,
) -> Result<Checked, Failure> {
    let count = outcome.incidents.len();
    if count > incidents_max {
        let message = format!("it returned {count} incidents; at most {incidents_max} are taken");
        return Err(Failure { code: FailureCode::OutputTooLarge, message });
    }
    let observations = outcome
        .incidents
        .into_iter()
        .enumerate()
        .map(|(index, incident)| {
            observation(incident, severity_mapping).map_err(|problem| Failure {
                code: FailureCode::InvalidIncident,
                message: format!("incident {} of {count}: {problem}", index + 1),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Checked { observations: merge_repeats(observations), skipped: outcome.skipped, problems: outcome.problems })
}

fn observation(
    incident: shapes::Incident,
    severity_mapping: &BTreeMap<String, Severity>,
) -> Result<Observation, String> {
    check_length("source-ref", &incident.source_ref, SOURCE_REF_BYTES_MAX)?;
    if let Some(title) = &incident.title {
        check_length("title", title, TITLE_BYTES_MAX)?;
    }
    tags(&incident.tags)?;
    let severity = incident.severity.map(severity);
    let word = incident.vendor_severity.or(severity.map(|severity| severity.to_string()));
    let mapped = word.and_then(|word| severity_mapping.get(&word.to_lowercase()).copied());
    let details = incident.details.into_iter().map(|field| (field.name, detail(field.value)));
    Ok(Observation {
        source_ref: incident.source_ref,
        title: incident.title,
        description: incident.description,
        category: incident.category,
        severity: mapped.or(severity),
        state: incident.state.map(|state| match state {
            shapes::State::Open => State::Open,
            shapes::State::Resolved => State::Resolved,
        }),
        tlp: incident.tlp.map(tlp),
        occurred_at: time("occurred-at", incident.occurred_at)?,
        changed_at: time("changed-at", incident.changed_at)?,
        external_link: incident.external_link,
        tags: incident.tags,
        observables: incident.observables.into_iter().map(observable).collect::<Result<_, _>>()?,
        techniques: incident
            .techniques
            .into_iter()
            .map(|technique| Technique { id: technique.id, tactic: technique.tactic })
            .collect(),
        details: details.collect(),
    })
}

/// JSON where the text is that; a number only when it stays as it was written: `7.10` is a version.
fn detail(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(Value::Number(number)) if number.to_string() != text => Value::String(text),
        Ok(value) => value,
        Err(_) => Value::String(text),
    }
}

/// Checks an observable.
pub(crate) fn observable(observable: shapes::ObservableResult) -> Result<Observable, String> {
    let kind = &observable.data_type;
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if kind.is_empty() || !kind.bytes().all(known) {
        return Err(format!("data-type `{kind}` of an observable is not made of a-z 0-9 _ -"));
    }
    if observable.value.is_empty() {
        return Err(format!("an observable of data-type `{kind}` has an empty value"));
    }
    tags(&observable.tags)?;
    Ok(Observable {
        data_type: observable.data_type,
        value: observable.value,
        message: observable.message,
        tags: observable.tags,
        ioc: observable.ioc,
    })
}

fn tags(tags: &[String]) -> Result<(), String> {
    tags.iter().try_for_each(|tag| check_length("a tag", tag, TAG_BYTES_MAX))
}

fn time(what: &str, text: Option<String>) -> Result<Option<Timestamp>, String> {
    text.map(|text| timestamp::parse(&text)).transpose().map_err(|problem| format!("{what}: {problem}"))
}

/// The domain's word.
pub(crate) fn severity(severity: shapes::Severity) -> Severity {
    match severity {
        shapes::Severity::Informational => Severity::Informational,
        shapes::Severity::Low => Severity::Low,
        shapes::Severity::Medium => Severity::Medium,
        shapes::Severity::High => Severity::High,
        shapes::Severity::Critical => Severity::Critical,
    }
}

fn tlp(tlp: shapes::Tlp) -> Tlp {
    match tlp {
        shapes::Tlp::Clear => Tlp::Clear,
        shapes::Tlp::Green => Tlp::Green,
        shapes::Tlp::Amber => Tlp::Amber,
        shapes::Tlp::AmberStrict => Tlp::AmberStrict,
        shapes::Tlp::Red => Tlp::Red,
    }
}
