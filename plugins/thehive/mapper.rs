//! TheHive: the audit trail in the webhooks of versions 3, 4 and 5. Cases and alerts are incidents.

use hookmill_sdk::{
    Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Part, Scale, State, Tlp, json, present,
};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an entry of TheHive's audit trail with `operation` or `action`, `objectType`, `objectId`, and `rootId` or `requestId`";

const SEVERITIES: Scale = Scale::Steps([1.0, 2.0, 3.0, 4.0, 4.0]);
/// The statuses of a case or an alert that is over, and the verdicts that a closed case has in place of a status.
const OVER: [&str; 7] = ["Closed", "Resolved", "Imported", "Ignored", "Deleted", "Duplicate", "Duplicated"];
const VERDICTS: [&str; 4] = ["TruePositive", "FalsePositive", "Indeterminate", "Other"];
/// The details: the origin of a case or an alert, and the work on it.
const ORIGIN: [&str; 5] = ["number", "caseId", "type", "source", "sourceRef"];
const WORK: [&str; 5] = ["stage", "status", "resolutionStatus", "impactStatus", "summary"];
const TIMES: [&str; 2] = ["date", "startDate"];
/// Fields that are read from the entry, and others without use outside TheHive, beside those that begin with `_`.
const OF_ENTRY: [&str; 6] = ["id", "user", "createdAt", "createdBy", "updatedAt", "updatedBy"];
const INTERNAL: [&str; 4] = ["severityLabel", "tagChanges", "permissions", "actionRequired"];
const CUSTOM_FIELDS: [&str; 2] = ["customFields", "customFieldValues"];

struct TheHive;

/// The objects of an entry: in `object` the current values, in `details` the changed values.
#[derive(Deserialize)]
struct Objects<'a> {
    #[serde(borrow)]
    details: Part<Fields<'a>>,
    object: Part<Fields<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Delete,
}

impl Mapper for TheHive {
    fn describe() -> Description {
        hookmill_sdk::description!(
            "TheHive",
            "Cases and alerts of TheHive 3, 4 and 5, from its audit webhooks",
            "bearer"
        )
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        // Version 5 writes `action`, `mainAction` and `_createdAt` where versions 3 and 4 write `operation`, `base` and
        // `startDate`, unless the endpoint is configured for the old form.
        let entry: Fields = event.json(EXPECTED)?;
        let required = |names: &[&str]| {
            entry.first(names).ok_or_else(|| MappingError::Unsupported(format!("expected {EXPECTED}")))
        };
        let (kind, id) = (required(&["objectType"])?, required(&["objectId"])?);
        let operation = required(&["operation", "action"])?;
        required(&["rootId", "requestId"])?;
        let change = format!("{operation} of {kind} {id}");
        if ["base", "mainAction"].iter().any(|name| entry.first(&[name]) == Some("false")) {
            return Ok(Outcome::skip(format!("{change} is only a part of another operation")));
        }
        let action = match operation.to_ascii_lowercase().as_str() {
            "creation" | "create" => Action::Create,
            "delete" => Action::Delete,
            _ => Action::Update,
        };
        let Objects { details, object } = event.json(EXPECTED)?;
        let (details, object) = (details.into_option(), object.into_option());
        let malformed = |reason: &str| MappingError::Malformed(format!("{change} {reason}"));
        let orphan = || malformed("does not name a case or an alert");
        let mut incident = match kind.to_ascii_lowercase().as_str() {
            "case" | "alert" => {
                if details.is_none() && object.is_none() && action != Action::Delete {
                    return Err(malformed("has neither `object` nor `details`"));
                }
                case_or_alert(id, action, &entry, [details.unwrap_or_default(), object.unwrap_or_default()])
            }
            "case_artifact" | "observable" if action != Action::Delete => {
                let mut incident = parent(&entry, object.as_ref()).ok_or_else(orphan)?;
                object.or(details).iter().for_each(|artifact| observe(&mut incident, artifact));
                incident
            }
            "procedure" if action == Action::Create => {
                let mut incident = parent(&entry, object.as_ref()).ok_or_else(orphan)?;
                let procedure = details.unwrap_or_default();
                incident.attack(procedure.first(&["patternId"]).unwrap_or_default(), procedure.first(&["tactic"]));
                incident
            }
            _ => return Ok(Outcome::skip(format!("{change} does not change a case or an alert"))),
        };
        // The entry's `startDate` is the time of the change; a case's `startDate` is the time of the incident.
        incident.changed_at = entry.time(&["_createdAt", "createdAt", "startDate"]);
        Ok(incident.into())
    }
}

/// Maps a case or an alert. Changed values come first: the current ones are out of date while an alert becomes a case.
fn case_or_alert(id: &str, action: Action, entry: &Fields, values: [Fields; 2]) -> Incident {
    let mut incident = Incident::new(id);
    describe(&mut incident, entry, &values);
    let [details, object] = &values;
    incident.state = match action {
        Action::Create => state(details).or(state(object)).or(Some(State::Open)),
        Action::Update => state(details),
        Action::Delete => Some(State::Resolved),
    };
    for values in &values {
        add_custom_fields(&mut incident, values);
        let read = [&TIMES[..], &OF_ENTRY, &INTERNAL];
        incident.keep_members(values, |name| {
            name.starts_with('_') || is_custom(name) || read.iter().any(|names| names.contains(&name))
        });
    }
    incident
}

/// Returns the case or alert to which an observable or a procedure belongs, with the values in this entry. Version 3 has
/// only its id.
fn parent(entry: &Fields, object: Option<&Fields>) -> Option<Incident> {
    let places = [(object, "case"), (object, "alert"), (Some(entry), "context")];
    let shown = places.into_iter().filter_map(|(fields, name)| {
        let kind = fields?.first(&[&format!("{name}._type")])?;
        let is_incident = ["case", "alert"].iter().any(|known| known.eq_ignore_ascii_case(kind));
        is_incident.then(|| fields?.object(name)).flatten()
    });
    let parent = shown.into_iter().next().unwrap_or_default();
    let parent_id = parent.first(&["_id"]);
    let id = entry.first(&["rootId"]).or(parent_id)?;
    let mut incident = Incident::new(id);
    if parent_id == Some(id) {
        describe(&mut incident, entry, std::slice::from_ref(&parent));
    }
    Some(incident)
}

/// Adds the values of a case or an alert. Those of the first object go before those of the others.
fn describe(incident: &mut Incident, entry: &Fields, objects: &[Fields]) {
    let first = |names: &[&str]| objects.iter().filter_map(|object| object.same(names)).reduce(|first, _| first);
    incident.set_title(first(&["title"]));
    incident.description = first(&["description"]).map(str::to_owned);
    incident.set_severity_on(SEVERITIES, first(&["severity"]));
    // TheHive 5.2 gave AMBER+STRICT the number 3, formerly RED, and RED the number 4. Since then entries have
    // `mainAction` or labels beside the numbers.
    let has_five_tlps = first(&["tlpLabel"]).is_some() || entry.first(&["mainAction"]).is_some();
    incident.tlp = first(&["tlpLabel", "tlp"]).and_then(|level| tlp(level, has_five_tlps));
    incident.occurred_at = objects.iter().find_map(|object| object.time(&TIMES));
    incident.external_link = first(&["externalLink"]).map(str::to_owned);
    for object in objects {
        object.all("tags").for_each(|tag| incident.tag(tag));
        let artifacts = ["artifacts", "observables"].iter().flat_map(|name| object.objects(name));
        artifacts.for_each(|artifact| observe(incident, &artifact));
    }
    incident.detail("assignee", first(&["assignee", "owner"]));
    ORIGIN.iter().chain(&WORK).for_each(|name| incident.detail(name, first(&[name])));
}

fn tlp(level: &str, has_five_tlps: bool) -> Option<Tlp> {
    match (level, has_five_tlps) {
        ("0", _) => Some(Tlp::Clear),
        ("1", _) => Some(Tlp::Green),
        ("2", _) => Some(Tlp::Amber),
        ("3", true) => Some(Tlp::AmberStrict),
        ("3", false) | ("4", _) => Some(Tlp::Red),
        (name, _) => Tlp::parse(name),
    }
}

/// Reads the stage or, if absent, the status, because each organisation can define its own statuses.
fn state(object: &Fields) -> Option<State> {
    let name = object.first(&["stage", "status"])?;
    let is_over = OVER.iter().chain(&VERDICTS).any(|known| known.eq_ignore_ascii_case(name));
    Some(if is_over { State::Resolved } else { State::Open })
}

/// Adds an observable, called artifact up to version 4: its value, or a file with its hashes.
fn observe(incident: &mut Incident, artifact: &Fields) {
    let data_type = artifact.first(&["dataType"]).unwrap_or("other").to_ascii_lowercase();
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    let data_type = data_type.replace(|letter| !is_known(letter), "_");
    let message = artifact.first(&["message"]).unwrap_or_default();
    for (data_type, name) in [(&*data_type, "data"), ("filename", "attachment.name"), ("hash", "attachment.hashes")] {
        for value in artifact.all(name) {
            let Some(observable) = incident.observe(data_type, Some(value), message) else { continue };
            observable.ioc |= artifact.first(&["ioc"]) == Some("true");
            artifact.all("tags").for_each(|tag| _ = observable.tag(tag));
        }
    }
}

/// Adds custom fields as details `customFields.NAME`. Versions 3 and 4 write `{NAME: {TYPE: VALUE, "order": 1}}`, version 5
/// a list of `{"name": NAME, "value": VALUE}` or an object with values, and a change writes `"customFields.NAME.TYPE"`.
fn add_custom_fields(incident: &mut Incident, object: &Fields) {
    for fields in CUSTOM_FIELDS.iter().flat_map(|name| object.objects(name)) {
        let name = fields.first(&["name"]).filter(|_| fields.has("value") || fields.has("type"));
        for (member, value) in fields.unread_members().filter(|(member, _)| name.is_none() || *member == "value") {
            add_custom_field(incident, name.unwrap_or(member), value);
        }
    }
    for (name, value) in object.unread_members().filter(|(name, _)| is_custom(name)) {
        if let Some((name, _kind)) = name.split_once('.').and_then(|(_, name)| name.rsplit_once('.')) {
            add_custom_field(incident, name, value);
        }
    }
}

fn is_custom(name: &str) -> bool {
    CUSTOM_FIELDS.iter().any(|known| name.split('.').next() == Some(known))
}

/// Adds a custom field, of which the value can be beside its type: `{TYPE: VALUE, "order": 1}`.
fn add_custom_field(incident: &mut Incident, name: &str, value: &str) {
    let types: Option<Fields> = value.starts_with('{').then(|| json(value)).flatten();
    let value = match &types {
        Some(types) => types.unread_members().find(|(kind, _)| *kind != "order").map(|(_, value)| value),
        None => Some(value),
    };
    let name = format!("customFields.{name}");
    let is_new = !incident.details.iter().any(|known| known.name == name);
    let value = value.filter(|value| is_new && present(value.trim_matches('"')).is_some());
    if let Some(value) = value.and_then(json::<&RawValue>) {
        incident.detail_json(&name, &value);
    }
}

hookmill_sdk::export!(TheHive);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::TheHive>("payloads");
        testing::check_rejects_invalid::<super::TheHive>();
    }
}
