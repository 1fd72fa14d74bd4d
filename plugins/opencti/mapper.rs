//! OpenCTI: incidents, sightings and indicators, as events of a live stream or as bare STIX objects.

use hookmill_sdk::{
    Description, Event, Incident, List, Mapper, MappingError, Observable, Outcome, Part, Severity, State, Text,
    WithRest, attack::tactic_id, is_timestamp, json, stix, timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an event of an OpenCTI stream with a STIX object in `data`, or a STIX object";

struct OpenCti;

/// An event of a stream, with the object after the change in `data`.
///
/// A client may forward a whole message of the stream. Then `data` contains the event, and `id` and `event` are those
/// of the message.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    event: Text<'a>,
    r#type: Text<'a>,
    message: Text<'a>,
    origin: Part<Origin<'a>>,
    data: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Origin<'a> {
    #[serde(borrow)]
    referer: Text<'a>,
}

#[derive(Default, Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    patch: List<Patch<'a>>,
    sources: List<Source<'a>>,
}

/// One change, in the form of JSON Patch.
#[derive(Deserialize)]
struct Patch<'a> {
    #[serde(borrow)]
    path: Text<'a>,
}

/// An object merged into this one.
#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

/// The fields used from STIX objects of all types.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    r#type: Text<'a>,
    extensions: Part<Extensions<'a>>,
    name: Text<'a>,
    description: Text<'a>,
    severity: Text<'a>,
    x_opencti_score: Text<'a>,
    revoked: Text<'a>,
    incident_type: Text<'a>,
    first_observed: Text<'a>,
    first_seen: Text<'a>,
    valid_from: Text<'a>,
    created: Text<'a>,
    modified: Text<'a>,
    labels: List<Text<'a>>,
    object_marking_refs: List<Text<'a>>,
    external_references: List<Reference<'a>>,
    kill_chain_phases: List<Phase<'a>>,

    pattern: Text<'a>,
    pattern_type: Text<'a>,
    indicator_types: List<Text<'a>>,
    valid_until: Text<'a>,
    sighting_of_ref: Text<'a>,
    where_sighted_refs: List<Text<'a>>,
    last_seen: Text<'a>,
    count: Text<'a>,
    confidence: Text<'a>,
    objective: Text<'a>,
    source: Text<'a>,
}

#[derive(Deserialize)]
struct Extensions<'a> {
    #[serde(borrow, rename = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba")]
    opencti: Part<Extension<'a>>,
}

/// OpenCTI's extension of STIX. For a sighting it also contains the names of the referenced objects.
#[derive(Deserialize)]
struct Extension<'a> {
    #[serde(borrow)]
    updated_at: Text<'a>,
    score: Text<'a>,
    negative: Text<'a>,
    sighting_of_value: Text<'a>,
    sighting_of_type: Text<'a>,
    where_sighted_values: List<Text<'a>>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow)]
    source_name: Text<'a>,
    external_id: Text<'a>,
    url: Text<'a>,
}

#[derive(Deserialize)]
struct Phase<'a> {
    #[serde(borrow)]
    kill_chain_name: Text<'a>,
    phase_name: Text<'a>,
}

impl Mapper for OpenCti {
    fn describe() -> Description {
        hookmill_sdk::description!("OpenCTI", "Incidents, sightings and indicators of OpenCTI's live streams")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let outer: Message = event.json(EXPECTED)?;
        let inner: Option<Message> = outer.data.filter(is_object).and_then(|data| json(data.get()));
        let message = inner.as_ref().filter(|inner| inner.data.is_some()).unwrap_or(&outer);
        let unsupported = |reason: &str| MappingError::Unsupported(format!("expected {EXPECTED}{reason}"));
        let object: WithRest<Object> = match message.data {
            Some(data) => json(data.get()).ok_or_else(|| unsupported("; `data` is not an object"))?,
            None => event.json(EXPECTED)?,
        };
        let id = object.id.get().filter(|id| is_stix_id(id)).ok_or_else(|| unsupported(""))?;
        let kind = object.r#type.get().filter(|kind| *kind != "bundle").ok_or_else(|| unsupported(""))?;
        if let Some(reason) = skip_reason(kind, message) {
            return Ok(Outcome::skip(reason));
        }
        let mut incident = object.incident(id, &Change::of(event, &outer, message));
        incident.keep_rest(&object, |_| false);
        Ok(incident.into())
    }
}

/// Returns the reason why an object of this type in this message is not an incident, if there is one.
fn skip_reason(kind: &str, message: &Message) -> Option<String> {
    let referer = message.origin.get().and_then(|origin| origin.referer.get()).unwrap_or_default();
    if is_resent(referer) {
        return Some(format!("`{referer}`: the stream resends this {kind} for completeness; it did not change"));
    }
    let is_known = matches!(kind, "incident" | "sighting" | "indicator");
    (!is_known).then(|| format!("an object of type `{kind}` is not an incident, sighting or indicator"))
}

/// The change of an object.
struct Change<'a> {
    action: &'a str,
    /// The time of the stream's message.
    sent_at: Option<String>,
    message: Option<&'a str>,
    context: Context<'a>,
}

impl<'a> Change<'a> {
    /// The stream's action takes precedence: an object that leaves the stream's filter is deleted from the stream, but
    /// only updated according to the event.
    fn of(event: &'a Event, outer: &'a Message, message: &'a Message) -> Self {
        let own = message.data.and(message.r#type.get());
        let sent = event.context_value("sse.id").or(outer.id.get()).and_then(|id| id.split('-').next());
        Self {
            action: event.context_value("sse.event").or(outer.event.get()).or(own).unwrap_or("create"),
            // Outside a stream, the id is that of the object.
            sent_at: sent.filter(|id| is_timestamp(id)).and_then(timestamp),
            message: message.message.get(),
            context: message.context.filter(is_object).and_then(|context| json(context.get())).unwrap_or_default(),
        }
    }

    fn affects(&self, field: &str) -> bool {
        let paths = self.context.patch.iter().filter_map(|patch| patch.path.get());
        paths.map(|path| path.rsplit('/').next()).any(|name| name == Some(field))
    }
}

impl Object<'_> {
    fn incident(&self, id: &str, change: &Change) -> Incident {
        let extension = self.extension();
        let mut incident = Incident::new(id);
        incident.set_title(self.name.get());
        incident.description = self.description.owned();
        incident.category = self.incident_type.owned();
        incident.vendor_severity = self.severity.get().or(self.score()).map(str::to_owned);
        incident.severity = self.severity.get().and_then(Severity::parse).or_else(|| self.score().and_then(read_score));
        incident.tlp = self.object_marking_refs.iter().filter_map(Text::get).filter_map(stix::tlp).max();
        incident.external_link = self.external_references.iter().find_map(|reference| reference.url.owned());
        for label in &self.labels {
            incident.tag(label.get().unwrap_or_default());
        }
        let times = [&self.first_observed, &self.first_seen, &self.valid_from, &self.created];
        incident.occurred_at = times.into_iter().find_map(Text::time);
        incident.changed_at = extension.and_then(|extension| extension.updated_at.time()).or(self.modified.time());
        incident.state = self.state(change);
        if change.action == "delete" {
            // A deleted object is shown as before the deletion, with its former time.
            incident.changed_at = change.sent_at.clone().or(incident.changed_at);
        }
        self.observe(&mut incident);
        self.classify(&mut incident);
        if let Some(extension) = extension {
            self.describe_sighting(&mut incident, extension);
        }
        if incident.title.is_none() {
            incident.set_title(self.sighting_of_ref.get().map(|sighted| format!("Sighting of {sighted}")).as_deref());
        }
        self.add_details(&mut incident, change);
        incident
    }

    fn extension(&self) -> Option<&Extension<'_>> {
        self.extensions.get()?.opencti.get()
    }

    fn score(&self) -> Option<&str> {
        self.x_opencti_score.get().or_else(|| self.extension()?.score.get())
    }

    fn state(&self, change: &Change) -> Option<State> {
        let is_negative = self.extension().is_some_and(|extension| is_true(&extension.negative));
        if change.action == "delete" || is_true(&self.revoked) || is_negative {
            return Some(State::Resolved);
        }
        let is_opened = change.action == "create" || change.affects("revoked") || change.affects("negative");
        is_opened.then_some(State::Open)
    }

    fn add_details(&self, incident: &mut Incident, change: &Change) {
        let details = [
            ("event", Some(change.action)),
            ("message", change.message),
            ("score", self.score()),
            ("confidence", self.confidence.get()),
            ("pattern", self.pattern.get()),
            ("pattern_type", self.pattern_type.get()),
            ("valid_until", self.valid_until.get()),
            ("sighting_of_ref", self.sighting_of_ref.get()),
            ("last_seen", self.last_seen.get()),
            ("count", self.count.get()),
            ("objective", self.objective.get()),
            ("source", self.source.get()),
        ];
        details.into_iter().for_each(|(name, value)| incident.detail(name, value));
        let merged: Vec<&str> = change.context.sources.iter().filter_map(|source| source.id.get()).collect();
        let lists = [
            ("indicator_types", texts(&self.indicator_types)),
            ("where_sighted_refs", texts(&self.where_sighted_refs)),
            ("merged", merged),
        ];
        for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
            incident.detail_json(name, list);
        }
    }

    fn observe(&self, incident: &mut Incident) {
        if !matches!(self.pattern_type.get(), None | Some("stix")) {
            return;
        }
        let is_benign = texts(&self.indicator_types).contains(&"benign");
        for (path, value) in stix::comparisons(self.pattern.get().unwrap_or_default()) {
            let data_type = match stix::data_type(&path) {
                Some("ip") if value.contains('/') => "other",
                known => known.unwrap_or("other"),
            };
            let observable = incident.observe(data_type, Some(&value), &path);
            if !is_benign {
                observable.map(Observable::ioc);
            }
        }
    }

    /// Sets the title of a sighting and adds the sighted object if it is an observable. OpenCTI's type names are those
    /// of STIX patterns.
    fn describe_sighting(&self, incident: &mut Incident, extension: &Extension) {
        let Some(sighted) = extension.sighting_of_value.get() else { return };
        let places = texts(&extension.where_sighted_values).join(", ");
        let title = match places.as_str() {
            "" => format!("Sighting of {sighted}"),
            places => format!("Sighting of {sighted} at {places}"),
        };
        incident.set_title(Some(&title));
        let kind = extension.sighting_of_type.get().unwrap_or_default().to_ascii_lowercase();
        if let Some(data_type) = stix::data_type(&format!("{kind}:value")) {
            incident.observe(data_type, Some(sighted), "sighted");
        }
        incident.detail("negative", extension.negative.get());
    }

    /// Adds techniques and tactics. A tactic is added alone if no technique of this tactic is known.
    fn classify(&self, incident: &mut Incident) {
        let phases = self.kill_chain_phases.iter().filter(|phase| phase.kill_chain_name.get() == Some("mitre-attack"));
        let phases: Vec<&str> = phases.filter_map(|phase| phase.phase_name.get()).collect();
        let tactic = phases.first().copied().filter(|_| phases.len() == 1);
        let is_attack = |reference: &&Reference| reference.source_name.get() == Some("mitre-attack");
        for reference in self.external_references.iter().filter(is_attack) {
            incident.attack(reference.external_id.get().unwrap_or_default(), tactic);
        }
        if tactic.is_none() || incident.techniques.is_empty() {
            phases.into_iter().filter_map(tactic_id).for_each(|id| incident.attack(id, None));
        }
    }
}

/// Returns whether this is an object: some senders write other values in the same place.
fn is_object(json: &&RawValue) -> bool {
    json.get().starts_with('{')
}

/// Returns whether `id` is a type and a UUID, such as `indicator--UUID`.
fn is_stix_id(id: &str) -> bool {
    id.split_once("--").is_some_and(|(kind, uuid)| !kind.is_empty() && uuid.len() == 36)
}

/// Returns whether the stream sends an object only because others refer to it or because its consumer has just
/// connected. For changes by users and connectors, `referer` is the address of a page.
fn is_resent(referer: &str) -> bool {
    matches!(referer, "init" | "dependencies") || referer.starts_with("init-")
}

/// Returns whether `text` is true. Some versions and connectors write booleans in Python's form, `True`.
fn is_true(text: &Text) -> bool {
    text.get().is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

fn texts<'t>(list: &'t List<Text>) -> Vec<&'t str> {
    list.iter().filter_map(Text::get).collect()
}

/// Converts a score with the thresholds of the colours in OpenCTI's user interface.
fn read_score(score: &str) -> Option<Severity> {
    match score.parse().ok()? {
        0.0..=20.0 => Some(Severity::Low),
        20.0..=50.0 => Some(Severity::Medium),
        50.0..=75.0 => Some(Severity::High),
        75.0..=100.0 => Some(Severity::Critical),
        _ => None,
    }
}

hookmill_sdk::export!(OpenCti);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::OpenCti>("payloads");
        testing::check_rejects_invalid::<super::OpenCti>();
    }
}
