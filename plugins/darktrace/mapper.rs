//! Darktrace: model breaches of the API and as alerts, events and groups of AI Analyst, and mails of Darktrace / EMAIL.

use hookmill_sdk::{
    Description, Envelopes, Event, Fields, Incident, Mapper, MappingError, Outcome, Scale, Severity, State, attack,
    lines,
};
use std::collections::BTreeMap;

const EXPECTED: &str = "a model breach of Darktrace with `pbid`, an event of AI Analyst with `id` and `aiaScore`, or a \
                        mail with `uuid` and `rcpts`";
const ENVELOPES: Envelopes = Envelopes { members: &["modelbreaches"], answer: &["modelbreaches"] };

// Only an API answer has the model twice: as it was at the time of the breach, and as it is now.
const MODEL: [&str; 3] = ["model.then", "model", "model.now"];
/// The fields of a model that an analyst needs, of about thirty.
const MODEL_DETAILS: [&str; 4] = ["category", "priority", "uuid", "pid"];
const DEVICE_DETAILS: [&str; 5] =
    ["device.typelabel", "device.devicelabel", "device.label", "device.vendor", "device.os"];
/// The members that are kept although they were read.
const KEPT: [&str; 7] = ["score", "aiaScore", "model_score", "periods", "incidentEvents", "start", "end"];
/// The filters of a model whose value is a name or an address of the traffic.
const FILTERS: [(&str, &[&str]); 3] = [
    ("ip", &["Destination IP", "Source IP", "External destination IP", "External source IP"]),
    ("domain", &["Connection hostname", "DNS host lookup", "External hostname"]),
    ("user-agent", &["User agent"]),
];
/// The categories of events, beside `critical`.
const CATEGORIES: [(&str, Severity); 2] = [("suspicious", Severity::Medium), ("compliance", Severity::Low)];
/// The entries in the details of an event. Versions of the API differ in the blocks around them and in the names.
const ENTRIES: [&str; 3] = ["details.blocks.bulletBlocks", "details.contents", "details"];
/// The text of an object: the name of a device or a host, a value, or a sentence with `{}`.
const TEXT: [&str; 7] = ["identifier", "hostname", "ip", "value", "value.identifier", "value.hostname", "value.ip"];

struct Darktrace;

impl Mapper for Darktrace {
    fn describe() -> Description {
        hookmill_sdk::description!("Darktrace", "Model breaches, AI Analyst events and mails of Darktrace")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        ENVELOPES.map(event, EXPECTED, |item, outcome| {
            if let Some(reason) = no_incident(item) {
                outcome.skipped.push(reason);
                return Some(Ok(()));
            }
            Some(incident(item)?.map(|incident| outcome.incidents.push(incident)))
        })
    }
}

/// Returns the reason why an item is not an incident.
fn no_incident(item: &Fields) -> Option<String> {
    // The reaction to a breach, which has the device of the breach and not always its id.
    let reaction = item.first(&["iris-event-type"]).filter(|kind| kind.starts_with("antigena"));
    let reaction = reaction.map(|kind| format!("an event of the type `{kind}` is a reaction to a breach"));
    let status = item.first(&["alert_name"]).filter(|_| item.has("priority_level"));
    reaction.or_else(|| status.map(|name| format!("`{name}` is a status of the system")))
}

/// Maps an item. Returns none for an object of another kind.
fn incident(item: &Fields) -> Option<Result<Incident, MappingError>> {
    let (id, fill): (&str, fn(&mut Incident, &Fields)) =
        if item.has("triggeredComponents") || item.has("pbid") && item.has_any(&["model", "device", "score"]) {
            ("pbid", breach)
        } else if item.has_any(&["aiaScore", "summariser", "breachDevices", "incidentEvents"]) {
            ("id", analyst_event)
        } else if item.has_any(&["rcpts", "header_from_email", "header_subject"]) {
            ("uuid", mail)
        } else {
            return None;
        };
    Some(item.required(&[id]).map(|id| {
        let mut incident = Incident::new(id);
        fill(&mut incident, item);
        // The time of an acknowledgement would outdate the message that it was taken back.
        incident.changed_at = item.time(&["creationTime", "createdAt", "time", "end", "dtime"]);
        incident.external_link = item.first(&["breachUrl", "incidentEventUrl"]).map(str::to_owned);
        incident.detail_fields(item, &["acknowledged.username"]);
        incident.detail_members(item, &KEPT);
        // The configuration of the model, and what is only for the display.
        item.mark_read(&["explanations", "figures", "mitreTechniques", "model"]);
        incident.keep_members(item, |_| false);
        incident
    }))
}

/// Returns the state. An acknowledgement is an object with a time, or a boolean.
fn state(item: &Fields) -> Option<State> {
    let is_object = item.iter().any(|(path, _)| path.starts_with("acknowledged."));
    match item.first(&["acknowledged"]) {
        Some("true") => Some(State::Resolved),
        None if is_object => Some(State::Resolved),
        None | Some("false") => Some(State::Open),
        Some(_) => None,
    }
}

fn breach(incident: &mut Incident, breach: &Fields) {
    let of_model = |name: &str| -> Vec<&str> {
        let values = MODEL.iter().map(|model| breach.all(format!("{model}.{name}")).collect());
        values.into_iter().find(|values: &Vec<&str>| !values.is_empty()).unwrap_or_default()
    };
    let model = |name: &str| of_model(name).first().copied();
    incident.set_title(model("name"));
    incident.description = model("description").map(str::to_owned);
    // `Anomalous Connection::Data Sent to New External Device`
    incident.category = model("name").and_then(|name| name.split_once("::")).map(|(folder, _)| folder.to_owned());
    // The priority is that of the model, not of the breach.
    incident.set_severity_on(Scale::One, breach.first(&["score"]));
    incident.state = state(breach);
    incident.occurred_at = breach.time(&["time", "creationTime"]);
    MODEL_DETAILS.iter().for_each(|name| incident.detail(&format!("model.{name}"), model(name)));
    of_model("tags").into_iter().for_each(|tag| incident.tag(tag));
    let techniques = [of_model("mitre.techniques"), breach.all("mitreTechniques.techniqueID").collect()].concat();
    classify(incident, &techniques, &of_model("mitre.tactics"));
    breach.objects("device").iter().for_each(|device| observe_device(incident, device, "device"));
    // A breach of the system has the device -1.
    incident.detail("device.did", breach.first(&["device.did"]).filter(|id| *id != "-1"));
    incident.detail_fields(breach, &DEVICE_DETAILS);
    let components = breach.objects("triggeredComponents");
    let values: Vec<_> = components.iter().map(|component| observe_component(incident, component)).collect();
    incident.detail_list("triggeredComponents", &values);
}

fn classify(incident: &mut Incident, techniques: &[&str], tactics: &[&str]) {
    // Of several tactics, none is known to be that of a technique.
    let tactic = tactics.first().filter(|_| tactics.len() == 1);
    techniques.iter().for_each(|technique| incident.attack(technique, tactic.copied()));
    if incident.techniques.is_empty() || tactics.len() > 1 {
        tactics.iter().for_each(|tactic| incident.attack(attack::tactic_id(tactic).unwrap_or(tactic), None));
    }
}

/// Adds the names and addresses of the traffic, and returns the metric with the values that an analyst reads.
fn observe_component(incident: &mut Incident, component: &Fields) -> BTreeMap<String, String> {
    // `192.0.2.7/32`
    incident.observe("ip", component.first(&["ip"]).map(without_prefix), "triggeredComponents.ip");
    let mut values = BTreeMap::new();
    let metric = component.first(&["metric.label", "metric.name", "metric"]);
    values.extend(metric.map(|metric| ("metric".to_owned(), metric.to_owned())));
    for filter in component.objects("triggeredFilters") {
        let Some((name, value)) = filter.first(&["filterType"]).zip(filter.first(&["trigger.value"])) else { continue };
        incident.observe_field(&FILTERS, name, Some(value), name);
        values.insert(name.to_owned(), value.to_owned());
    }
    values
}

fn observe_device(incident: &mut Incident, device: &Fields, message: &str) {
    match device.first(&["hostname", "identifier"]) {
        // `SaaS::Office365: ann@example.com`
        Some(name) if name.starts_with("SaaS::") => {
            incident.observe_user(name.split_once(": ").map(|(_, user)| user), message)
        }
        name => incident.observe("hostname", name, message),
    };
    incident.observe("ip", device.first(&["ip", "ips.ip"]).map(without_prefix), message);
    incident.observe("mac", device.first(&["macaddress", "mac"]), message);
    device.all("credentials").for_each(|user| _ = incident.observe_user(Some(user), message));
}

fn without_prefix(address: &str) -> &str {
    address.split_once('/').map_or(address, |(address, _)| address)
}

/// Maps an event of AI Analyst, or a group of events.
fn analyst_event(incident: &mut Incident, event: &Fields) {
    incident.set_title(event.first(&["title", "incidentEvents.title"]));
    incident.description = lines(texts(event, "summary"));
    match event.first(&["category"]) {
        Some(category) => incident.set_severity_word(Some(category), &CATEGORIES),
        None => incident.set_severity_on(Scale::Hundred, event.first(&["aiaScore"])),
    }
    incident.state = state(event);
    incident.occurred_at = event.time(&["periods.start", "start", "createdAt"]);
    let [techniques, tactics] =
        ["mitreTechniques.techniqueID", "mitreTactics"].map(|name| event.all(name).collect::<Vec<_>>());
    classify(incident, &techniques, &tactics);
    event.objects("breachDevices").iter().for_each(|device| observe_device(incident, device, "breachDevices"));
    let entries = ENTRIES.iter().flat_map(|path| event.objects(path));
    let lines: Vec<String> = entries.filter_map(|entry| observe_entry(incident, &entry)).collect();
    incident.detail_list("details", &lines);
}

/// Adds the hosts, users and hashes of an entry, such as `Source IP` of the type `externalHost`, and returns a line with its
/// values. Times are no values: `periods` repeats them.
fn observe_entry(incident: &mut Incident, entry: &Fields) -> Option<String> {
    let path = ["detailValues", "values"].into_iter().find(|name| entry.has(name))?;
    let values = texts(entry, path);
    let name = entry.first(&["detailKey", "key"]).unwrap_or_default();
    let key = name.to_ascii_lowercase();
    if entry.first(&["valueType", "type"]) == Some("externalHost") {
        let hosts = ["", ".identifier", ".hostname", ".ip"].iter().flat_map(|part| entry.all(format!("{path}{part}")));
        for host in hosts.filter(|host| !host.contains(char::is_whitespace)) {
            incident.observe("domain", Some(host), name);
        }
    } else if key == "actor" || key.starts_with("username") {
        values.iter().for_each(|user| _ = incident.observe_user(Some(user), name));
    } else if key.starts_with("sha") || key.starts_with("md5") {
        values.iter().for_each(|hash| _ = incident.observe("hash", Some(hash), name));
    }
    (!values.is_empty()).then(|| format!("{name}: {}", values.join(", ")))
}

/// Returns the texts at a path, or those of the objects there.
fn texts(fields: &Fields, path: &str) -> Vec<String> {
    if TEXT.iter().any(|name| fields.has(&format!("{path}.{name}"))) {
        return fields.objects(path).iter().filter_map(text_of).collect();
    }
    fields.all(path).map(str::to_owned).collect()
}

/// Returns the text of an object, with each `{}` replaced.
fn text_of(object: &Fields) -> Option<String> {
    let mut replacements = object.objects("replacements").into_iter().map(|replacement| text_of(&replacement));
    let mut pieces = object.first(&TEXT)?.split("{}");
    let first = pieces.next().unwrap_or_default().to_owned();
    Some(pieces.fold(first, |text, piece| text + &replacements.next().flatten().unwrap_or("{}".to_owned()) + piece))
}

/// Maps a mail. A mail that is held is not closed.
fn mail(incident: &mut Incident, mail: &Fields) {
    incident.set_title(mail.first(&["header_subject"]));
    incident.description = lines(mail.all("rcpts.summary"));
    incident.set_severity_on(Scale::Hundred, mail.first(&["model_score"]));
    incident.state = Some(State::Open);
    incident.occurred_at = mail.time(&["dtime", "dtime_unix"]);
    incident.observe_fields(mail, &[("mail", &["header_from_email", "rcpts.rcpt_to"])]);
    mail.all("rcpts.tags").for_each(|tag| incident.tag(tag));
    for name in ["rcpt_status", "rcpt_actions_taken"] {
        incident.detail_json(name, &mail.all(format!("rcpts.{name}")).collect::<Vec<_>>());
    }
}

hookmill_sdk::export!(Darktrace);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Darktrace>("payloads");
        testing::check_rejects_invalid::<super::Darktrace>();
    }
}
