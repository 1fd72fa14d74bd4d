//! TheHive: the audit trail in the webhooks of versions 3, 4 and 5. Cases and alerts are incidents.

use hookmill_sdk::{
    Description, Event, Incident, List, Mapper, MappingError, Outcome, Part, Severity, State, Text, Tlp, WithRest,
    json, present,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

const EXPECTED: &str = "an entry of TheHive's audit trail with `operation` or `action`, `objectType`, `objectId`, and `rootId` or `requestId`";

const CUSTOM_FIELDS: &str = "customFields.";
/// Fields that are of no use outside TheHive, or that are read from the entry.
const INTERNAL: [&str; 17] = [
    "id",
    "user",
    "severityLabel",
    "tagChanges",
    "_createdAt",
    "_createdBy",
    "_updatedBy",
    "_updatedAt",
    "createdAt",
    "createdBy",
    "updatedAt",
    "updatedBy",
    "_routing",
    "_parent",
    "_version",
    "permissions",
    "actionRequired",
];

struct TheHive;

/// An entry of the audit trail. Version 5 writes `action`, `mainAction` and `_createdAt` where versions 3 and 4 write
/// `operation`, `base` and `startDate`, unless the endpoint is configured for the old form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Audit<'a> {
    #[serde(borrow)]
    operation: Text<'a>,
    action: Text<'a>,
    base: Text<'a>,
    main_action: Text<'a>,
    #[serde(rename = "_createdAt")]
    v5_created_at: Text<'a>,
    created_at: Text<'a>,
    start_date: Text<'a>,
    object_type: Text<'a>,
    object_id: Text<'a>,
    root_id: Text<'a>,
    request_id: Text<'a>,
    details: Option<&'a RawValue>,
    object: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Delete,
}

/// A case or an alert: in `object` the current values, in `details` the changed values.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaseOrAlert<'a> {
    #[serde(borrow, rename = "_id")]
    id: Text<'a>,
    #[serde(rename = "_type")]
    kind: Text<'a>,
    title: Text<'a>,
    description: Text<'a>,
    severity: Text<'a>,
    tlp: Text<'a>,
    tlp_label: Text<'a>,
    stage: Text<'a>,
    status: Text<'a>,
    start_date: Text<'a>,
    date: Text<'a>,
    external_link: Text<'a>,
    tags: List<Text<'a>>,
    artifacts: List<Artifact<'a>>,
    observables: List<Artifact<'a>>,
    custom_fields: Option<&'a RawValue>,
    custom_field_values: Option<&'a RawValue>,

    case_id: Text<'a>,
    number: Text<'a>,
    r#type: Text<'a>,
    source: Text<'a>,
    source_ref: Text<'a>,
    assignee: Text<'a>,
    owner: Text<'a>,
    resolution_status: Text<'a>,
    impact_status: Text<'a>,
    summary: Text<'a>,
}

/// An observable, called artifact up to version 4.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact<'a> {
    #[serde(borrow)]
    data_type: Text<'a>,
    data: List<Text<'a>>,
    attachment: Part<Attachment<'a>>,
    message: Text<'a>,
    tags: List<Text<'a>>,
    ioc: Text<'a>,
}

#[derive(Deserialize)]
struct Attachment<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    hashes: List<Text<'a>>,
}

/// A technique added to a case or an alert.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Procedure<'a> {
    #[serde(borrow)]
    pattern_id: Text<'a>,
    tactic: Text<'a>,
}

#[derive(Deserialize)]
struct CustomField<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    value: Option<&'a RawValue>,
}

/// The case or alert of an observable or a procedure. Version 3 has only an id here.
#[derive(Default, Deserialize)]
struct Child<'a> {
    #[serde(borrow)]
    case: Option<&'a RawValue>,
    alert: Option<&'a RawValue>,
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
        let audit: Audit = event.json(EXPECTED)?;
        let unsupported = || MappingError::Unsupported(format!("expected {EXPECTED}"));
        let kind = audit.object_type.get().ok_or_else(unsupported)?;
        let id = audit.object_id.get().ok_or_else(unsupported)?;
        let operation = audit.operation.get().or(audit.action.get()).ok_or_else(unsupported)?;
        audit.root_id.get().or(audit.request_id.get()).ok_or_else(unsupported)?;
        let change = format!("{operation} of {kind} {id}");
        if [&audit.base, &audit.main_action].into_iter().any(|main| main.get() == Some("false")) {
            return Ok(Outcome::skip(format!("{change} is only a part of another operation")));
        }
        let action = match operation.to_ascii_lowercase().as_str() {
            "creation" | "create" => Action::Create,
            "delete" => Action::Delete,
            _ => Action::Update,
        };
        let skipped = || Outcome::skip(format!("{change} does not change a case or an alert"));
        let unreadable = || MappingError::Malformed(format!("{change} has neither `object` nor `details`"));
        let orphan = || MappingError::Malformed(format!("{change} does not name a case or an alert"));
        let mut incident = match kind.to_ascii_lowercase().as_str() {
            "case" | "alert" => audit.incident(id, action).ok_or_else(unreadable)?,
            "case_artifact" | "observable" if action != Action::Delete => audit.artifact().ok_or_else(orphan)?,
            "procedure" if action == Action::Create => audit.procedure().ok_or_else(orphan)?,
            _ => return Ok(skipped()),
        };
        // The entry's `startDate` is the time of the change; a case's `startDate` is the time of the incident.
        let times = [&audit.v5_created_at, &audit.created_at, &audit.start_date];
        incident.changed_at = times.into_iter().find_map(Text::time);
        Ok(incident.into())
    }
}

impl Audit<'_> {
    /// Returns the case or alert of this entry. Returns none if the entry has no values of it, unless it is a deletion.
    fn incident(&self, id: &str, action: Action) -> Option<Incident> {
        let details: Option<WithRest<CaseOrAlert>> = read(self.details);
        let object: Option<WithRest<CaseOrAlert>> = read(self.object);
        if details.is_none() && object.is_none() && action != Action::Delete {
            return None;
        }
        let (details, object) = (details.unwrap_or_default(), object.unwrap_or_default());
        let mut incident = Incident::new(id);
        // Changed values come first: `object` is out of date while an alert becomes a case.
        for values in [&details, &object] {
            values.add_to(&mut incident, self.has_five_tlps(&[&details, &object]));
        }
        incident.state = match action {
            Action::Create => details.state().or(object.state()).or(Some(State::Open)),
            Action::Update => details.state(),
            Action::Delete => Some(State::Resolved),
        };
        for values in [&details, &object] {
            add_custom_fields(&mut incident, values);
            incident.keep_rest(values, |name| INTERNAL.contains(&name) || name.starts_with(CUSTOM_FIELDS));
        }
        Some(incident)
    }

    /// Returns the case or alert of this entry's observable, with the observable.
    fn artifact(&self) -> Option<Incident> {
        let mut incident = self.parent()?;
        let artifact: Option<Artifact> = read(self.object).or_else(|| read(self.details));
        artifact.unwrap_or_default().add_to(&mut incident);
        Some(incident)
    }

    /// Returns the case or alert of this entry's procedure, with the technique.
    fn procedure(&self) -> Option<Incident> {
        let mut incident = self.parent()?;
        let procedure: Procedure = read(self.details).unwrap_or_default();
        incident.attack(procedure.pattern_id.get().unwrap_or_default(), procedure.tactic.get());
        Some(incident)
    }

    /// Returns the case or alert of an observable or a procedure, with the values in this entry.
    fn parent(&self) -> Option<Incident> {
        let child: Child = read(self.object).unwrap_or_default();
        let shown = [child.case, child.alert, self.context].into_iter().flatten();
        let mut shown =
            shown.filter(|part| part.get().starts_with('{')).filter_map(|part| read::<CaseOrAlert>(Some(part)));
        let parent = shown.find(CaseOrAlert::is_incident).unwrap_or_default();
        let id = self.root_id.get().or(parent.id.get())?;
        let mut incident = Incident::new(id);
        if parent.id.get() == Some(id) {
            parent.add_to(&mut incident, self.has_five_tlps(&[&parent]));
        }
        Some(incident)
    }

    /// Returns whether TLP numbers include AMBER+STRICT. TheHive 5.2 gave it the number 3, formerly RED, and RED the
    /// number 4. Since then entries have `mainAction` or labels beside the numbers.
    fn has_five_tlps(&self, shown: &[&CaseOrAlert]) -> bool {
        self.main_action.get().is_some() || shown.iter().any(|values| values.tlp_label.get().is_some())
    }
}

impl CaseOrAlert<'_> {
    fn is_incident(&self) -> bool {
        self.kind.get().is_some_and(|kind| ["case", "alert"].iter().any(|known| known.eq_ignore_ascii_case(kind)))
    }

    /// Adds the values that the incident does not have yet.
    fn add_to(&self, incident: &mut Incident, has_five_tlps: bool) {
        if incident.title.is_none() {
            incident.set_title(self.title.get());
        }
        incident.description = incident.description.take().or(self.description.owned());
        incident.severity = incident.severity.or(self.severity.get().and_then(read_severity));
        incident.vendor_severity = incident.vendor_severity.take().or(self.severity.owned());
        incident.tlp = incident.tlp.or_else(|| self.read_tlp(has_five_tlps));
        let began = self.date.time().or(self.start_date.time());
        incident.occurred_at = incident.occurred_at.take().or(began);
        incident.external_link = incident.external_link.take().or(self.external_link.owned());
        for tag in &self.tags {
            incident.tag(tag.get().unwrap_or_default());
        }
        self.artifacts.iter().chain(&self.observables).for_each(|artifact| artifact.add_to(incident));
        self.add_details(incident);
    }

    fn add_details(&self, incident: &mut Incident) {
        let details = [
            ("number", &self.number),
            ("caseId", &self.case_id),
            ("type", &self.r#type),
            ("source", &self.source),
            ("sourceRef", &self.source_ref),
            ("assignee", &self.assignee),
            ("assignee", &self.owner),
            ("stage", &self.stage),
            ("status", &self.status),
            ("resolutionStatus", &self.resolution_status),
            ("impactStatus", &self.impact_status),
            ("summary", &self.summary),
        ];
        for (name, value) in details {
            if !incident.details.iter().any(|known| known.name == name) {
                incident.detail(name, value.get());
            }
        }
    }

    fn read_tlp(&self, has_five_tlps: bool) -> Option<Tlp> {
        match (self.tlp_label.get().or(self.tlp.get())?, has_five_tlps) {
            ("CLEAR" | "WHITE" | "0", _) => Some(Tlp::Clear),
            ("GREEN" | "1", _) => Some(Tlp::Green),
            ("AMBER" | "2", _) => Some(Tlp::Amber),
            ("AMBER+STRICT", _) | ("3", true) => Some(Tlp::AmberStrict),
            ("RED" | "4", _) | ("3", false) => Some(Tlp::Red),
            _ => None,
        }
    }

    /// Reads the stage or, if absent, the status, because each organisation can define its own statuses.
    fn state(&self) -> Option<State> {
        let resolved = [
            "Closed",
            "Imported",
            "Ignored",
            "Resolved",
            "Deleted",
            "Duplicated",
            "Duplicate",
            "TruePositive",
            "FalsePositive",
            "Indeterminate",
            "Other",
        ];
        let name = self.stage.get().or(self.status.get())?;
        let is_resolved = resolved.iter().any(|known| known.eq_ignore_ascii_case(name));
        Some(if is_resolved { State::Resolved } else { State::Open })
    }
}

impl Artifact<'_> {
    fn add_to(&self, incident: &mut Incident) {
        let data_type = self.data_type.get().unwrap_or("other").to_ascii_lowercase();
        let is_known = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        let data_type = data_type.replace(|letter| !is_known(letter), "_");
        let mut values: Vec<(&str, &Text)> = self.data.iter().map(|data| (data_type.as_str(), data)).collect();
        if let Some(file) = self.attachment.get() {
            values.push(("filename", &file.name));
            values.extend(file.hashes.iter().map(|hash| ("hash", hash)));
        }
        for (data_type, value) in values {
            let message = self.message.get().unwrap_or_default();
            let Some(observable) = incident.observe(data_type, value.get(), message) else { continue };
            observable.ioc |= self.ioc.get() == Some("true");
            for tag in &self.tags {
                observable.tag(tag.get().unwrap_or_default());
            }
        }
    }
}

fn read_severity(number: &str) -> Option<Severity> {
    match number {
        "1" => Some(Severity::Low),
        "2" => Some(Severity::Medium),
        "3" => Some(Severity::High),
        "4" => Some(Severity::Critical),
        _ => None,
    }
}

/// Adds custom fields as details `customFields.NAME`. Version 3 and 4 write `{NAME: {TYPE: VALUE, "order": 1}}`, version 5
/// a list of `{"name": NAME, "value": VALUE}` or an object with values, and a change writes `"customFields.NAME.TYPE"`.
fn add_custom_fields(incident: &mut Incident, values: &WithRest<CaseOrAlert>) {
    for fields in [values.custom_fields, values.custom_field_values].into_iter().flatten() {
        match read::<BTreeMap<String, &RawValue>>(Some(fields).filter(|fields| fields.get().starts_with('{'))) {
            Some(fields) => fields.into_iter().for_each(|(name, value)| add_custom_field(incident, &name, value)),
            None => {
                for field in &read::<List<CustomField>>(Some(fields)).unwrap_or_default() {
                    if let (Some(name), Some(value)) = (field.name.get(), field.value) {
                        add_custom_field(incident, name, value);
                    }
                }
            }
        }
    }
    for (name, value) in values.rest() {
        if let Some((name, _kind)) = name.strip_prefix(CUSTOM_FIELDS).and_then(|name| name.rsplit_once('.')) {
            add_custom_field(incident, name, value);
        }
    }
}

fn add_custom_field(incident: &mut Incident, name: &str, value: &RawValue) {
    let members: Option<BTreeMap<String, &RawValue>> = read(Some(value).filter(|value| value.get().starts_with('{')));
    let typed = members.iter().flatten().find(|(kind, value)| *kind != "order" && value.get() != "null");
    let value = if members.is_some() { typed.map(|(_, value)| *value) } else { Some(value) };
    let name = format!("{CUSTOM_FIELDS}{name}");
    let is_new = !incident.details.iter().any(|known| known.name == name);
    if let Some(value) = value.filter(|value| is_new && present(value.get().trim_matches('"')).is_some()) {
        incident.detail_json(&name, &value);
    }
}

/// Reads a part whose shape depends on the entry.
fn read<'a, T: Deserialize<'a>>(part: Option<&'a RawValue>) -> Option<T> {
    json(part?.get())
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
