//! ExtraHop RevealX: detections of the API and of the webhooks of notification rules.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Severity, State};

const EXPECTED: &str = "a detection of ExtraHop with `id`, `type` and `participants`, or with `src` and `dst`";
/// The fields that only detections have.
const MARKS: [&str; 6] =
    ["participants", "appliance_id", "is_user_created", "categories_ids", "recommended", "mitre_techniques"];
/// The members with participants: one in the API, three in a webhook.
const PARTICIPANTS: [&str; 4] = ["participants", "dst", "additional_participants", "src"];
/// Further members that are kept although they were read.
const KEPT: [&str; 2] = ["type", "status"];
/// Members that repeat others.
const REPEATED: [&str; 4] = ["mitre_techniques", "time", "update_time", "recommended_factors"];

struct ExtraHop;

impl Mapper for ExtraHop {
    fn describe() -> Description {
        hookmill_sdk::description!("ExtraHop RevealX", "Detections of ExtraHop RevealX")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let fields: Fields = event.json(EXPECTED)?;
        if fields.first(&["type"]).is_none() || !fields.has_any(&MARKS) {
            return Err(MappingError::expected(EXPECTED));
        }
        // The id of a detection includes that of its sensor.
        let mut incident = Incident::new(fields.required(&["id"])?);
        describe(&mut incident, &fields);
        classify(&mut incident, &fields);
        for participant in PARTICIPANTS.iter().flat_map(|name| fields.objects(name)) {
            observe(&mut incident, &participant);
        }
        incident.detail_members(&fields, &PARTICIPANTS);
        incident.detail_members(&fields, &KEPT);
        fields.mark_read(&REPEATED);
        incident.keep_members(&fields, |_| false);
        Ok(incident.into())
    }
}

fn describe(incident: &mut Incident, fields: &Fields) {
    let title = fields.first(&["title"]);
    incident.set_title(title.or(fields.first(&["type"])));
    incident.description = fields.first(&["description"]).map(str::to_owned);
    let score = fields.first(&["risk_score"]);
    incident.vendor_severity = score.map(str::to_owned);
    incident.severity = match score.and_then(|score| score.parse::<u32>().ok()) {
        Some(1..=30) => Some(Severity::Low),
        Some(31..=79) => Some(Severity::Medium),
        Some(80..=100) => Some(Severity::High),
        _ => None,
    };
    incident.state = match fields.first(&["status"]).map(str::to_ascii_lowercase).as_deref() {
        Some("closed") => Some(State::Resolved),
        Some("new" | "open" | "in_progress" | "acknowledged" | ".none") => Some(State::Open),
        Some(_) => None,
        // A webhook has no status; in the API, one without a status is new. The end of the activity does not close it.
        None => fields.first(&["start_time", "mod_time"]).map(|_| State::Open),
    };
    incident.occurred_at = fields.time(&["start_time", "time", "create_time"]);
    incident.changed_at = fields.time(&["mod_time", "update_time", "time"]);
    incident.external_link = fields.first(&["url"]).map(str::to_owned);
    incident.observe_cves(title.unwrap_or_default(), "title");
    incident.observe_cves(fields.first(&["description"]).unwrap_or_default(), "description");
}

fn classify(incident: &mut Incident, fields: &Fields) {
    // `sec` is the whole of all categories of security.
    let categories = ["categories", "categories_ids"].into_iter().flat_map(|name| fields.all(name));
    for category in categories.filter(|category| category.contains('.')) {
        incident.category.get_or_insert_with(|| category.to_owned());
        incident.tag(category);
    }
    let values = |name: &str, part: &str| {
        let values = fields.all(name).chain(fields.all(format!("{name}.{part}")));
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    // Of several tactics, none is known to be that of a technique. The legacy ids of techniques are left out.
    let tactics = values("mitre_tactics", "name");
    let tactic = tactics.first().filter(|_| tactics.len() == 1);
    for technique in values("mitre_techniques", "id") {
        incident.attack(&technique, tactic.map(String::as_str));
    }
    values("mitre_tactics", "id").iter().for_each(|tactic| incident.attack(tactic, None));
}

/// Adds the names and addresses of a participant with its role. The API has only the id of a device, unless it is asked
/// for more.
fn observe(incident: &mut Incident, participant: &Fields) {
    let role = participant.first(&["role"]).unwrap_or_default();
    let is_external = participant.first(&["external"]) == Some("true");
    let tag = |observable: Option<&mut Observable>| {
        observable.map(|observable| observable.tag(role));
    };
    for name in ["object_value", "ipaddr", "device.ipaddrs", "device.ipaddr"] {
        for address in participant.all(name) {
            tag(incident.observe("ip", Some(address), role));
        }
    }
    let data_type = if is_external { "domain" } else { "hostname" };
    for name in ["hostname", "device.name"] {
        let host = participant.first(&[name]).filter(|name| !name.contains(char::is_whitespace));
        tag(incident.observe(data_type, host, role));
    }
    tag(incident.observe("mac", participant.first(&["device.macaddr"]), role));
    tag(incident.observe_user(participant.first(&["username"]), role));
}

hookmill_sdk::export!(ExtraHop);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::ExtraHop>("payloads");
        testing::check_rejects_invalid::<super::ExtraHop>();
    }
}
