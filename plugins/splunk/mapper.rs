//! Splunk: the webhook alert action, and notable events of Enterprise Security as fields or as text in `_raw`.

use hookmill_sdk::{
    Description, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Severity, State, WithRest,
};
use hookmill_sdk::{fingerprint, is_timestamp, json, json_list, pairs, timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "Splunk's webhook with `result` and `sid` or `search_name`, or a notable with `event_id`";
/// The most rows that are read: as many as the host takes incidents.
const ROWS_MAX: usize = 1_000;
/// Observable types of fields. In the Common Information Model, `src`, `dest` and `dvc` are addresses or names. The first is
/// not one of a notable event: there, it is the search head that wrote the event.
const OBSERVABLES: [(&str, &[&str]); 12] = [
    ("hostname", &["host"]),
    ("hostname", &["orig_host", "src", "dest", "dvc", "src_host", "dest_host", "hostname"]),
    ("hostname", &["ComputerName", "computer", "device_name"]),
    ("ip", &["src_ip", "srcip", "dest_ip", "destip", "dvc_ip", "clientip", "client_ip", "remote_ip", "ip"]),
    ("ip", &["source_ip", "sourceIPAddress", "dst_ip", "destination_ip", "Source_Network_Address"]),
    ("user-account", &["user", "username", "src_user", "target_user", "dest_user", "Account_Name"]),
    ("hash", &["file_hash", "hash", "sha256", "sha1", "md5"]),
    ("url", &["url", "URL"]),
    ("domain", &["domain"]),
    ("user-agent", &["user_agent", "http_user_agent"]),
    ("mail", &["sender", "recipient"]),
    ("filename", &["file_name"]),
];
/// The fields that are kept of any layer: of the search, of an event, of a notable event.
const DETAILS: [&[&str]; 3] = [
    &["app", "owner", "source", "sourcetype", "index", "count"],
    &["EventCode", "signature", "action"],
    &["security_domain", "search_name", "status_label", "risk_score", "orig_sourcetype"],
];
/// The fields with ids of ATT&CK.
const TECHNIQUES: [&str; 3] =
    ["mitre_technique_id", "annotations.mitre_attack", "annotations.mitre_attack.mitre_technique_id"];

struct Splunk;

/// The rows of a search. The webhook sends one row as an object; scripts send a list or JSON in a text.
#[derive(Deserialize)]
struct Rows<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    results: Option<&'a RawValue>,
}

impl Mapper for Splunk {
    fn describe() -> Description {
        hookmill_sdk::description!(
            "Splunk",
            "Alerts of the webhook action and notable events of Enterprise Security",
            "url-token"
        )
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: WithRest<Rows> = event.json(EXPECTED)?;
        let lists = [payload.result, payload.results].into_iter().flatten().map(rows_of);
        let Some(rows) = lists.into_iter().find(|rows| !rows.is_empty()) else {
            return Ok(map_row(&event.json(EXPECTED)?, None)?.into());
        };
        let search = payload.rest_json(&[]);
        let search: Fields = json(&search).unwrap_or_default();
        let mut outcome = Outcome::default();
        for (number, row) in (1..).zip(&rows).take(ROWS_MAX) {
            if !row.get().starts_with('{') {
                outcome.problems.push(format!("row {number} is not an object"));
                continue;
            }
            match map_row(&json(row.get()).unwrap_or_default(), Some(&search)) {
                Ok(incident) => outcome.incidents.push(incident),
                Err(error) => outcome.problems.push(format!("row {number}: {}", error.text())),
            }
        }
        if let Some(more) = rows.len().checked_sub(ROWS_MAX).filter(|more| *more > 0) {
            outcome.problems.push(format!("{more} further rows are not read: at most {ROWS_MAX} are"));
        }
        // Once, because a thousand rows with all fields of the search do not fit into the result.
        match outcome.incidents.first_mut() {
            Some(first) => first.keep_unread(&search, ""),
            None => return Err(MappingError::Unsupported(outcome.problems.swap_remove(0))),
        }
        Ok(outcome)
    }
}

/// Returns the rows in an object, a list or a text.
fn rows_of(rows: &RawValue) -> Vec<&RawValue> {
    if rows.get().starts_with('{') {
        return vec![rows];
    }
    if rows.get().starts_with('[') {
        return json(rows.get()).unwrap_or_default();
    }
    let text: Option<String> = json(rows.get());
    text.filter(|text| text.trim_start().starts_with(['{', '['])).map(|text| json_list(&text)).unwrap_or_default()
}

/// Maps a row of a search, or a notable event that is sent without one.
fn map_row(row: &Fields, search: Option<&Fields>) -> Result<Incident, MappingError> {
    let raw = row.first(&["_raw"]).unwrap_or_default();
    // Any other line that begins with a bracket is a text.
    let is_json = raw.starts_with('{') && raw.ends_with('}');
    let in_json: Fields = if is_json { json(raw).unwrap_or_default() } else { Fields::default() };
    let is_notable = is_notable_text(raw);
    let in_pairs = Fields::from_pairs(if is_notable { pairs(raw) } else { Vec::new() });
    // JSON that names its search is a notable event.
    let notable = if in_json.has("search_name") { &in_json } else { &in_pairs };
    let mut incident = Alert { row, notable, search }.incident()?;
    // The names in JSON are written in many ways.
    for (data_type, name, value) in in_json.named("", &OBSERVABLES) {
        incident.observe(data_type, Some(value), name);
    }
    // JSON is kept by its fields. A notable event that is sent without a search repeats its fields in the text.
    if !is_json && (search.is_some() || !is_notable) {
        incident.detail_members(row, &["_raw"]);
    }
    incident.keep_unread(row, "");
    incident.keep_unread(&in_json, "");
    Ok(incident)
}

/// The fields of an alert, the innermost first: an alert that forwards a notable event has fields with the names of the
/// event's.
struct Alert<'a> {
    row: &'a Fields<'a>,
    /// The notable event in `_raw` of the row.
    notable: &'a Fields<'a>,
    /// What the webhook says beside the row.
    search: Option<&'a Fields<'a>>,
}

impl<'a> Alert<'a> {
    fn layers(&self) -> impl Iterator<Item = &'a Fields<'a>> {
        [self.row, self.notable].into_iter().chain(self.search)
    }

    /// Returns the first value of a field, and marks the others as read.
    fn get(&self, name: &str) -> Option<&str> {
        self.layers().filter_map(|layer| layer.first(&[name])).reduce(|first, _| first)
    }

    fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Returns the id of a notable event, which is unique per event also in `rule_id`, or the id of the result's row.
    fn id(&self) -> Option<String> {
        let mut ids = ["event_id", "rule_id"].iter().filter_map(|name| self.get(name));
        if let Some(id) = ids.find(|id| id.contains("@@")) {
            return Some(id.to_owned());
        }
        // The place of an event in its index.
        let place = self.get("_bkt").zip(self.get("_cd")).map(|(bucket, code)| format!("{bucket}/{code}"));
        if place.is_some() && self.is_notable() {
            return place;
        }
        let cells = self.cells();
        let is_webhook = !cells.is_empty() || self.get("results_link").is_some();
        // A search that sends each row on its own sends all of them with its `sid`.
        if let Some(sid) = self.sid().filter(|_| is_webhook) {
            let row = (!cells.is_empty()).then(|| place.unwrap_or_else(|| fingerprint(&cells)));
            return Some(row.map_or_else(|| sid.to_owned(), |row| format!("{sid}/{row}")));
        }
        let name = self.get("search_name").filter(|_| is_webhook || self.is_notable())?;
        let time = self.first(&["trigger_time", "orig_time", "_time", "orig_sid", "_raw"]).unwrap_or_default();
        Some(fingerprint([name, time].into_iter().chain(cells.iter().map(String::as_str))))
    }

    /// Returns the names and values of the row of a search, in an order that does not depend on the sender.
    fn cells(&self) -> Vec<String> {
        let mut cells: Vec<_> = self.search.iter().flat_map(|_| self.row.iter()).collect();
        cells.sort_unstable();
        cells.into_iter().flat_map(|(path, value)| [format!("result.{path}"), value.to_owned()]).collect()
    }

    /// Returns the id of the search's run.
    fn sid(&self) -> Option<&str> {
        self.search.unwrap_or(self.row).first(&["sid"])
    }

    fn is_notable(&self) -> bool {
        self.notable.has("search_name") || self.get("index") == Some("notable") || self.get("rule_title").is_some()
    }

    fn incident(&self) -> Result<Incident, MappingError> {
        let mut incident = Incident::new(self.id().ok_or_else(|| MappingError::expected(EXPECTED))?);
        let number = format!("Splunk alert {}", self.sid().unwrap_or(&incident.source_ref));
        incident.set_title(self.first(&["rule_title", "search_name", "rule_name"]).or(Some(&number)));
        incident.description = self.first(&["rule_description", "description"]).map(str::to_owned);
        incident.category = self.get("security_domain").map(str::to_owned);
        // `urgency` combines severity and priority. Names of no known severity, such as `unknown`, are ignored.
        let words = ["urgency", "severity", "priority"].map(|name| self.get(name));
        let known = words.into_iter().flatten().find(|word| Severity::parse(word).is_some());
        incident.set_severity(known.or(words[0]).or(words[1]));
        incident.state = ["status_label", "status_group"].iter().find_map(|name| state(self.get(name)?));
        incident.occurred_at =
            ["orig_time", "_time", "trigger_time"].iter().find_map(|name| self.get(name).and_then(timestamp));
        incident.external_link = self.get("results_link").map(str::to_owned);
        let known = if self.is_notable() { &OBSERVABLES[1..] } else { &OBSERVABLES };
        for layer in self.layers() {
            incident.observe_fields(layer, known);
            TECHNIQUES.iter().flat_map(|name| layer.all(name)).for_each(|id| incident.attack(id, None));
        }
        self.observe_matches(&mut incident);
        DETAILS.iter().copied().flatten().for_each(|name| incident.detail(name, self.get(name)));
        let time = self.get("_time").filter(|time| incident.occurred_at.as_deref() != Some(*time));
        incident.detail("_time", time);
        Ok(incident)
    }

    /// Adds the user or system whose risk is too high, and the value that threat intelligence knows.
    fn observe_matches(&self, incident: &mut Incident) {
        let object = self.get("risk_object");
        match self.get("risk_object_type") {
            Some("system") => incident.observe("hostname", object, "risk_object"),
            kind => incident.observe_named(kind, object, "risk_object"),
        };
        let field = self.get("threat_match_field").unwrap_or_default();
        let value = self.get("threat_match_value");
        incident.observe_field(&OBSERVABLES, field, value, "threat_match_value").map(Observable::ioc);
    }
}

fn state(status: &str) -> Option<State> {
    let is_open = ["in progress", "pending", "unassigned"].iter().any(|open| open.eq_ignore_ascii_case(status));
    State::parse(status).or(is_open.then_some(State::Open))
}

/// Returns whether `raw` is a notable event as written by its search: a time, then the search name. A log line that
/// contains such pairs elsewhere is not trusted, because an attacker can write it.
fn is_notable_text(raw: &str) -> bool {
    let (time, pairs) = raw.split_once(',').unwrap_or_default();
    is_timestamp(time) && pairs.trim_start().starts_with("search_name=\"")
}

hookmill_sdk::export!(Splunk);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Splunk>("payloads");
        testing::check_rejects_invalid::<super::Splunk>();
    }
}
