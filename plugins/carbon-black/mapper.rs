//! Carbon Black Cloud: alerts of the Alerts API 7 and of the Data Forwarder, and the older forms of both.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Scale};
use hookmill_sdk::{State, file_name, json, map_list, sentence};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an alert of Carbon Black Cloud with `id`, `type` and `threat_id`, alone or in `results`";
/// The fields with observables. `device_external_ip` is an address of the user's own network or provider.
const OBSERVABLES: [(&str, &[&str]); 4] = [
    ("ip", &["device_internal_ip", "netconn_remote_ip", "netconn_remote_ipv4", "netconn_remote_ipv6"]),
    ("domain", &["netconn_remote_domain"]),
    ("user-account", &["process_username", "parent_username", "childproc_username"]),
    ("hash", &["threat_indicators.sha256"]),
];
/// The beginnings of the names of fields about a process or file.
const FILES: [&str; 5] = ["process", "parent", "childproc", "blocked", "threat_cause_actor"];
const MALICIOUS: [&str; 2] = ["KNOWN_MALWARE", "COMPANY_BLACK_LIST"];
/// The times of changes. The workflow changes without an update by the backend.
const CHANGED: [&str; 6] = [
    "backend_update_timestamp",
    "user_update_timestamp",
    "workflow.change_timestamp",
    "last_event_timestamp",
    "last_update_time",
    "workflow.last_update_time",
];
const OCCURRED: [&str; 5] =
    ["first_event_timestamp", "first_event_time", "detection_timestamp", "backend_timestamp", "create_time"];
/// The fields that an analyst needs most, of about seventy.
const DETAILS: [&str; 15] = [
    "process_cmdline",
    "process_name",
    "parent_cmdline",
    "parent_name",
    "childproc_cmdline",
    "childproc_name",
    "process_effective_reputation",
    "external_device_friendly_name",
    "k8s_cluster",
    "k8s_pod_name",
    "sensor_action",
    "run_state",
    "determination.value",
    "workflow.closure_reason",
    "threat_id",
];

struct CarbonBlack;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    results: Option<&'a RawValue>,
    num_found: Option<&'a RawValue>,
    /// In a group of alerts.
    most_recent_alert: Option<&'a RawValue>,
}

impl Mapper for CarbonBlack {
    fn describe() -> Description {
        hookmill_sdk::description!("Carbon Black Cloud", "Alerts of Carbon Black Cloud")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let answer: Answer = event.json(EXPECTED)?;
        // An empty list in `results` alone can be an answer of another API.
        let is_page = |list: &&RawValue| answer.num_found.is_some() || list.get().contains('{');
        match answer.results.filter(is_page) {
            Some(list) => map_list(list, EXPECTED, |item: &&RawValue, outcome| {
                outcome.incidents.push(incident(item)?);
                Ok(())
            }),
            None => Ok(incident(event.json(EXPECTED)?)?.into()),
        }
    }
}

fn incident(raw: &RawValue) -> Result<Incident, MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let answer: Answer = json(raw.get()).ok_or_else(unsupported)?;
    let alert: Fields = json(answer.most_recent_alert.unwrap_or(raw).get()).ok_or_else(unsupported)?;
    let kind = alert.first(&["type"]).ok_or_else(unsupported)?;
    let is_alert = alert.first(&["threat_id", "workflow.status", "workflow.state", "alert_url"]).is_some();
    if !is_alert {
        return Err(unsupported());
    }
    let mut incident = Incident::new(alert.required(&["id"])?);
    describe(&mut incident, &alert, kind);
    observe(&mut incident, &alert);
    classify(&mut incident, &alert);
    incident.detail_fields(&alert, &DETAILS);
    incident.keep_unread(&alert, "");
    Ok(incident)
}

fn describe(incident: &mut Incident, alert: &Fields, kind: &str) {
    incident.set_title(alert.first(&["reason", "report_name", "threat_name"]).or(Some(&sentence(kind))));
    incident.description = alert.first(&["report_description"]).map(str::to_owned);
    incident.category = Some(kind.to_owned());
    incident.set_severity_on(Scale::Ten, alert.first(&["severity"]));
    // A determination, such as a true positive, is not a state.
    let status = alert.first(&["workflow.status", "workflow.state"]);
    incident.state = match status.map(str::to_ascii_uppercase).as_deref() {
        Some("CLOSED" | "DISMISSED") => Some(State::Resolved),
        Some("OPEN" | "IN_PROGRESS") => Some(State::Open),
        _ => None,
    };
    incident.detail("workflow.status", status);
    incident.occurred_at = alert.time(&OCCURRED);
    incident.changed_at = CHANGED.iter().filter_map(|name| alert.time(&[name])).max();
    let has_scheme = |url: &str| url.contains("://");
    incident.external_link = alert.first(&["alert_url"]).map(|url| match has_scheme(url) {
        true => url.to_owned(),
        false => format!("https://{url}"),
    });
    incident.tag(kind);
    ["tags", "report_tags"].iter().flat_map(|name| alert.all(name)).for_each(|tag| incident.tag(tag));
}

fn observe(incident: &mut Incident, alert: &Fields) {
    for file in FILES {
        let field = |name: &str| alert.all(format!("{file}_{name}")).next();
        let is_malicious = ["effective_reputation", "reputation"]
            .iter()
            .any(|name| field(name).is_some_and(|reputation| MALICIOUS.contains(&reputation)));
        for name in ["sha256", "md5"] {
            let hash = incident.observe("hash", field(name), &format!("{file}_{name}"));
            if is_malicious {
                hash.map(Observable::ioc);
            }
        }
        if is_malicious {
            incident.observe("filename", field("name").map(file_name), &format!("{file}_name"));
        }
    }
    // `CORP\WS-12`
    for name in alert.all("device_name").map(file_name) {
        incident.observe("hostname", Some(name), "device_name");
    }
    incident.observe_fields(alert, &OBSERVABLES);
    if !incident.observables.iter().any(|known| known.data_type == "user-account") {
        incident.observe_user(alert.first(&["device_username"]), "device_username");
    }
    // The value of an indicator of compromise or, without a field, a query.
    incident.observe_named(alert.first(&["ioc_field"]), alert.first(&["ioc_hit"]), "ioc_hit").map(Observable::ioc);
    alert.all("threat_name").for_each(|name| incident.observe_cves(name, "threat_name"));
}

fn classify(incident: &mut Incident, alert: &Fields) {
    let tactic = alert.first(&["attack_tactic"]);
    alert.all("attack_technique").for_each(|technique| incident.attack(technique, tactic));
    incident.attack(tactic.unwrap_or_default(), None);
    let ttps: Vec<&str> = ["ttps", "threat_indicators.ttps"].iter().flat_map(|name| alert.all(name)).collect();
    incident.detail_list("ttps", &ttps);
    // `MITRE_T1059_003_WIN_CMD_SHELL`, among other behaviours.
    for ttp in &ttps {
        let mut parts = ttp.strip_prefix("MITRE_").unwrap_or_default().split('_');
        let (technique, sub) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_sub = sub.len() == 3 && sub.bytes().all(|digit| digit.is_ascii_digit());
        incident.attack(&if is_sub { format!("{technique}.{sub}") } else { technique.to_owned() }, None);
    }
    alert.all("report_tags").for_each(|tag| incident.attack(&tag.to_ascii_uppercase(), None));
    // `https://attack.mitre.org/techniques/T1003/003/`
    for (_, path) in alert.all("report_link").filter_map(|link| link.rsplit_once("/T")) {
        incident.attack(&format!("T{}", path.replace('/', ".")), None);
    }
}

hookmill_sdk::export!(CarbonBlack);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::CarbonBlack>("payloads");
        testing::check_rejects_invalid::<super::CarbonBlack>();
    }
}
