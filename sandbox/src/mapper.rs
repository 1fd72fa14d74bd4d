//! Calls mappers: an event in, a checked reading out.

use crate::bindings::wit;
use crate::call::{Call, CallError};
use crate::component::{Interface, Kind};
use crate::detail::detail;
use crate::outcome_json::outcome_json;
use crate::plugin::Plugin;
use hookmill_incident::{
    Event, FailureCode, MappingFailure, NamedValue, Observable, Observation, Reading, Severity, State, TAG_BYTES_MAX,
    TITLE_BYTES_MAX, Technique, Tlp, check_length, merge_repeats, timestamp,
};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

const SOURCE_REF_BYTES_MAX: usize = 512;

type Returned = Result<wit::Outcome, wit::MappingError>;

impl Plugin {
    /// Maps one event with the settings of its source, in an instance of its own.
    ///
    /// The keys of `severity_mapping` are the vendor's severity words in lower case. The failures in the result are the
    /// mapper's own errors (`malformed`, `unsupported`) and results that break the rules.
    pub async fn map(
        &self,
        event: &Event,
        settings: &[NamedValue],
        severity_mapping: &BTreeMap<String, Severity>,
    ) -> Call<Result<Result<Reading, MappingFailure>, CallError>> {
        let incidents_max = self.compiled.limits.incidents;
        self.call_mapper(event, settings).await.map_value(|returned| match returned {
            Ok(outcome) => check(outcome, severity_mapping, incidents_max),
            Err(wit::MappingError::Malformed(message)) => Err(MappingFailure { code: FailureCode::Malformed, message }),
            Err(wit::MappingError::Unsupported(message)) => {
                Err(MappingFailure { code: FailureCode::Unsupported, message })
            }
        })
    }

    /// Maps one event and returns the mapper's result without checks, as JSON in the form of
    /// `hookmill_sdk::testing::outcome_json`.
    pub async fn outcome_json(&self, event: &Event, settings: &[NamedValue]) -> Call<Result<Value, CallError>> {
        self.call_mapper(event, settings).await.map_value(|returned| outcome_json(&returned))
    }

    async fn call_mapper(&self, event: &Event, settings: &[NamedValue]) -> Call<Result<Returned, CallError>> {
        let Interface::Mapper(indices) = &self.compiled.interface else { return self.wrong_kind(Kind::Mapper) };
        let mut id = uuid::Uuid::encode_buffer();
        let id = event.id.hyphenated().encode_lower(&mut id);
        let (headers, context, settings) = (fields(&event.headers), fields(&event.context), fields(settings));
        let argument = wit::Event {
            id,
            source: &event.source,
            received_at: event.received_at.unsigned_abs(),
            content_type: event.content_type.as_deref(),
            headers: &headers,
            context: &context,
            settings: &settings,
            body: &event.body,
        };
        let call = async |store: &mut _, instance: &_| {
            indices.load(&mut *store, instance)?.call_to_incidents(store, argument.clone()).await
        };
        self.compiled.call(event.received_at, event.id, call).await
    }
}

fn fields(values: &[NamedValue]) -> Vec<wit::FieldParam<'_>> {
    values.iter().map(|(name, value)| wit::FieldParam { name, value }).collect()
}

/// Checks and converts the result of a mapper. An invalid incident makes the whole result fail.
fn check(
    outcome: wit::Outcome,
    severity_mapping: &BTreeMap<String, Severity>,
    incidents_max: usize,
) -> Result<Reading, MappingFailure> {
    let count = outcome.incidents.len();
    if count > incidents_max {
        let message = format!("it returned {count} incidents; at most {incidents_max} are taken");
        return Err(MappingFailure { code: FailureCode::OutputTooLarge, message });
    }
    let observations = outcome
        .incidents
        .into_iter()
        .enumerate()
        .map(|(index, incident)| {
            observation(incident, severity_mapping).map_err(|problem| MappingFailure {
                code: FailureCode::InvalidIncident,
                message: format!("incident {} of {count}: {problem}", index + 1),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Reading { observations: merge_repeats(observations), skipped: outcome.skipped, problems: outcome.problems })
}

fn observation(incident: wit::Incident, severity_mapping: &BTreeMap<String, Severity>) -> Result<Observation, String> {
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
            wit::State::Open => State::Open,
            wit::State::Resolved => State::Resolved,
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

/// Checks and converts an observable.
pub(crate) fn observable(observable: wit::ObservableResult) -> Result<Observable, String> {
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

/// Converts a severity.
pub(crate) fn severity(severity: wit::Severity) -> Severity {
    match severity {
        wit::Severity::Informational => Severity::Informational,
        wit::Severity::Low => Severity::Low,
        wit::Severity::Medium => Severity::Medium,
        wit::Severity::High => Severity::High,
        wit::Severity::Critical => Severity::Critical,
    }
}

fn tlp(tlp: wit::Tlp) -> Tlp {
    match tlp {
        wit::Tlp::Clear => Tlp::Clear,
        wit::Tlp::Green => Tlp::Green,
        wit::Tlp::Amber => Tlp::Amber,
        wit::Tlp::AmberStrict => Tlp::AmberStrict,
        wit::Tlp::Red => Tlp::Red,
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::bindings::wit;
    use hookmill_incident::{FailureCode, Reading, Severity};
    use std::collections::BTreeMap;

    fn incident(source_ref: &str) -> wit::Incident {
        wit::Incident {
            source_ref: source_ref.into(),
            title: None,
            description: None,
            category: None,
            severity: Some(wit::Severity::Low),
            vendor_severity: None,
            state: None,
            tlp: None,
            occurred_at: None,
            changed_at: None,
            external_link: None,
            tags: Vec::new(),
            observables: Vec::new(),
            techniques: Vec::new(),
            details: Vec::new(),
        }
    }

    fn checked(incidents: Vec<wit::Incident>) -> Result<Reading, (FailureCode, String)> {
        let outcome = wit::Outcome { incidents, skipped: Vec::new(), problems: Vec::new() };
        let severity_mapping =
            BTreeMap::from([("p1".to_owned(), Severity::Critical), ("low".into(), Severity::Medium)]);
        check(outcome, &severity_mapping, 2).map_err(|failure| (failure.code, failure.message))
    }

    #[test]
    fn the_severity_mapping_reads_the_vendors_word_or_that_of_the_mapper() {
        for (vendor_severity, expected) in
            [(Some("P1"), Severity::Critical), (Some("P9"), Severity::Low), (None, Severity::Medium)]
        {
            let incident = wit::Incident { vendor_severity: vendor_severity.map(str::to_owned), ..incident("r") };
            let reading = checked(vec![incident]).unwrap();
            assert_eq!(reading.observations[0].severity, Some(expected), "{vendor_severity:?}");
        }
    }

    #[test]
    fn results_that_break_the_rules_are_refused() {
        let message = "it returned 3 incidents; at most 2 are taken".to_owned();
        assert_eq!(checked(vec![incident("r"); 3]).unwrap_err(), (FailureCode::OutputTooLarge, message));
        let message = "incident 2 of 2: source-ref has 0 bytes; expected 1 to 512".to_owned();
        let error = checked(vec![incident("r"), incident("")]).unwrap_err();
        assert_eq!(error, (FailureCode::InvalidIncident, message));
        let early = wit::Incident { occurred_at: Some("1601-01-01T00:00:00Z".into()), ..incident("r") };
        assert_eq!(checked(vec![early]).unwrap_err().0, FailureCode::InvalidIncident);
    }
}
