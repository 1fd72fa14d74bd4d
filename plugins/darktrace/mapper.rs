//! Darktrace: model breaches of the API and as alerts, events and groups of AI Analyst, and mails of Darktrace / EMAIL.

use hookmill_sdk::attack::tactic_id;
use hookmill_sdk::{
    Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Part, Scale, Severity, State, Text,
    WithRest,
};
use hookmill_sdk::{json, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

const EXPECTED: &str = "a model breach of Darktrace with `pbid`, an event of AI Analyst with `id` and `aiaScore`, or a \
                        mail with `uuid` and `rcpts`";

// Only an API answer has the model twice: as it was at the time of the breach, and as it is now.
const MODEL: [&str; 3] = ["model.then", "model", "model.now"];
/// The fields of a model that an analyst needs, of about thirty.
const MODEL_DETAILS: [&str; 4] = ["category", "priority", "uuid", "pid"];
const DEVICE_DETAILS: [&str; 6] = ["did", "typelabel", "devicelabel", "label", "vendor", "os"];
/// The filters of a model whose value is a name or an address of the traffic.
const FILTERS: [(&str, &[&str]); 2] = [
    ("ip", &["Destination IP", "Source IP", "External destination IP", "External source IP"]),
    ("domain", &["Connection hostname", "DNS host lookup", "External hostname"]),
];
/// The members that are read or that repeat others, and those of the display.
const READ: [&str; 20] = [
    "model",
    "pbid",
    "id",
    "uuid",
    "title",
    "category",
    "acknowledged",
    "breachUrl",
    "incidentEventUrl",
    "time",
    "creationTime",
    "createdAt",
    "mitreTactics",
    "mitreTechniques",
    "explanations",
    "figures",
    "dtime",
    "header_subject",
    "header_from_email",
    "rcpts",
];

struct Darktrace;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    #[serde(borrow, rename = "modelbreaches")]
    breaches: Option<&'a RawValue>,
    device: List<Fields<'a>>,
    triggered_components: List<Component<'a>>,
    breach_devices: List<Fields<'a>>,
    summary: Option<Value>,
    details: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component<'a> {
    #[serde(borrow)]
    metric: Part<Fields<'a>>,
    ip: Text<'a>,
    triggered_filters: List<Fields<'a>>,
}

impl Mapper for Darktrace {
    fn describe() -> Description {
        hookmill_sdk::description!("Darktrace", "Model breaches, AI Analyst events and mails of Darktrace")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let members: WithRest<Members> = event.json(EXPECTED)?;
        if let Some(list) = members.breaches {
            return map_list(list, EXPECTED, |item: &&RawValue, outcome| {
                let unsupported = || MappingError::Unsupported(format!("expected {EXPECTED}"));
                let members = json(item.get()).ok_or_else(unsupported)?;
                outcome.incidents.push(incident(&members, &json(item.get()).ok_or_else(unsupported)?)?);
                Ok(())
            });
        }
        let fields: Fields = event.json(EXPECTED)?;
        if let Some(name) = fields.first(&["alert_name"]).filter(|_| fields.first(&["priority_level"]).is_some()) {
            return Ok(Outcome::skip(format!("`{name}` is a status of the system")));
        }
        // The reaction to a breach, which has the device of the breach and not always its id.
        if let Some(kind) = fields.first(&["iris-event-type"]).filter(|kind| kind.starts_with("antigena")) {
            return Ok(Outcome::skip(format!("an event of the type `{kind}` is a reaction to a breach")));
        }
        Ok(incident(&members, &fields)?.into())
    }
}

fn incident(members: &WithRest<Members>, fields: &Fields) -> Result<Incident, MappingError> {
    let has = |prefixes: &[&str]| fields.iter().any(|(path, _)| prefixes.iter().any(|prefix| path.starts_with(prefix)));
    let id = |name: &str| {
        let id = fields.first(&[name]).map(Incident::new);
        id.ok_or_else(|| MappingError::Malformed(format!("`{name}` is absent")))
    };
    let mut incident = if has(&["triggeredComponents."]) || has(&["pbid"]) && has(&["model.", "device.", "score"]) {
        breach(id("pbid")?, members, fields)
    } else if has(&["aiaScore", "summariser", "breachDevices.", "incidentEvents."]) {
        analyst_event(id("id")?, members, fields)
    } else if has(&["rcpts.", "header_from_email", "header_subject"]) {
        mail(id("uuid")?, fields)
    } else {
        return Err(MappingError::Unsupported(format!("expected {EXPECTED}")));
    };
    // The time of an acknowledgement would outdate the message that it was taken back.
    incident.changed_at = fields.time(&["creationTime", "createdAt", "time", "end", "dtime"]);
    incident.external_link = fields.first(&["breachUrl", "incidentEventUrl"]).map(str::to_owned);
    incident.detail("acknowledged.username", fields.first(&["acknowledged.username"]));
    incident.keep_rest(members, |name| READ.contains(&name));
    Ok(incident)
}

/// Returns the state. An acknowledgement is an object with a time, or a boolean.
fn state(fields: &Fields) -> Option<State> {
    if fields.iter().any(|(path, _)| path.starts_with("acknowledged.")) {
        return Some(State::Resolved);
    }
    match fields.first(&["acknowledged"]) {
        None | Some("false") => Some(State::Open),
        Some("true") => Some(State::Resolved),
        Some(_) => None,
    }
}

fn breach(mut incident: Incident, members: &Members, fields: &Fields) -> Incident {
    let model = |name: &str| MODEL.iter().find_map(|model| fields.first(&[&format!("{model}.{name}")]));
    incident.set_title(model("name"));
    incident.description = model("description").map(str::to_owned);
    // `Anomalous Connection::Data Sent to New External Device`
    let folder = model("name").and_then(|name| name.split_once("::"));
    incident.category = folder.map(|(folder, _)| folder.to_owned());
    // The priority is that of the model, not of the breach.
    let score = fields.first(&["score"]);
    incident.vendor_severity = score.map(str::to_owned);
    let number = score.and_then(|score| score.parse::<f64>().ok());
    incident.severity = number.and_then(|score| Severity::on_scale(Scale::Hundred, score * 100.0));
    incident.state = state(fields);
    incident.occurred_at = fields.time(&["time", "creationTime"]);
    for name in MODEL_DETAILS {
        incident.detail(&format!("model.{name}"), model(name));
    }
    let of_model = |name: &str| {
        let model = MODEL.iter().map(|model| format!("{model}.{name}"));
        let path = model.into_iter().find(|path| fields.first(&[path]).is_some());
        path.map(|path| fields.all(path).collect()).unwrap_or_default()
    };
    let tags: Vec<&str> = of_model("tags");
    tags.into_iter().for_each(|tag| incident.tag(tag));
    let mut techniques: Vec<&str> = of_model("mitre.techniques");
    techniques.extend(fields.all("mitreTechniques.techniqueID"));
    classify(&mut incident, &techniques, &of_model("mitre.tactics"));
    for device in &members.device {
        observe_device(&mut incident, device, "device");
        for name in DEVICE_DETAILS {
            // A breach of the system has the device -1.
            incident.detail(&format!("device.{name}"), device.first(&[name]).filter(|value| *value != "-1"));
        }
    }
    let components: Vec<Map<String, Value>> =
        members.triggered_components.iter().map(|component| observe_component(&mut incident, component)).collect();
    incident.detail_json("triggeredComponents", &components);
    incident
}

fn classify(incident: &mut Incident, techniques: &[&str], tactics: &[&str]) {
    // Of several tactics, none is known to be that of a technique.
    let tactic = tactics.first().filter(|_| tactics.len() == 1).copied();
    techniques.iter().for_each(|technique| incident.attack(technique, tactic));
    if incident.techniques.is_empty() {
        tactics.iter().for_each(|tactic| incident.attack(tactic_id(tactic).unwrap_or(tactic), None));
    }
}

/// Adds the names and addresses of the traffic, and returns the metric with the values that an analyst reads.
fn observe_component(incident: &mut Incident, component: &Component) -> Map<String, Value> {
    let mut values = Map::new();
    let metric = component.metric.get().and_then(|metric| metric.first(&["label", "name"]));
    values.extend(metric.map(|metric| ("metric".to_owned(), metric.into())));
    // `192.0.2.7/32`
    incident.observe("ip", component.ip.get().map(without_prefix), "triggeredComponents.ip");
    for filter in &component.triggered_filters {
        let Some((name, value)) = filter.first(&["filterType"]).zip(filter.first(&["trigger.value"])) else { continue };
        let known = FILTERS.iter().find(|(_, names)| names.contains(&name));
        if let Some((data_type, _)) = known {
            incident.observe(data_type, Some(value), name);
        }
        values.insert(name.to_owned(), value.into());
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
    for user in device.all("credentials") {
        incident.observe_user(Some(user), message);
    }
}

fn without_prefix(address: &str) -> &str {
    address.split_once('/').map_or(address, |(address, _)| address)
}

/// Maps an event of AI Analyst, or a group of events.
fn analyst_event(mut incident: Incident, members: &Members, fields: &Fields) -> Incident {
    incident.set_title(fields.first(&["title", "incidentEvents.title"]));
    incident.description = members.summary.as_ref().and_then(text_of);
    let category = fields.first(&["category"]);
    let score = fields.first(&["aiaScore"]);
    incident.vendor_severity = category.or(score).map(str::to_owned);
    incident.severity = match category.map(str::to_ascii_lowercase).as_deref() {
        Some("critical") => Some(Severity::Critical),
        Some("suspicious") => Some(Severity::Medium),
        Some("compliance") => Some(Severity::Low),
        Some(_) => None,
        None => score.and_then(|score| Severity::on_scale(Scale::Hundred, score.parse().ok()?)),
    };
    incident.state = state(fields);
    incident.occurred_at = fields.time(&["periods.start", "start", "createdAt"]);
    let tactics: Vec<&str> = fields.all("mitreTactics").collect();
    let techniques: Vec<&str> = fields.all("mitreTechniques.techniqueID").collect();
    classify(&mut incident, &techniques, &tactics);
    members.breach_devices.iter().for_each(|device| observe_device(&mut incident, device, "breachDevices"));
    let mut entries = Vec::new();
    members.details.iter().for_each(|details| collect_entries(details, &mut entries));
    for entry in &entries {
        observe_entry(&mut incident, entry);
    }
    if !entries.is_empty() {
        let texts = |entry: &Entry| entry.values.iter().filter_map(|value| text_of(value)).collect::<Vec<_>>();
        let line = |entry: &Entry| format!("{}: {}", entry.key, texts(entry).join(", "));
        incident.detail_json("details", &entries.iter().map(line).collect::<Vec<_>>());
    }
    incident
}

/// An entry in the details of an event, such as `Source IP` of the type `externalHost`.
struct Entry<'v> {
    key: &'v str,
    kind: &'v str,
    values: Vec<&'v Value>,
}

/// Collects the entries in any depth; versions of the API differ in the blocks around them and in the names.
fn collect_entries<'v>(value: &'v Value, entries: &mut Vec<Entry<'v>>) {
    let object = match value {
        Value::Array(list) => return list.iter().for_each(|value| collect_entries(value, entries)),
        Value::Object(object) => object,
        _ => return,
    };
    let member = |names: [&str; 2]| names.iter().find_map(|name| object.get(*name));
    let text = |names| member(names).and_then(Value::as_str).unwrap_or_default();
    let Some(values) = member(["detailValues", "values"]).and_then(Value::as_array) else {
        return object.values().for_each(|value| collect_entries(value, entries));
    };
    // The values of an entry can be times, which `periods` repeats.
    let values: Vec<&Value> = values.iter().filter(|value| text_of(value).is_some()).collect();
    if !values.is_empty() {
        entries.push(Entry { key: text(["detailKey", "key"]), kind: text(["valueType", "type"]), values });
    }
}

fn observe_entry(incident: &mut Incident, entry: &Entry) {
    let key = entry.key.to_ascii_lowercase();
    for value in &entry.values {
        let text = value.as_str();
        match entry.kind {
            "externalHost" => {
                let members = ["identifier", "hostname", "ip"].map(|name| value.get(name).and_then(Value::as_str));
                for host in members.into_iter().chain([text]) {
                    incident.observe("domain", host.filter(|host| !host.contains(char::is_whitespace)), entry.key);
                }
            }
            _ if key == "actor" || key.starts_with("username") => {
                incident.observe_user(text, entry.key);
            }
            _ if key.starts_with("sha") || key.starts_with("md5") => {
                incident.observe("hash", text, entry.key);
            }
            _ => {}
        }
    }
}

/// Returns a text, a number, the name of a device, or a sentence with its `{}` replaced.
fn text_of(value: &Value) -> Option<String> {
    let object = match value {
        Value::String(text) => return Some(text.clone()),
        Value::Number(number) => return Some(number.to_string()),
        Value::Array(list) => return Some(list.iter().filter_map(text_of).collect::<Vec<_>>().join("\n")),
        Value::Object(object) => object,
        _ => return None,
    };
    let name = ["identifier", "hostname", "ip", "value"].iter().find_map(|name| object.get(*name).and_then(text_of))?;
    let mut pieces = name.split("{}");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    let replacements = object.get("replacements").and_then(Value::as_array).into_iter().flatten();
    let mut replacements = replacements.map(|replacement| replacement.get("value").and_then(text_of));
    for piece in pieces {
        text += &replacements.next().flatten().unwrap_or_else(|| "{}".to_owned());
        text += piece;
    }
    Some(text)
}

/// Maps a mail. A mail that is held is not closed.
fn mail(mut incident: Incident, mail: &Fields) -> Incident {
    incident.set_title(mail.first(&["header_subject"]));
    let mut summary: Vec<&str> = Vec::new();
    mail.all("rcpts.summary").for_each(|line| {
        if !summary.contains(&line) {
            summary.push(line)
        }
    });
    incident.description = (!summary.is_empty()).then(|| summary.join("\n"));
    let score = mail.first(&["model_score"]);
    incident.vendor_severity = score.map(str::to_owned);
    incident.severity = score.and_then(|score| Severity::on_scale(Scale::Hundred, score.parse().ok()?));
    incident.state = Some(State::Open);
    incident.occurred_at = mail.time(&["dtime", "dtime_unix"]);
    incident.observe_fields(mail, &[("mail", &["header_from_email", "rcpts.rcpt_to"])]);
    mail.all("rcpts.tags").for_each(|tag| incident.tag(tag));
    for name in ["rcpt_status", "rcpt_actions_taken"] {
        incident.detail_json(name, &mail.all(format!("rcpts.{name}")).collect::<Vec<_>>());
    }
    incident
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
