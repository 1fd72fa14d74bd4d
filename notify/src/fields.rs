//! What a message can have in it: the fields by trigger, and what comparing them means.
//!
//! Filters and templates are checked against this when they are loaded, so that a misspelt field is refused then and
//! does not stay silent for ever.

use anyhow::{Result, bail, ensure};
use hookmill_incident::words;
use hookmill_incident::{Severity, Status, Tlp, TriageCode, TriageStatus};

/// Segments of a path.
const SEGMENTS_MAX: usize = 32;
/// How much two names have to have in common for one to be proposed in place of the other, from 0 to 1.
const LIKENESS_MIN: f64 = 0.8;

words!(
    /// What a notification is made for.
    Trigger {
        IncidentCreated = "incident_created", IncidentUpdated = "incident_updated",
        IncidentResolved = "incident_resolved", SeverityRaised = "severity_raised",
        ObservableAdded = "observable_added",
        /// Every change of an incident, its end too.
        Any = "any",
        EventReceived = "event_received", EventQuarantined = "event_quarantined",
        DestinationDisabled = "destination_disabled", PluginRefused = "plugin_refused", SourceSilent = "source_silent",
    }
);

/// The words that a field can hold, in their order.
pub type Words = fn() -> Vec<&'static str>;

/// What stands in a place of a message.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text of any kind.
    Text,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// RFC 3339, or milliseconds since the Unix epoch.
    Time,
    /// One of these words, which have no order.
    Word(Words),
    /// One of these words, from the least on.
    Rank(Words),
    /// Whatever a vendor puts there.
    Open,
    /// Texts by any name, such as headers.
    Texts,
    /// Several of them.
    List(&'static Shape),
    /// These names and no others.
    Object(&'static [(&'static str, Shape)]),
}

/// A path that exists in a message.
#[derive(Clone, Debug)]
pub struct Field {
    /// The names on the way; a number is also a place in a list.
    pub segments: Vec<String>,
    /// What it ends at.
    pub shape: Shape,
}

impl Trigger {
    /// The shape of the message.
    pub fn message(self) -> Shape {
        Shape::Object(match self {
            Self::IncidentCreated
            | Self::IncidentUpdated
            | Self::IncidentResolved
            | Self::SeverityRaised
            | Self::ObservableAdded
            | Self::Any => ABOUT_INCIDENT,
            Self::EventReceived => &[("event", Shape::Object(EVENT_RECEIVED)), ("url", Shape::Text)],
            Self::EventQuarantined => &[("event", Shape::Object(EVENT_QUARANTINED)), ("url", Shape::Text)],
            Self::DestinationDisabled => &[("object", Shape::Object(DESTINATION))],
            Self::PluginRefused => &[("object", Shape::Object(PLUGIN_FILE))],
            Self::SourceSilent => &[("object", Shape::Object(SILENT_SOURCE))],
        })
    }

    /// Whether its messages tell of an event.
    pub fn is_about_events(self) -> bool {
        matches!(self, Self::EventReceived | Self::EventQuarantined)
    }

    /// Whether its messages tell of a change of an incident.
    pub fn is_about_incidents(self) -> bool {
        matches!(
            self,
            Self::IncidentCreated
                | Self::IncidentUpdated
                | Self::IncidentResolved
                | Self::SeverityRaised
                | Self::ObservableAdded
                | Self::Any
        )
    }

    /// Finds the field that a dotted path means.
    ///
    /// # Errors
    /// When no message of this trigger can have it, with the nearest name that it can have.
    pub fn field(self, path: &str) -> Result<Field> {
        self.message().field(path)
    }
}

impl Shape {
    /// Finds the field that a dotted path from here means. A list stands for each of its elements.
    ///
    /// # Errors
    /// When there is none, with the nearest name that there is.
    pub fn field(self, path: &str) -> Result<Field> {
        let names: Vec<&str> = path.split('.').collect();
        ensure!(names.len() <= SEGMENTS_MAX, "a path has at most {SEGMENTS_MAX} names; this one has {}", names.len());
        let mut field = Field { segments: Vec::with_capacity(names.len()), shape: self };
        for (index, name) in names.iter().copied().enumerate() {
            ensure!(!name.is_empty(), "`{path}` has an empty name in it; write it such as `object.title`");
            let outside = names[..index].join(".");
            if let Self::Texts = field.shape {
                // Names of headers may have dots in them.
                field.segments.push(names[index..].join("."));
                field.shape = Self::Text;
                break;
            }
            while let (Self::List(element), false) = (field.shape, is_index(name)) {
                field.shape = *element;
            }
            field.shape = field.shape.member(name, &outside)?;
            field.segments.push(name.to_owned());
        }
        Ok(field)
    }

    /// What `name` is in it; `outside` is the path to here, for messages.
    ///
    /// # Errors
    /// When it cannot be there, with the nearest name that can.
    pub fn member(self, name: &str, outside: &str) -> Result<Self> {
        let path = if outside.is_empty() { name.to_owned() } else { format!("{outside}.{name}") };
        match self {
            Self::Open => Ok(Self::Open),
            Self::Texts => Ok(Self::Text),
            Self::List(element) if is_index(name) => Ok(*element),
            Self::List(_) => {
                bail!(
                    "there is no `{path}`: `{outside}` is a list; take one by its place, `{outside}.0`, or each of them"
                )
            }
            Self::Object(members) => {
                if let Some((_, shape)) = members.iter().find(|(known, _)| *known == name) {
                    return Ok(*shape);
                }
                let names = members.iter().map(|(known, _)| *known);
                match nearest(name, names.clone()) {
                    Some(near) if outside.is_empty() => bail!("there is no `{path}`; did you mean `{near}`?"),
                    Some(near) => bail!("there is no `{path}`; did you mean `{outside}.{near}`?"),
                    None if members.is_empty() => bail!("there is no `{path}`: `{outside}` is always empty here"),
                    None if outside.is_empty() => {
                        bail!("there is no `{path}`; there are: {}", names.collect::<Vec<_>>().join(", "))
                    }
                    None => {
                        bail!("there is no `{path}`; `{outside}` has: {}", names.collect::<Vec<_>>().join(", "))
                    }
                }
            }
            Self::Text | Self::Number | Self::Flag | Self::Time | Self::Word(_) | Self::Rank(_) => {
                bail!("there is no `{path}`: `{outside}` is a plain value")
            }
        }
    }
}

/// The name that somebody who wrote `name` most likely meant.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let scored = names.map(|known| (likeness(known), known)).filter(|(score, _)| *score >= LIKENESS_MIN);
    scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known)
}

/// Whether a name can be a place in a list.
pub(super) fn is_index(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

macro_rules! all_words {
    ($($function:ident: $words:ty),* $(,)?) => {$(
        fn $function() -> Vec<&'static str> {
            <$words>::ALL.iter().map(|word| word.as_str()).collect()
        }
    )*};
}

all_words!(severities: Severity, statuses: Status, tlps: Tlp, triage_statuses: TriageStatus, triage_codes: TriageCode);

fn operations() -> Vec<&'static str> {
    vec!["Creation", "Update", "Delete"]
}

const TEXTS: Shape = Shape::List(&Shape::Text);

/// `object` and `details` have the same fields: the second those that changed.
const ABOUT_INCIDENT: &[(&str, Shape)] = &[
    ("object", Shape::Object(INCIDENT)),
    ("details", Shape::Object(INCIDENT)),
    ("audit", Shape::Object(AUDIT)),
    ("url", Shape::Text),
    ("event", Shape::Object(&[])),
];

const INCIDENT: &[(&str, Shape)] = &[
    ("id", Shape::Text),
    ("number", Shape::Text),
    ("source", Shape::Text),
    ("source_ref", Shape::Text),
    ("title", Shape::Text),
    ("description", Shape::Text),
    ("category", Shape::Text),
    ("severity", Shape::Rank(severities)),
    ("status", Shape::Word(statuses)),
    ("assignee", Shape::Text),
    ("tlp", Shape::Rank(tlps)),
    ("occurred_at", Shape::Time),
    ("external_link", Shape::Text),
    ("tags", TEXTS),
    ("observables", Shape::List(&Shape::Object(OBSERVABLE))),
    ("techniques", Shape::List(&Shape::Object(&[("id", Shape::Text), ("tactic", Shape::Text)]))),
    ("details", Shape::Open),
    ("notes", Shape::List(&Shape::Object(&[("at", Shape::Time), ("by", Shape::Text), ("text", Shape::Text)]))),
    ("playbook", Shape::Text),
    ("triage", Shape::Object(TRIAGE)),
    ("plugin", Shape::Object(PLUGIN)),
    ("truncated", Shape::Number),
    ("created_at", Shape::Time),
    ("updated_at", Shape::Time),
    ("revision", Shape::Number),
    ("occurrences", Shape::Number),
    ("event_ids", TEXTS),
];

const OBSERVABLE: &[(&str, Shape)] = &[
    ("data_type", Shape::Text),
    ("value", Shape::Text),
    ("message", Shape::Text),
    ("tags", TEXTS),
    ("ioc", Shape::Flag),
];

const TRIAGE: &[(&str, Shape)] = &[
    ("playbook", Shape::Text),
    ("status", Shape::Word(triage_statuses)),
    ("at", Shape::Time),
    ("plugin", Shape::Object(PLUGIN)),
    ("error", Shape::Object(&[("code", Shape::Word(triage_codes)), ("message", Shape::Text)])),
    ("problems", TEXTS),
];

const PLUGIN: &[(&str, Shape)] = &[("name", Shape::Text), ("version", Shape::Text), ("sha256", Shape::Text)];

const AUDIT: &[(&str, Shape)] = &[
    ("operation", Shape::Word(operations)),
    ("objectType", Shape::Text),
    ("objectId", Shape::Text),
    ("startDate", Shape::Time),
    ("requestId", Shape::Text),
    ("base", Shape::Flag),
    ("rootId", Shape::Text),
];

const EVENT_RECEIVED: &[(&str, Shape)] = &[
    ("id", Shape::Text),
    ("source", Shape::Text),
    ("received_at", Shape::Time),
    ("content_type", Shape::Text),
    ("headers", Shape::Texts),
    ("context", Shape::Texts),
    ("body", Shape::Open),
];

const EVENT_QUARANTINED: &[(&str, Shape)] = &[
    ("id", Shape::Text),
    ("source", Shape::Text),
    ("received_at", Shape::Time),
    ("content_type", Shape::Text),
    ("headers", Shape::Texts),
    ("context", Shape::Texts),
    ("error", Shape::Object(&[("code", Shape::Text), ("message", Shape::Text)])),
];

const DESTINATION: &[(&str, Shape)] = &[("name", Shape::Text), ("reason", Shape::Text)];

const PLUGIN_FILE: &[(&str, Shape)] = &[("name", Shape::Text), ("sha256", Shape::Text), ("error", Shape::Text)];

// How a source's `silent_after` is written is its declaration's matter.
const SILENT_SOURCE: &[(&str, Shape)] =
    &[("name", Shape::Text), ("last_event_at", Shape::Time), ("silent_after", Shape::Open)];

#[cfg(test)]
mod tests {
    use super::{AUDIT, Shape, Trigger};
    use hookmill_incident::{AuditEntry, IncidentView};
    use hookmill_incident::{
        Incident, Note, Observable, Observation, Origin, PluginVersion, Technique, Triage, TriageCode, TriageError,
    };
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;
    use uuid::Uuid;

    /// An incident that leaves nothing out.
    fn full() -> Value {
        let now = Timestamp::UNIX_EPOCH;
        let plugin = PluginVersion { name: "p".into(), version: "1".into(), sha256: "0".into() };
        let origin = Origin {
            event_id: Uuid::nil(),
            source: "s".into(),
            received_at: now,
            plugin: plugin.clone(),
            playbook: Some("b".into()),
            auto_triage: true,
        };
        let observable = Observable {
            data_type: "ip".into(),
            value: "192.0.2.1".into(),
            message: Some("m".into()),
            tags: vec!["t".into()],
            ioc: true,
        };
        let observation = Observation {
            source_ref: "r".into(),
            tags: vec!["t".into()],
            observables: vec![observable],
            techniques: vec![Technique { id: "T1059".into(), tactic: Some("TA0002".into()) }],
            ..Observation::default()
        };
        let (mut incident, _) = Incident::create(observation, &origin, now);
        incident.notes.push(Note { at: now, by: "b".into(), text: "t".into() });
        let error = Some(TriageError { code: TriageCode::Refused, message: "m".into() });
        let problems = vec!["p".into()];
        incident.triage = Some(Triage { plugin: Some(plugin), error, problems, ..Triage::waiting("b", now) });
        let view = IncidentView {
            id: Uuid::nil(),
            number: "INC-1970-0001".into(),
            incident: &incident,
            occurrences: 1,
            event_ids: &[Uuid::nil()],
        };
        json!(view)
    }

    /// Both ways: no field that is shown is unknown, and none is known that is not shown.
    fn compare(shape: Shape, value: &Value, path: &str) {
        match (shape, value) {
            (Shape::Object(members), Value::Object(shown)) => {
                let known: BTreeSet<&str> = members.iter().map(|(name, _)| *name).collect();
                assert_eq!(known, shown.keys().map(String::as_str).collect(), "{path}");
                members.iter().for_each(|(name, shape)| compare(*shape, &shown[*name], &format!("{path}.{name}")));
            }
            (Shape::List(element), Value::Array(items)) => {
                assert!(!items.is_empty(), "{path}");
                items.iter().for_each(|item| compare(*element, item, path));
            }
            (Shape::Word(words) | Shape::Rank(words), Value::String(word)) => {
                assert!(words().contains(&word.as_str()), "{path}");
            }
            (Shape::Time, Value::String(time)) => assert!(time.parse::<Timestamp>().is_ok(), "{path}"),
            (Shape::Text | Shape::Time | Shape::Rank(_), Value::Null)
            | (Shape::Text, Value::String(_))
            | (Shape::Flag, Value::Bool(_))
            | (Shape::Number | Shape::Time, Value::Number(_))
            | (Shape::Open, _) => {}
            (shape, value) => panic!("{path}: {shape:?} is {value}"),
        }
    }

    #[test]
    fn the_fields_are_those_that_are_shown() {
        compare(Trigger::Any.field("object").unwrap().shape, &full(), "object");
        let entry = AuditEntry {
            operation: hookmill_incident::Operation::Creation,
            object_type: "incident",
            object_id: Uuid::nil(),
            start_date: 0,
            request_id: "r".into(),
            details: Default::default(),
            base: true,
            root_id: Uuid::nil(),
            object: Default::default(),
        };
        let mut entry = json!(entry);
        entry.as_object_mut().unwrap().retain(|name, _| name != "object" && name != "details");
        compare(Shape::Object(AUDIT), &entry, "audit");
    }

    #[test]
    fn what_can_be_in_a_message() {
        let cases = [
            (Trigger::IncidentCreated, "object.severity"),
            (Trigger::IncidentCreated, "object.details.anything.at.all"),
            (Trigger::IncidentCreated, "object.observables.data_type"),
            (Trigger::IncidentCreated, "object.observables.0.tags.1"),
            (Trigger::IncidentCreated, "object.tags"),
            (Trigger::IncidentUpdated, "details.severity"),
            (Trigger::Any, "audit.requestId"),
            (Trigger::Any, "event"),
            (Trigger::EventReceived, "event.body.alerts.0.id"),
            (Trigger::EventReceived, "event.headers.x-vendor.v1"),
            (Trigger::EventQuarantined, "event.error.code"),
            (Trigger::DestinationDisabled, "object.reason"),
            (Trigger::PluginRefused, "object.sha256"),
            (Trigger::SourceSilent, "object.silent_after"),
        ];
        for (trigger, path) in cases {
            trigger.field(path).unwrap_or_else(|error| panic!("{trigger} {path}: {error}"));
        }
    }

    #[test]
    fn what_cannot_be_in_a_message() {
        let cases = [
            (Trigger::Any, "object.sevrity", "there is no `object.sevrity`; did you mean `object.severity`?"),
            (Trigger::Any, "object.titel", "there is no `object.titel`; did you mean `object.title`?"),
            (Trigger::Any, "objct.title", "there is no `objct`; did you mean `object`?"),
            (
                Trigger::Any,
                "object.observables.dataType",
                "there is no `object.observables.dataType`; did you mean `object.observables.data_type`?",
            ),
            (Trigger::Any, "object.tags.first", "there is no `object.tags.first`: `object.tags` is a plain value"),
            (Trigger::Any, "object.title.length", "there is no `object.title.length`: `object.title` is a plain value"),
            (Trigger::Any, "object..title", "`object..title` has an empty name in it; write it such as `object.title`"),
            (Trigger::Any, "event.body", "there is no `event.body`: `event` is always empty here"),
            (Trigger::EventReceived, "object.title", "there is no `object`; there are: event, url"),
            (
                Trigger::EventQuarantined,
                "event.body",
                "there is no `event.body`; `event` has: id, source, received_at, content_type, headers, context, error",
            ),
            (Trigger::DestinationDisabled, "object.title", "there is no `object.title`; `object` has: name, reason"),
        ];
        for (trigger, path, expected) in cases {
            assert_eq!(trigger.field(path).unwrap_err().to_string(), expected, "{trigger} {path}");
        }
        let long = vec!["a"; 33].join(".");
        assert!(Trigger::Any.field(&format!("object.details.{long}")).is_err());
    }
}
