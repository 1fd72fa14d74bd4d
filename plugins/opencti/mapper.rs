//! OpenCTI: incidents, sightings and indicators, as events of a live stream or as STIX objects alone.

use hookmill_sdk::{
    Description, Event, Incident, List, Mapper, MappingError, Observable, Outcome, Severity, State, Text, Tlp,
    timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::iter::Peekable;
use std::str::Chars;

const EXPECTED: &str = "an event of an OpenCTI stream with a STIX object in `data`, or a STIX object";

/// The tactics of ATT&CK, which are phases of its kill chain, with their ids.
const TACTICS: [(&str, &str); 14] = [
    ("reconnaissance", "TA0043"),
    ("resource-development", "TA0042"),
    ("initial-access", "TA0001"),
    ("execution", "TA0002"),
    ("persistence", "TA0003"),
    ("privilege-escalation", "TA0004"),
    ("defense-evasion", "TA0005"),
    ("credential-access", "TA0006"),
    ("discovery", "TA0007"),
    ("lateral-movement", "TA0008"),
    ("collection", "TA0009"),
    ("command-and-control", "TA0011"),
    ("exfiltration", "TA0010"),
    ("impact", "TA0040"),
];

struct OpenCti;

/// What happened, around the object as it is afterwards. A listener may keep a message of the stream whole: then this
/// stands once more in `data`, beside the message's `id` and `event`.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    event: Text<'a>,
    r#type: Text<'a>,
    message: Text<'a>,
    origin: Option<Origin<'a>>,
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

/// One change, as JSON Patch has it.
#[derive(Deserialize)]
struct Patch<'a> {
    #[serde(borrow)]
    path: Text<'a>,
}

/// An object that was merged into this one.
#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

/// What is used of the STIX objects of all types.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    r#type: Text<'a>,
    extensions: Option<Extensions<'a>>,
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
    opencti: Option<Extension<'a>>,
}

/// What OpenCTI adds to STIX; of a sighting also the names of what it only refers to.
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
        let inner: Option<Message> = outer.data.and_then(|data| serde_json::from_str(data.get()).ok());
        let message = inner.as_ref().filter(|inner| inner.data.is_some()).unwrap_or(&outer);
        let unsupported = |why: &str| MappingError::Unsupported(format!("expected {EXPECTED}{why}"));
        let object: Object = match message.data {
            Some(data) => serde_json::from_str(data.get()).map_err(|error| unsupported(&format!(": {error}")))?,
            None => event.json(EXPECTED)?,
        };
        let id = object.id.get().filter(|id| is_stix_id(id)).ok_or_else(|| unsupported(""))?;
        let kind = object.r#type.get().filter(|kind| *kind != "bundle").ok_or_else(|| unsupported(""))?;
        let referer = message.origin.as_ref().and_then(|origin| origin.referer.get()).unwrap_or_default();
        if is_resent(referer) {
            return Ok(Outcome::skip(format!(
                "`{referer}`: this {kind} is sent for completeness, nothing happened to it"
            )));
        }
        if !matches!(kind, "incident" | "sighting" | "indicator") {
            return Ok(Outcome::skip(format!("an object of type `{kind}` is no incident, sighting or indicator")));
        }
        // The stream's word first: what leaves its filter is deleted there, and only updated according to the event.
        let own = message.data.and(message.r#type.get());
        let action = event.context_value("sse.event").or(outer.event.get()).or(own).unwrap_or("create");
        let sent = event.context_value("sse.id").or(outer.id.get()).and_then(|id| id.split('-').next());
        let context = message.context.and_then(|context| serde_json::from_str(context.get()).ok()).unwrap_or_default();
        let change = Change { action, sent_at: sent.and_then(timestamp), message: message.message.get(), context };
        Ok(object.incident(id, &change).into())
    }
}

/// What happened to an object.
struct Change<'a> {
    action: &'a str,
    /// When the stream said so.
    sent_at: Option<String>,
    message: Option<&'a str>,
    context: Context<'a>,
}

impl Object<'_> {
    fn incident(&self, id: &str, change: &Change) -> Incident {
        let (action, context) = (change.action, &change.context);
        let extension = self.extensions.as_ref().and_then(|extensions| extensions.opencti.as_ref());
        let mut incident = Incident::new(id);
        incident.set_title(self.name.get());
        incident.description = self.description.owned();
        incident.category = self.incident_type.owned();
        let score = self.x_opencti_score.get().or_else(|| extension?.score.get());
        incident.vendor_severity = self.severity.get().or(score).map(str::to_owned);
        incident.severity = self.severity.get().and_then(Severity::parse).or_else(|| read_score(score?));
        incident.tlp = self.object_marking_refs.iter().filter_map(Text::get).filter_map(read_marking).max();
        incident.external_link = self.external_references.iter().find_map(|reference| reference.url.owned());
        for label in &self.labels {
            incident.tag(label.get().unwrap_or_default());
        }

        let happened = [&self.first_observed, &self.first_seen, &self.valid_from, &self.created];
        incident.occurred_at = happened.into_iter().find_map(Text::time);
        incident.changed_at = extension.and_then(|extension| extension.updated_at.time()).or(self.modified.time());
        let is_over = is_true(&self.revoked) || extension.is_some_and(|extension| is_true(&extension.negative));
        if action == "delete" {
            incident.state = Some(State::Resolved);
            // The object is as it was before, and so is its time.
            incident.changed_at = change.sent_at.clone().or(incident.changed_at);
        } else if is_over {
            incident.state = Some(State::Resolved);
        } else if action == "create" || context.changes("revoked") || context.changes("negative") {
            incident.state = Some(State::Open);
        }

        self.observe(&mut incident);
        self.classify(&mut incident);
        if let Some(extension) = extension {
            self.describe_sighting(&mut incident, extension);
        }
        if incident.title.is_none() {
            incident.set_title(self.sighting_of_ref.get().map(|sighted| format!("Sighting of {sighted}")).as_deref());
        }
        let details = [
            ("event", Some(action)),
            ("message", change.message),
            ("score", score),
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
        let sources: Vec<&str> = context.sources.iter().filter_map(|source| source.id.get()).collect();
        let lists = [
            ("indicator_types", texts(&self.indicator_types)),
            ("where_sighted_refs", texts(&self.where_sighted_refs)),
            ("merged", sources),
        ];
        for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
            incident.detail_json(name, list);
        }
        incident
    }

    fn observe(&self, incident: &mut Incident) {
        if !matches!(self.pattern_type.get(), None | Some("stix")) {
            return;
        }
        let is_benign = texts(&self.indicator_types).contains(&"benign");
        for (path, value) in comparisons(self.pattern.get().unwrap_or_default()) {
            let data_type = match data_type(&path) {
                Some("ip") if value.contains('/') => "other",
                known => known.unwrap_or("other"),
            };
            let observable = incident.observe(data_type, Some(&value), &path);
            if !is_benign {
                observable.map(Observable::ioc);
            }
        }
    }

    /// What was seen is an observable when it is one in OpenCTI, which names its types as STIX patterns do.
    fn describe_sighting(&self, incident: &mut Incident, extension: &Extension) {
        let Some(sighted) = extension.sighting_of_value.get() else { return };
        let places = texts(&extension.where_sighted_values).join(", ");
        let title = match places.as_str() {
            "" => format!("Sighting of {sighted}"),
            places => format!("Sighting of {sighted} at {places}"),
        };
        incident.set_title(Some(&title));
        let kind = extension.sighting_of_type.get().unwrap_or_default().to_ascii_lowercase();
        if let Some(data_type) = data_type(&format!("{kind}:value")) {
            incident.observe(data_type, Some(sighted), "sighted");
        }
        incident.detail("negative", extension.negative.get());
    }

    /// A tactic stands by itself where no technique is known that it belongs to.
    fn classify(&self, incident: &mut Incident) {
        let phases = self.kill_chain_phases.iter().filter(|phase| phase.kill_chain_name.get() == Some("mitre-attack"));
        let phases: Vec<&str> = phases.filter_map(|phase| phase.phase_name.get()).collect();
        let tactic = phases.first().copied().filter(|_| phases.len() == 1);
        let is_attack = |reference: &&Reference| reference.source_name.get() == Some("mitre-attack");
        for reference in self.external_references.iter().filter(is_attack) {
            incident.attack(reference.external_id.get().unwrap_or_default(), tactic);
        }
        if tactic.is_none() || incident.techniques.is_empty() {
            for (_, id) in TACTICS.iter().filter(|(name, _)| phases.contains(name)) {
                incident.attack(id, None);
            }
        }
    }
}

impl Context<'_> {
    fn changes(&self, field: &str) -> bool {
        self.patch.iter().filter_map(|patch| patch.path.get()).any(|path| path.rsplit('/').next() == Some(field))
    }
}

/// `indicator--` and a UUID.
fn is_stix_id(id: &str) -> bool {
    id.split_once("--").is_some_and(|(kind, uuid)| !kind.is_empty() && uuid.len() == 36)
}

/// Objects that the stream sends because others refer to them, or because its consumer has just begun. Of what people
/// and connectors do, `referer` is the address of a page.
fn is_resent(referer: &str) -> bool {
    matches!(referer, "init" | "dependencies") || referer.starts_with("init-")
}

/// Some versions and connectors write booleans as Python does.
fn is_true(text: &Text) -> bool {
    text.get().is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

fn texts<'t>(list: &'t List<Text>) -> Vec<&'t str> {
    list.iter().filter_map(Text::get).collect()
}

/// In the steps in which OpenCTI's own pages colour a score.
fn read_score(score: &str) -> Option<Severity> {
    match score.parse().ok()? {
        0.0..=20.0 => Some(Severity::Low),
        20.0..=50.0 => Some(Severity::Medium),
        50.0..=75.0 => Some(Severity::High),
        75.0..=100.0 => Some(Severity::Critical),
        _ => None,
    }
}

/// The ids that STIX 2.1 gives TLP 1, its extension gives TLP 2.0, and OpenCTI gives TLP:AMBER+STRICT.
fn read_marking(id: &str) -> Option<Tlp> {
    match id.strip_prefix("marking-definition--")? {
        "613f2e26-407d-48c7-9eca-b8e91df99dc9" | "94868c89-83c2-464b-929b-a1a8aa3c8487" => Some(Tlp::Clear),
        "34098fce-860f-48ae-8e50-ebd3cc5e41da" | "bab4a63c-aed9-4cf5-a766-dfca5abac2bb" => Some(Tlp::Green),
        "f88d31f6-486f-44da-b317-01333bde0b82" | "55d920b0-5e8b-4f79-9ee9-91f868d9b421" => Some(Tlp::Amber),
        "826578e1-40ad-459f-bc73-ede076f81f37" | "939a9414-2ddd-4d32-a0cd-375ea402b003" => Some(Tlp::AmberStrict),
        "5e57c739-391a-4eb3-b6be-7d15ca92d5ed" | "e828b379-4e03-4974-9ac4-e53a884c97c1" => Some(Tlp::Red),
        _ => None,
    }
}

/// What a path of a STIX pattern leads to: `ipv4-addr:value`, `file:hashes.SHA-256`.
fn data_type(path: &str) -> Option<&'static str> {
    Some(match path.split_once(':')? {
        ("ipv4-addr" | "ipv6-addr", "value") => "ip",
        ("network-traffic", "src_ref.value" | "dst_ref.value") => "ip",
        ("domain-name", "value") => "domain",
        ("hostname", "value") => "hostname",
        ("url", "value") => "url",
        ("email-addr", "value") => "mail",
        ("email-message", "from_ref.value" | "sender_ref.value") => "mail",
        ("email-message", "subject") => "mail-subject",
        ("mac-addr", "value") => "mac",
        ("user-agent", "value") => "user-agent",
        ("user-account", "account_login" | "user_id") => "user-account",
        ("windows-registry-key", "key") => "registry",
        ("file", "name") => "filename",
        (_, property) if property.starts_with("hashes.") => "hash",
        _ => return None,
    })
}

/// The paths of a STIX pattern that are compared as equal with a text, and the texts, however the comparisons are
/// combined: `[file:name = 'a' OR url:value IN ('b', 'c')]`. What is no pattern has none.
fn comparisons(pattern: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut path, mut word) = (String::new(), String::new());
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        let in_word = letter.is_alphanumeric() || "-_.:".contains(letter);
        match letter {
            _ if in_word => word.push(letter),
            // `file:hashes.'SHA-256'`
            '\'' if word.ends_with('.') => word += &quoted(&mut letters).unwrap_or_default(),
            _ => {
                match std::mem::take(&mut word) {
                    next if next.contains(':') => path = next,
                    next if next.is_empty() || next == "IN" => {}
                    // `NOT`, `LIKE`, `OR`: what follows does not equal this path.
                    _ => path.clear(),
                }
                match letter {
                    '!' | '<' | '>' => path.clear(),
                    '\'' => {
                        found.extend(quoted(&mut letters).filter(|_| !path.is_empty()).map(|text| (path.clone(), text)))
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

/// What stands before the next quote. A backslash takes its meaning from the letter after it.
fn quoted(letters: &mut Peekable<Chars>) -> Option<String> {
    let mut text = String::new();
    loop {
        match letters.next()? {
            '\'' => return Some(text),
            '\\' => text.push(letters.next()?),
            letter => text.push(letter),
        }
    }
}

hookmill_sdk::export!(OpenCti);

#[cfg(test)]
mod tests {
    use super::comparisons;
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::OpenCti>("payloads");
        testing::check_rejects_invalid::<super::OpenCti>();
    }

    #[test]
    fn comparisons_of_patterns_are_read() {
        let cases: [(&str, &[(&str, &str)]); 12] = [
            ("[ipv4-addr:value = '192.0.2.7']", &[("ipv4-addr:value", "192.0.2.7")]),
            ("[a:b='1' OR (c:d = '2' AND e:f = '3')]", &[("a:b", "1"), ("c:d", "2"), ("e:f", "3")]),
            ("[a:b IN ('1', '2')] FOLLOWEDBY [c:d = '3']", &[("a:b", "1"), ("a:b", "2"), ("c:d", "3")]),
            (
                "[file:hashes.'SHA-256' = 'ab' OR file:hashes.MD5='cd']",
                &[("file:hashes.SHA-256", "ab"), ("file:hashes.MD5", "cd")],
            ),
            (r"[a:b = 'C:\\it\'s']", &[("a:b", r"C:\it's")]),
            ("[a:b != '1' OR a:b NOT = '2' OR a:b LIKE '3%' OR a:b NOT IN ('4') OR a:b > '5']", &[]),
            ("[a:b ISSUBSET '192.0.2.0/24' AND c:d = '6']", &[("c:d", "6")]),
            ("[a:b = '1'] START t'2026-01-01T00:00:00Z' STOP t'2026-02-01T00:00:00Z'", &[("a:b", "1")]),
            ("[a:values[0].data = '1' OR c:d = 7]", &[]),
            ("[a:b = 'never ends", &[]),
            ("''' [ = 'x' '\\", &[]),
            ("", &[]),
        ];
        for (pattern, expected) in cases {
            let found = comparisons(pattern);
            let found: Vec<_> = found.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
