//! Splunk: the webhook alert action, and notable events of Enterprise Security as fields or as text in `_raw`.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Severity, State, WithRest};
use hookmill_sdk::{fingerprint, is_timestamp, json, json_list, timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::net::IpAddr;

const EXPECTED: &str = "Splunk's webhook with `result` and `sid` or `search_name`, or a notable with `event_id`";

/// The most rows that are read: as many as the host takes incidents.
const ROWS_MAX: usize = 1_000;

/// Observable types of a result's fields. In the Common Information Model, `src`, `dest` and `dvc` are addresses or
/// names.
const OBSERVABLES: [(&str, &[&str]); 9] = [
    ("hostname", &["src", "dest", "dvc", "src_host", "dest_host"]),
    ("ip", &["src_ip", "srcip", "dest_ip", "destip", "dvc_ip", "clientip", "client_ip", "remote_ip", "ip"]),
    ("user-account", &["user", "username", "src_user", "target_user", "dest_user"]),
    ("hash", &["file_hash", "hash", "sha256", "sha1", "md5"]),
    ("url", &["url", "URL"]),
    ("domain", &["domain"]),
    ("user-agent", &["user_agent", "http_user_agent"]),
    ("mail", &["sender", "recipient"]),
    ("filename", &["file_name"]),
];
const DETAILS: [&str; 14] = [
    "app",
    "owner",
    "source",
    "sourcetype",
    "index",
    "count",
    "EventCode",
    "signature",
    "action",
    "security_domain",
    "search_name",
    "status_label",
    "risk_score",
    "orig_sourcetype",
];

/// The same types for the fields of an event in JSON, by the last segment of the path, as lower-case letters and digits.
const OBSERVABLES_OF_JSON: [(&str, &[&str]); 8] = [
    ("ip", &["srcip", "sourceip", "sourceipaddress", "destip", "dstip", "destinationip", "clientip", "remoteip", "ip"]),
    ("hostname", &["src", "dest", "host", "hostname", "computer", "computername", "devicename"]),
    ("user-account", &["user", "username", "srcuser", "targetuser", "accountname"]),
    ("hash", &["filehash", "hash", "sha256", "sha1", "md5"]),
    ("url", &["url"]),
    ("domain", &["domain"]),
    ("user-agent", &["useragent", "httpuseragent"]),
    ("filename", &["filename"]),
];

struct Splunk;

/// The rows of a search. The webhook sends one row as an object; scripts send a list or JSON in a text.
#[derive(Deserialize)]
struct Rows<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    results: Option<&'a RawValue>,
}

/// The fields of a payload: those of the result, of the body, and of `_raw` if that is a notable event or JSON.
struct Alert<'a> {
    body: &'a Fields<'a>,
    /// The pairs of a notable event.
    raw: Vec<(&'a str, Cow<'a, str>)>,
    json: Option<&'a Fields<'a>>,
    has_result: bool,
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
        let rows: WithRest<Rows> = event.json(EXPECTED)?;
        let list = [rows.result, rows.results].into_iter().flatten().find(|rows| !rows.get().starts_with('{'));
        let list = list.map(rows_of).filter(|list| !list.is_empty());
        let Some(list) = list else { return Ok(map_row(&event.json(EXPECTED)?)?.into()) };
        let mut outcome = Outcome::default();
        let more = list.len().saturating_sub(ROWS_MAX);
        for (number, row) in (1..).zip(list).take(ROWS_MAX) {
            if !row.get().starts_with('{') {
                outcome.problems.push(format!("row {number} is not an object"));
                continue;
            }
            match map_row(&json(&rows.rest_with("result", row)).unwrap_or_default()) {
                Ok(incident) => outcome.incidents.push(incident),
                Err(MappingError::Malformed(text) | MappingError::Unsupported(text)) => {
                    outcome.problems.push(format!("row {number}: {text}"));
                }
            }
        }
        if more > 0 {
            outcome.problems.push(format!("{more} further rows are not read: at most {ROWS_MAX} are"));
        }
        match outcome.problems.first() {
            Some(text) if outcome.incidents.is_empty() => Err(MappingError::Unsupported(text.clone())),
            _ => Ok(outcome),
        }
    }
}

/// Returns the rows in a list or in a text.
fn rows_of(rows: &RawValue) -> Vec<&RawValue> {
    if rows.get().starts_with('[') {
        return json(rows.get()).unwrap_or_default();
    }
    let text: Option<&str> = json::<String>(rows.get()).map(|text| &*text.leak());
    text.filter(|text| text.trim_start().starts_with(['{', '['])).map(json_list).unwrap_or_default()
}

fn map_row(body: &Fields) -> Result<Incident, MappingError> {
    let raw = ["result._raw", "_raw"].into_iter().find_map(|name| body.iter().find(|(path, _)| *path == name));
    let raw = raw.map(|(_, raw)| raw);
    let in_raw = raw.and_then(read_json);
    let has_result = body.iter().any(|(path, _)| path.starts_with("result."));
    let pairs = raw.filter(|raw| is_notable_text(raw)).map(key_values).unwrap_or_default();
    let alert = Alert { body, raw: pairs, json: in_raw.as_ref(), has_result };
    let id = alert.id().ok_or_else(|| MappingError::Unsupported(format!("expected {EXPECTED}")))?;
    let mut incident = alert.incident(id);
    if in_raw.is_some() || (!alert.raw.is_empty() && !has_result) {
        // Marked as read, because the text repeats other fields.
        body.first(&["result._raw", "_raw"]);
    }
    incident.keep_unread(body, "result.");
    if let Some(fields) = &in_raw {
        incident.keep_unread(fields, "");
    }
    Ok(incident)
}

impl Alert<'_> {
    /// Returns the values of a field, the innermost first: an alert that forwards a notable event has fields with the
    /// names of the event's. A notable event that is sent alone repeats its fields in `_raw`.
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let raw = self.raw.iter().filter(move |(key, value)| *key == name && !value.is_empty());
        let (outer, last) = match self.has_result {
            true => (None, Some(self.body.all(name))),
            false => (Some(self.body.all(name)), None),
        };
        let inner = self.body.all(format!("result.{name}")).chain(outer.into_iter().flatten());
        let json = self.json.filter(|json| is_notable_json(json)).map(|json| json.all(name));
        let raw = raw.map(|(_, value)| &**value).chain(json.into_iter().flatten());
        inner.chain(raw).chain(last.into_iter().flatten())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Returns the id of a notable event, which is unique per event also in `rule_id`, or the id of the result's row.
    fn id(&self) -> Option<String> {
        let notable = ["event_id", "rule_id"].iter().filter_map(|name| self.get(name)).find(|id| id.contains("@@"));
        if let Some(id) = notable {
            return Some(id.to_owned());
        }
        // The place of an event in its index.
        let place = self.get("_bkt").zip(self.get("_cd")).map(|(bucket, code)| format!("{bucket}/{code}"));
        if let Some(place) = place.as_ref().filter(|_| self.is_notable()) {
            return Some(place.clone());
        }
        let mut result: Vec<(&str, &str)> = self.body.iter().filter(|(path, _)| path.starts_with("result.")).collect();
        // A digest does not depend on the order of the fields.
        result.sort_unstable();
        let is_webhook = !result.is_empty() || self.body.first(&["results_link"]).is_some();
        let row = || fingerprint(result.iter().flat_map(|(path, value)| [*path, *value]));
        // A search that sends each row on its own sends all of them with its `sid`.
        if let Some(sid) = self.body.first(&["sid"]).filter(|_| is_webhook) {
            return Some(if result.is_empty() {
                sid.to_owned()
            } else {
                format!("{sid}/{}", place.unwrap_or_else(row))
            });
        }
        let search = self.get("search_name").filter(|_| is_webhook || self.is_notable())?;
        let time = self.first(&["trigger_time", "orig_time", "_time", "orig_sid", "_raw"]);
        let parts = [search, time.unwrap_or_default()].into_iter();
        Some(fingerprint(parts.chain(result.iter().flat_map(|(path, value)| [*path, *value]))))
    }

    fn is_notable(&self) -> bool {
        !self.raw.is_empty()
            || self.json.is_some_and(is_notable_json)
            || self.get("index") == Some("notable")
            || self.get("rule_title").is_some()
    }

    fn incident(&self, id: String) -> Incident {
        let mut incident = Incident::new(id);
        let title = self.first(&["rule_title", "search_name", "rule_name"]).map(str::to_owned);
        let number = self.body.first(&["sid"]).unwrap_or(&incident.source_ref);
        let title = title.or_else(|| Some(format!("Splunk alert {number}")));
        incident.set_title(title.as_deref());
        incident.description = self.first(&["rule_description", "description"]).map(str::to_owned);
        incident.category = self.get("security_domain").map(str::to_owned);
        // `urgency` combines severity and priority. Names of no known severity, such as `unknown`, are ignored.
        let severities = ["urgency", "severity", "priority"].map(|name| self.get(name));
        let severity = severities.into_iter().flatten().find_map(|name| Some((name, Severity::parse(name)?)));
        incident.vendor_severity =
            severity.map(|(name, _)| name).or(severities[0].or(severities[1])).map(str::to_owned);
        incident.severity = severity.map(|(_, severity)| severity);
        incident.state = self.first(&["status_label", "status_group"]).and_then(State::parse);
        incident.occurred_at =
            ["orig_time", "_time", "trigger_time"].iter().find_map(|name| self.get(name).and_then(timestamp));
        incident.external_link = self.body.first(&["results_link"]).map(str::to_owned);
        self.observe(&mut incident);
        for name in ["mitre_technique_id", "annotations.mitre_attack", "annotations.mitre_attack.mitre_technique_id"] {
            self.all(name).for_each(|id| incident.attack(id, None));
        }
        DETAILS.iter().for_each(|name| incident.detail(name, self.get(name)));
        if incident.occurred_at.as_deref() != self.get("_time") {
            incident.detail("_time", self.get("_time"));
        }
        incident
    }

    fn observe(&self, incident: &mut Incident) {
        // In a notable event, `host` is the search head that wrote the event.
        let host = if self.is_notable() { "orig_host" } else { "host" };
        for (data_type, names) in [("hostname", &[host][..])].into_iter().chain(OBSERVABLES) {
            for (name, value) in names.iter().flat_map(|name| self.all(name).map(move |value| (name, value))) {
                let is_address = data_type == "hostname" && value.parse::<IpAddr>().is_ok();
                incident.observe(if is_address { "ip" } else { data_type }, Some(value), name);
            }
        }
        for (path, value) in self.json.into_iter().flat_map(Fields::iter) {
            let name = path.rsplit('.').next().unwrap_or(path);
            let is_sign = |letter: &char| letter.is_ascii_alphanumeric();
            let key: String = name.chars().filter(is_sign).map(|letter| letter.to_ascii_lowercase()).collect();
            if let Some((data_type, _)) = OBSERVABLES_OF_JSON.iter().find(|(_, names)| names.contains(&&*key)) {
                incident.observe(data_type, Some(value), name);
            }
        }
    }
}

/// Returns whether `raw` is a notable event as written by its search: a time, then the search name. A log line that
/// contains such pairs elsewhere is not trusted, because an attacker can write it.
fn is_notable_text(raw: &str) -> bool {
    let (time, pairs) = raw.split_once(',').unwrap_or_default();
    is_timestamp(time) && pairs.trim_start().starts_with("search_name=\"")
}

/// Reads an event that is a JSON object. Any other line that begins with a bracket is a text.
fn read_json(raw: &str) -> Option<Fields<'_>> {
    if raw.starts_with('{') && raw.ends_with('}') { json(raw) } else { None }
}

/// Returns whether JSON is a notable event: it names its search.
fn is_notable_json(fields: &Fields) -> bool {
    fields.iter().any(|(path, _)| path == "search_name")
}

/// Reads `key="value"` and `key=value` pairs. A quoted value can contain any text, including `\"`.
fn key_values(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.rsplit([' ', ',', '\n', '\t']).next().unwrap_or(before);
        let (value, end) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = (0..quoted.len()).find(|&at| quoted.as_bytes()[at] == b'"' && !is_escaped(quoted, at));
                let end = end.unwrap_or(quoted.len());
                (unescaped(quoted[..end].trim()), end + 2)
            }
            None => {
                let end = after.find([',', '\n']).unwrap_or(after.len());
                (Cow::Borrowed(after[..end].trim()), end)
            }
        };
        pairs.push((key, value));
        rest = after.get(end..).unwrap_or_default();
    }
    pairs
}

/// Returns a value without the backslashes before quotes and backslashes. Other backslashes are of paths.
fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_escape = letter == '\\' && letters.peek().is_some_and(|next| matches!(next, '"' | '\\'));
        text.extend(if is_escape { letters.next() } else { Some(letter) });
    }
    Cow::Owned(text)
}

/// Returns whether an odd number of backslashes precedes the byte `at`.
fn is_escaped(text: &str, at: usize) -> bool {
    text.as_bytes()[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
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
