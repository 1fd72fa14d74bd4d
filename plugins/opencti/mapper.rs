//! OpenCTI: incidents, sightings and indicators, as events of a live stream or as bare STIX objects.

use hookmill_sdk::{
    Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Scale, Severity, State, attack::tactic_id,
    is_timestamp, stix, timestamp,
};

const EXPECTED: &str = "an event of an OpenCTI stream with a STIX object in `data`, or a STIX object";
/// OpenCTI's extension of STIX. For a sighting it also contains the names of the referenced objects.
const EXTENSION: &str = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba";

/// The bounds of the colours of scores in OpenCTI's user interface.
const SCORES: Scale = Scale::Steps([0.0, 21.0, 51.0, 76.0, 100.0]);
const TIMES: [&str; 4] = ["first_observed", "first_seen", "valid_from", "created"];
const DETAILS: [&str; 5] = ["confidence", "pattern", "pattern_type", "valid_until", "sighting_of_ref"];
const SIGHTED: [&str; 4] = ["last_seen", "count", "objective", "source"];
const LISTS: [&str; 2] = ["indicator_types", "where_sighted_refs"];

struct OpenCti;

impl Mapper for OpenCti {
    fn describe() -> Description {
        hookmill_sdk::description!("OpenCTI", "Incidents, sightings and indicators of OpenCTI's live streams")
    }

    /// A client may forward a whole message of the stream. Then `data` contains the event, and `id` and `event` are those of
    /// the message.
    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let outer: Fields = event.json(EXPECTED)?;
        let inner = if outer.has("data.data") { outer.object("data") } else { None };
        let message = inner.as_ref().unwrap_or(&outer);
        let unsupported = |reason: &str| MappingError::Unsupported(format!("expected {EXPECTED}{reason}"));
        let object = match message.has("data") {
            true => message.object("data").ok_or_else(|| unsupported("; `data` is not an object"))?,
            false => event.json(EXPECTED)?,
        };
        let id = object.first(&["id"]).filter(|id| is_stix_id(id)).ok_or_else(|| unsupported(""))?;
        let kind = object.first(&["type"]).filter(|kind| *kind != "bundle").ok_or_else(|| unsupported(""))?;
        if let Some(reason) = skip_reason(kind, message) {
            return Ok(Outcome::skip(reason));
        }
        let mut incident = incident(id, &object, &Change::of(event, &outer, message));
        incident.keep_members(&object, |name| TIMES.contains(&name));
        Ok(incident.into())
    }
}

/// Returns the reason why an object of this type in this message is not an incident, if there is one.
fn skip_reason(kind: &str, message: &Fields) -> Option<String> {
    let origin = message.object("origin").unwrap_or_default();
    let referer = origin.first(&["referer"]).unwrap_or_default();
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
    /// The names of the changed fields.
    changed: Vec<String>,
    /// The ids of the objects that were merged into this one.
    merged: Vec<String>,
}

impl<'a> Change<'a> {
    /// The stream's action takes precedence: an object that leaves the stream's filter is deleted from the stream, but
    /// only updated according to the event.
    fn of(event: &'a Event, outer: &'a Fields, message: &'a Fields) -> Self {
        let own = message.first(&["type"]).filter(|_| message.has("data"));
        let sent = event.context_value("sse.id").or(outer.first(&["id"])).and_then(|id| id.split('-').next());
        // Some senders write other values in the place of `context`, in which nothing is found.
        let parts = |name: &str, field: &str| -> Vec<String> {
            let parts = message.objects(&format!("context.{name}"));
            parts.iter().filter_map(|part| part.first(&[field])).map(str::to_owned).collect()
        };
        Self {
            action: event.context_value("sse.event").or(outer.first(&["event"])).or(own).unwrap_or("create"),
            // Outside a stream, the id is that of the object.
            sent_at: sent.filter(|id| is_timestamp(id)).and_then(timestamp),
            message: message.first(&["message"]),
            changed: parts("patch", "path"),
            merged: parts("sources", "id"),
        }
    }

    fn affects(&self, field: &str) -> bool {
        // Paths are those of JSON Patch.
        self.changed.iter().any(|path| path.rsplit('/').next() == Some(field))
    }
}

fn incident(id: &str, object: &Fields, change: &Change) -> Incident {
    let text = |name: &str| object.first(&[name]);
    let extensions = object.object("extensions").unwrap_or_default();
    let extension = extensions.object(EXTENSION).unwrap_or_default();
    let score = text("x_opencti_score").or(extension.first(&["score"]));
    let mut incident = Incident::new(id);
    incident.set_title(text("name"));
    incident.description = text("description").map(str::to_owned);
    incident.category = text("incident_type").map(str::to_owned);
    incident.set_severity(text("severity").or(score));
    incident.severity = incident.severity.or_else(|| Severity::on_scale(SCORES, score?.parse().ok()?));
    incident.tlp = object.all("object_marking_refs").filter_map(stix::tlp).max();
    object.all("labels").for_each(|label| incident.tag(label));
    incident.occurred_at = object.time(&TIMES);
    incident.changed_at = extension.time(&["updated_at"]).or(object.time(&["modified"]));
    let is_over = is_true(text("revoked")) || is_true(extension.first(&["negative"]));
    incident.state = state(is_over, change);
    if change.action == "delete" {
        // A deleted object is shown as before the deletion, with its former time.
        incident.changed_at = change.sent_at.clone().or(incident.changed_at);
    }
    if matches!(text("pattern_type"), None | Some("stix")) {
        let is_benign = object.all("indicator_types").any(|kind| kind == "benign");
        incident.observe_pattern(text("pattern").unwrap_or_default(), !is_benign);
    }
    classify(&mut incident, object);
    describe_sighting(&mut incident, object, &extension);
    incident.detail("event", Some(change.action));
    incident.detail("message", change.message);
    incident.detail("score", score);
    incident.detail_fields(object, &DETAILS);
    incident.detail_fields(object, &SIGHTED);
    for name in LISTS {
        incident.detail_list(name, &object.all(name).collect::<Vec<_>>());
    }
    incident.detail_list("merged", &change.merged);
    incident
}

fn state(is_over: bool, change: &Change) -> Option<State> {
    if change.action == "delete" || is_over {
        return Some(State::Resolved);
    }
    let is_opened = change.action == "create" || change.affects("revoked") || change.affects("negative");
    is_opened.then_some(State::Open)
}

/// Sets the title of a sighting and adds the sighted object if it is an observable. OpenCTI's type names are those of STIX
/// patterns.
fn describe_sighting(incident: &mut Incident, object: &Fields, extension: &Fields) {
    if let Some(sighted) = extension.first(&["sighting_of_value"]) {
        let places: Vec<&str> = extension.all("where_sighted_values").collect();
        let title = match places.as_slice() {
            [] => format!("Sighting of {sighted}"),
            places => format!("Sighting of {sighted} at {}", places.join(", ")),
        };
        incident.set_title(Some(&title));
        let kind = extension.first(&["sighting_of_type"]).unwrap_or_default().to_ascii_lowercase();
        if let Some(data_type) = stix::data_type(&format!("{kind}:value")) {
            incident.observe(data_type, Some(sighted), "sighted");
        }
        incident.detail("negative", extension.first(&["negative"]));
    }
    if incident.title.is_none() {
        let sighted = object.first(&["sighting_of_ref"]);
        incident.set_title(sighted.map(|sighted| format!("Sighting of {sighted}")).as_deref());
    }
}

/// Adds techniques, tactics and a link. A tactic is added alone if no technique of this tactic is known.
fn classify(incident: &mut Incident, object: &Fields) {
    let phases = object.objects("kill_chain_phases");
    let phases = phases.iter().filter(|phase| phase.first(&["kill_chain_name"]) == Some("mitre-attack"));
    let phases: Vec<&str> = phases.filter_map(|phase| phase.first(&["phase_name"])).collect();
    let tactic = phases.first().copied().filter(|_| phases.len() == 1);
    let references = object.objects("external_references");
    incident.external_link = references.iter().find_map(|reference| reference.first(&["url"])).map(str::to_owned);
    for reference in references.iter().filter(|reference| reference.first(&["source_name"]) == Some("mitre-attack")) {
        incident.attack(reference.first(&["external_id"]).unwrap_or_default(), tactic);
    }
    if tactic.is_none() || incident.techniques.is_empty() {
        phases.into_iter().filter_map(tactic_id).for_each(|id| incident.attack(id, None));
    }
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

/// Returns whether a text is true. Some versions and connectors write booleans in Python's form, `True`.
fn is_true(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.eq_ignore_ascii_case("true"))
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
