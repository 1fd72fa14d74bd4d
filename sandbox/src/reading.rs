//! The check of a mapper's result.
//!
//! A wrong value costs that value, an incident without a usable source-ref costs that incident, and both are named in
//! the problems of the reading. Only a result without a single usable incident fails as a whole.

use crate::bindings::wit;
use crate::detail::detail;
use crate::sentences::{Sentences, cut};
use hookmill_incident::{
    FailureCode, MappingFailure, Observable, Observation, Reading, Severity, State, TAG_BYTES_MAX, TITLE_BYTES_MAX,
    Technique, Tlp, check_length, merge_repeats, timestamp,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

const SOURCE_REF_BYTES_MAX: usize = 512;
/// The number of incidents above the limit whose source-refs are named.
const NAMED_MAX: usize = 5;
/// The length to which a source-ref is cut in a problem, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Checks and converts the result of a mapper.
///
/// # Errors
/// Returns a failure if the result has incidents, and none of them is usable.
pub(crate) fn reading(
    outcome: wit::Outcome,
    severity_mapping: &BTreeMap<String, Severity>,
    incidents_max: usize,
) -> Result<Reading, MappingFailure> {
    let wit::Outcome { mut incidents, skipped, problems: reported } = outcome;
    let count = incidents.len();
    let left_out = incidents.split_off(incidents_max.min(count));
    let mut problems = Sentences::default();
    let mut observations = Vec::with_capacity(incidents.len());
    for (index, incident) in incidents.into_iter().enumerate() {
        if let Err(problem) = check_length("source-ref", &incident.source_ref, SOURCE_REF_BYTES_MAX) {
            problems.add(&format!("incident {} of {count}: {problem}", index + 1));
            continue;
        }
        let name = cut(&incident.source_ref, NAME_BYTES_MAX).to_owned();
        let mut checks = Checks { problems: &mut problems, incident: &name };
        observations.push(checks.observation(incident, severity_mapping));
    }
    if observations.is_empty() && count > 0 {
        return Err(MappingFailure { code: FailureCode::InvalidIncident, message: problems.finish().join("; ") });
    }
    let left_out = (!left_out.is_empty()).then(|| too_many(count, &left_out));
    let problems = [Sentences::bounded(&reported), left_out.into_iter().collect(), problems.finish()].concat();
    Ok(Reading { observations: merge_repeats(observations), skipped: Sentences::bounded(&skipped), problems })
}

/// Returns the problem that names the incidents above the limit.
fn too_many(count: usize, left_out: &[wit::Incident]) -> String {
    let named = left_out.iter().take(NAMED_MAX);
    let named: Vec<_> = named.map(|incident| format!("`{}`", cut(&incident.source_ref, NAME_BYTES_MAX))).collect();
    let more = match left_out.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the mapper returned {count} incidents; the first {} are taken, {} are left out: {}{more}",
        count - left_out.len(),
        left_out.len(),
        named.join(", ")
    )
}

/// The checks of one incident's values.
struct Checks<'a> {
    problems: &'a mut Sentences,
    /// The source-ref of the incident, shortened.
    incident: &'a str,
}

impl Checks<'_> {
    fn observation(&mut self, incident: wit::Incident, severity_mapping: &BTreeMap<String, Severity>) -> Observation {
        let severity = incident.severity.map(severity);
        let word = incident.vendor_severity.as_deref().or(severity.map(Severity::as_str));
        let word = word.filter(|_| !severity_mapping.is_empty());
        let mapped = word.and_then(|word| severity_mapping.get(&word.to_lowercase()).copied());
        let details = incident.details.into_iter().map(|field| (field.name, detail(field.value)));
        let technique = |technique: wit::TechniqueResult| Technique { id: technique.id, tactic: technique.tactic };
        Observation {
            title: incident.title.and_then(|title| self.title(title)),
            description: incident.description,
            category: incident.category,
            severity: mapped.or(severity),
            state: incident.state.map(|state| match state {
                wit::State::Open => State::Open,
                wit::State::Resolved => State::Resolved,
            }),
            tlp: incident.tlp.map(tlp),
            occurred_at: self.time("occurred-at", incident.occurred_at),
            changed_at: self.time("changed-at", incident.changed_at),
            external_link: incident.external_link,
            tags: self.tags(incident.tags),
            observables: incident.observables.into_iter().filter_map(|seen| self.observable(seen)).collect(),
            techniques: incident.techniques.into_iter().map(technique).collect(),
            details: details.collect(),
            source_ref: incident.source_ref,
        }
    }

    fn left_out(&mut self, problem: &str) {
        self.problems.add(&format!("incident `{}`: {problem}; left out", self.incident));
    }

    /// Returns the value, or leaves it out with a problem.
    fn keep<T>(&mut self, value: Result<T, String>) -> Option<T> {
        value.map_err(|problem| self.left_out(&problem)).ok()
    }

    /// Returns a title that is cut to the limit. The beginning of a title is still true.
    fn title(&mut self, title: String) -> Option<String> {
        match check_length("title", &title, TITLE_BYTES_MAX) {
            Ok(()) => Some(title),
            Err(problem) if title.is_empty() => self.keep(Err(problem)),
            Err(problem) => {
                self.problems.add(&format!("incident `{}`: {problem}; cut", self.incident));
                Some(cut(&title, TITLE_BYTES_MAX).to_owned())
            }
        }
    }

    fn time(&mut self, name: &str, text: Option<String>) -> Option<Timestamp> {
        text.and_then(|text| self.keep(timestamp::parse(&text).map_err(|problem| format!("{name}: {problem}"))))
    }

    fn tags(&mut self, mut tags: Vec<String>) -> Vec<String> {
        tags.retain(|tag| self.keep(check_tag(tag)).is_some());
        tags
    }

    fn observable(&mut self, seen: wit::ObservableResult) -> Option<Observable> {
        let tags = self.tags(seen.tags);
        self.keep(observable(wit::ObservableResult { tags, ..seen }))
    }
}

/// Checks and converts an observable.
///
/// # Errors
/// Returns a sentence that says what is wrong with it.
pub(crate) fn observable(observable: wit::ObservableResult) -> Result<Observable, String> {
    let kind = &observable.data_type;
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if kind.is_empty() || !kind.bytes().all(known) {
        return Err(format!("data-type `{kind}` of an observable is not made of a-z 0-9 _ -"));
    }
    if observable.value.is_empty() {
        return Err(format!("an observable of data-type `{kind}` has an empty value"));
    }
    observable.tags.iter().try_for_each(|tag| check_tag(tag))?;
    Ok(Observable {
        data_type: observable.data_type,
        value: observable.value,
        message: observable.message,
        tags: observable.tags,
        ioc: observable.ioc,
    })
}

fn check_tag(tag: &str) -> Result<(), String> {
    check_length("a tag", tag, TAG_BYTES_MAX)
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
    use super::reading;
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
        reading(outcome, &severity_mapping, 2).map_err(|failure| (failure.code, failure.message))
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
    fn a_wrong_value_costs_that_value_and_is_named() {
        let observable = |kind: &str, value: &str, tag: &str| wit::ObservableResult {
            data_type: kind.into(),
            value: value.into(),
            message: None,
            tags: vec![tag.into(), "kept".into()],
            ioc: false,
        };
        let wrong = wit::Incident {
            title: Some("ä".repeat(300)),
            occurred_at: Some("2026-02-30T00:00:00Z".into()),
            changed_at: Some("9999-12-31T23:59:59Z".into()),
            tags: vec!["x".repeat(129), "kept".into()],
            observables: vec![observable("IP", "10.0.0.1", "t"), observable("ip", "10.0.0.1", "")],
            ..incident("r")
        };
        let reading = checked(vec![wrong, incident("neighbour")]).unwrap();
        let made = &reading.observations[0];
        assert_eq!((reading.observations.len(), reading.problems.len()), (2, 6), "{:?}", reading.problems);
        assert_eq!(made.title.as_deref(), Some("ä".repeat(256).as_str()));
        assert_eq!((made.occurred_at, made.changed_at, &made.tags[..]), (None, None, &["kept".to_owned()][..]));
        assert_eq!((made.observables.len(), &made.observables[0].tags[..]), (1, &["kept".to_owned()][..]));
        assert!(reading.problems.iter().all(|problem| problem.starts_with("incident `r`: ")), "{:?}", reading.problems);
    }

    #[test]
    fn an_incident_without_source_ref_costs_that_incident() {
        let reading = checked(vec![incident(""), incident("r")]).unwrap();
        assert_eq!(reading.observations.len(), 1);
        assert_eq!(reading.problems, ["incident 1 of 2: source-ref has 0 bytes; expected 1 to 512"]);
        let (code, message) = checked(vec![incident("")]).unwrap_err();
        assert_eq!(code, FailureCode::InvalidIncident);
        assert_eq!(message, "incident 1 of 1: source-ref has 0 bytes; expected 1 to 512");
    }

    #[test]
    fn incidents_above_the_limit_are_counted_and_named() {
        let refs = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let reading = checked(refs.map(incident).to_vec()).unwrap();
        assert_eq!(reading.observations.len(), 2);
        let problem = "the mapper returned 9 incidents; the first 2 are taken, 7 are left out: `c`, `d`, `e`, `f`, `g` and 2 more";
        assert_eq!(reading.problems, [problem]);
    }
}
