//! MISP: events, bare, in `Event`, or in the answer of a search.

use hookmill_sdk::{Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome};
use hookmill_sdk::{Severity, State, Text, Tlp, WithRest, has_objects, json, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::iter::once;

const EXPECTED: &str =
    "an event of MISP with `uuid` and `info`, in `Event` or bare, or the answer of a search of events";
/// The categories of values that are about the event or a victim, not about an attacker.
const CONTEXT: [&str; 3] = ["External analysis", "Internal reference", "Targeting data"];
/// Types of attributes whose values are rules for other tools, or keys. Those in patterns of STIX are observables.
const RULES: [&str; 10] = [
    "bro",
    "kusto-query",
    "pgp-private-key",
    "pgp-public-key",
    "sigma",
    "snort",
    "stix2-pattern",
    "suricata",
    "yara",
    "zeek",
];
/// Starts of the types that are digests of files, such as `sha256` and `sha3-256`.
const HASHES: [&str; 4] = ["md5", "sha", "authentihash", "cdhash"];

struct Misp;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow, rename = "Event")]
    event: Option<&'a RawValue>,
    /// What happened to the event, in a message of MISP's ZeroMQ.
    action: Text<'a>,
}

#[derive(Deserialize)]
struct MispEvent<'a> {
    #[serde(borrow)]
    uuid: Text<'a>,
    info: Text<'a>,
    date: Text<'a>,
    timestamp: Text<'a>,
    publish_timestamp: Text<'a>,
    threat_level_id: Text<'a>,
    deleted: Text<'a>,
    #[serde(rename = "Attribute")]
    attributes: List<Fields<'a>>,
    #[serde(rename = "Object")]
    objects: List<Object<'a>>,
    #[serde(rename = "Galaxy")]
    galaxies: List<Fields<'a>>,
    #[serde(rename = "Tag")]
    tags: List<Fields<'a>>,
}

/// A group of attributes, such as those of one file.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    deleted: Text<'a>,
    #[serde(rename = "Attribute")]
    attributes: List<Fields<'a>>,
}

impl Mapper for Misp {
    fn describe() -> Description {
        hookmill_sdk::description!("MISP", "Events of MISP")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let envelope: Envelope = event.json(EXPECTED)?;
        if let Some(list) = envelope.response.filter(|response| has_objects(response)) {
            return map_list(list, EXPECTED, |item: &&RawValue, outcome| {
                let envelope: Envelope = json(item.get()).ok_or_else(unsupported)?;
                outcome.incidents.push(incident(envelope.event.unwrap_or(item), &envelope)?);
                Ok(())
            });
        }
        let body: &RawValue = event.json(EXPECTED)?;
        Ok(incident(envelope.event.unwrap_or(body), &envelope)?.into())
    }
}

fn unsupported() -> MappingError {
    MappingError::expected(EXPECTED)
}

fn incident(raw: &RawValue, envelope: &Envelope) -> Result<Incident, MappingError> {
    let event: WithRest<MispEvent> = json(raw.get()).ok_or_else(unsupported)?;
    if event.info.get().is_none() && event.threat_level_id.get().is_none() {
        return Err(unsupported());
    }
    let id = event.uuid.get().ok_or_else(|| MappingError::Malformed("`uuid` is absent".into()))?;
    let mut incident = Incident::new(id);
    incident.set_title(event.info.get());
    incident.vendor_severity = event.threat_level_id.owned();
    incident.severity = match event.threat_level_id.get() {
        Some("1") => Some(Severity::High),
        Some("2") => Some(Severity::Medium),
        Some("3") => Some(Severity::Low),
        _ => None,
    };
    let is_deleted = is_true(event.deleted.get()) || envelope.action.get() == Some("delete");
    incident.state = Some(if is_deleted { State::Resolved } else { State::Open });
    incident.occurred_at = event.date.time();
    // An event that was never published has a time of zero.
    let times = [&event.timestamp, &event.publish_timestamp].map(|time| time.number().unwrap_or_default());
    let changed = if times[1] > times[0] { &event.publish_timestamp } else { &event.timestamp };
    incident.changed_at = Some(changed).filter(|time| time.get() != Some("0")).and_then(Text::time);
    let clusters = event.galaxies.iter().flat_map(|galaxy| galaxy.objects("GalaxyCluster"));
    clusters.for_each(|cluster| classify(&mut incident, &cluster));
    for tag in event.tags.iter().filter_map(|tag| tag.first(&["name"])) {
        if let Some(marking) = tag.split_once(':').and_then(|_| Tlp::parse(tag)) {
            incident.tlp = incident.tlp.max(Some(marking));
        } else if is_technique(tag) {
            incident.attack(tag, None);
        } else {
            incident.tag(tag);
        }
    }
    let (mut others, mut sightings) = (Vec::new(), [0; 2]);
    let objects = event.objects.iter().filter(|object| !is_true(object.deleted.get())).map(|object| &object.attributes);
    let attributes = once(&event.attributes).chain(objects).flatten();
    for attribute in attributes.filter(|attribute| !is_true(attribute.first(&["deleted"]))) {
        if !observe(&mut incident, attribute) {
            let value = attribute.first(&["value"]).unwrap_or_default();
            others.push((attribute.first(&["type"]).unwrap_or("other"), value));
        }
        // Somebody saw the value: `0`. It is a false positive: `1`.
        for kind in attribute.all("Sighting.type") {
            sightings[0] += usize::from(kind == "0");
            sightings[1] += usize::from(kind == "1");
        }
        attribute.all("Tag.name").filter(|tag| is_technique(tag)).for_each(|tag| incident.attack(tag, None));
    }
    for (name, count) in ["sightings", "false_positives"].iter().zip(sightings).filter(|(_, count)| *count > 0) {
        incident.detail(name, Some(&count.to_string()));
    }
    // Proposals of others are no facts.
    incident.keep_rest(&event, |name| matches!(name, "ShadowAttribute" | "RelatedEvent" | "_AttributeFlattened"));
    others.sort_by_key(|(kind, _)| *kind);
    incident.keep_unread(&Fields::from_pairs(others), "");
    Ok(incident)
}

/// Adds the observables of an attribute. Returns false if a part of its value is none.
fn observe(incident: &mut Incident, attribute: &Fields) -> bool {
    let field = |name: &str| attribute.first(&[name]).unwrap_or_default();
    let (full_kind, value, category) = (field("type"), field("value"), field("category"));
    let is_ioc = is_true(attribute.first(&["to_ids"]));
    // The figures of a report are attachments.
    let is_context = full_kind == "attachment" || CONTEXT.contains(&category) && full_kind != "vulnerability";
    if !is_ioc && is_context {
        return false;
    }
    if full_kind == "stix2-pattern" {
        incident.observe_pattern(value, is_ioc);
    }
    if RULES.contains(&full_kind) {
        return false;
    }
    // `filename|sha256` is the type of `NAME|HASH`.
    let kind = if full_kind == "malware-sample" { "filename|md5" } else { full_kind };
    let parts = match kind.split_once('|') {
        Some((kind @ "regkey", _)) => value.split_once('|').map(|(key, value)| [(kind, key), ("", value)]),
        Some((first, second)) => value.rsplit_once('|').map(|values| [(first, values.0), (second, values.1)]),
        None => None,
    };
    let mut is_whole = true;
    for (kind, value) in parts.unwrap_or([(kind, value), ("", "")]) {
        let other = Some("other").filter(|_| is_ioc && kind == full_kind);
        let message = attribute.first(&["comment", "category"]).unwrap_or_default();
        let data_type = data_type(kind, value).or(other);
        let observable = data_type.and_then(|data_type| incident.observe(data_type, Some(value), message));
        is_whole &= observable.is_some() || value.is_empty();
        if let Some(observable) = observable {
            observable.ioc |= is_ioc;
            attribute.all("Tag.name").for_each(|tag| _ = observable.tag(tag));
        }
    }
    is_whole
}

fn data_type(kind: &str, value: &str) -> Option<&'static str> {
    Some(match kind {
        "ip-src" | "ip-dst" | "ip" if value.contains('/') => "other",
        "ip-src" | "ip-dst" | "ip" => "ip",
        "domain" => "domain",
        "hostname" => "hostname",
        "url" | "uri" => "url",
        "user-agent" | "http-user-agent" => "user-agent",
        "filename" | "attachment" | "email-attachment" => "filename",
        "regkey" => "registry",
        "email" | "email-src" | "email-dst" | "email-reply-to" => "mail",
        "email-subject" => "mail-subject",
        "AS" => "autonomous-system",
        "vulnerability" if value.starts_with("CVE-") => "cve",
        kind if HASHES.iter().any(|hash| kind.starts_with(hash)) => "hash",
        _ => return None,
    })
}

fn is_true(flag: Option<&str>) -> bool {
    matches!(flag, Some("true" | "True" | "1"))
}

/// Returns whether the name of a tag is that of a technique of ATT&CK. Mitigations have such ids, too.
fn is_technique(tag: &str) -> bool {
    tag.starts_with("misp-galaxy:mitre-") && (tag.contains("attack-pattern=") || tag.contains("techniques="))
}

/// Adds a technique with its tactic, if it has one.
fn classify(incident: &mut Incident, cluster: &Fields) {
    let phases: Vec<&str> = cluster.all("meta.kill_chain").collect();
    // `mitre-attack:initial-access`.
    let tactic = phases.first().filter(|_| phases.len() == 1).and_then(|phase| phase.rsplit(':').next());
    if let Some(tag) = cluster.first(&["tag_name"]).filter(|tag| is_technique(tag)) {
        incident.attack(tag, tactic);
    }
}

hookmill_sdk::export!(Misp);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Misp>("payloads");
        testing::check_rejects_invalid::<super::Misp>();
    }
}
