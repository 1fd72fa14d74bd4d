//! Microsoft Defender XDR: incidents of Microsoft Graph and of the older incident API, alerts of both, and rows of
//! Advanced Hunting.

#[path = "../defender-office365/hunting.rs"]
mod hunting;

use hookmill_sdk::attack::tactic_id;
use hookmill_sdk::{
    Description, Event, Fields, Incident, List, Mapper, MappingError, Observable, Outcome, Part, State, Text, WithRest,
};
use serde::Deserialize;
use std::collections::BTreeMap;

const EXPECTED: &str = "an incident or alert of Microsoft Defender XDR (or several in `value`), or an Advanced Hunting \
                        AlertInfo or AlertEvidence row (or several in `records`)";

/// The names of fields with observables in the evidence of Graph, in the entities of the older API and in AlertEvidence.
const OBSERVABLES: [(&str, &[&str]); 8] = [
    ("hostname", &["deviceDnsName", "DeviceName"]),
    ("ip", &["ipAddress", "senderIp", "lastIpAddress", "ipInterfaces", "RemoteIP", "LocalIP", "Address"]),
    ("url", &["url", "urls", "RemoteUrl", "Url", "Urls"]),
    ("hash", &HASHES),
    ("filename", &["fileDetails.fileName", "imageFile.fileName", "fileName", "FileName"]),
    (
        "mail",
        &[
            "userAccount.userPrincipalName",
            "userPrincipalName",
            "mailboxAddress",
            "primaryAddress",
            "sender",
            "p1Sender.emailAddress",
            "p2Sender.emailAddress",
            "recipient",
            "recipientEmailAddress",
            "AccountUpn",
        ],
    ),
    ("mail-subject", &["subject", "EmailSubject"]),
    ("user-account", &["userAccount.accountName", "accountName", "AccountName"]),
];
const HASHES: [&str; 9] = [
    "fileDetails.sha256",
    "fileDetails.sha1",
    "imageFile.sha256",
    "imageFile.sha1",
    "sha256",
    "sha1",
    "SHA256",
    "SHA1",
    "MD5",
];
/// The fields to which a verdict `malicious` applies. The image of a process can be harmless, and a mailbox or an
/// account is the victim's.
const MALICIOUS: [(&str, &[&str]); 3] = [
    ("ip", &["ipAddress", "senderIp"]),
    ("url", &["url", "urls"]),
    ("hash", &["fileDetails.sha256", "fileDetails.sha1", "sha256", "sha1"]),
];

struct DefenderXdr;

/// An incident, an alert or a row. The names of Graph come first, those of the older API second.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    /// The id of an incident or an alert in Graph.
    #[serde(borrow)]
    id: Text<'a>,
    /// The id of an incident in the older API, and in both APIs that of the incident to which an alert belongs.
    incident_id: Text<'a>,
    alert_id: Text<'a>,
    display_name: Text<'a>,
    incident_name: Text<'a>,
    title: Text<'a>,
    description: Text<'a>,
    summary: Text<'a>,
    category: Text<'a>,
    severity: Text<'a>,
    status: Text<'a>,
    redirect_incident_id: Text<'a>,
    first_activity_date_time: Text<'a>,
    first_activity: Text<'a>,
    created_date_time: Text<'a>,
    created_time: Text<'a>,
    creation_time: Text<'a>,
    last_update_date_time: Text<'a>,
    last_update_time: Text<'a>,
    last_updated_time: Text<'a>,
    incident_web_url: Text<'a>,
    alert_web_url: Text<'a>,
    custom_tags: List<Text<'a>>,
    system_tags: List<Text<'a>>,
    tags: List<Text<'a>>,
    service_source: Text<'a>,
    detection_source: Text<'a>,
    mitre_techniques: List<Text<'a>>,
    /// The alerts of an incident: they are not incidents of their own.
    alerts: List<WithRest<'a, Item<'a>>>,
    evidence: List<Fields<'a>>,
    entities: List<Fields<'a>>,
    devices: List<Fields<'a>>,
    /// In a row of Advanced Hunting.
    properties: Part<Fields<'a>>,
}

impl Mapper for DefenderXdr {
    fn describe() -> Description {
        hookmill_sdk::description!("Microsoft Defender XDR", "Incidents and alerts of Microsoft Defender XDR")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        hunting::map(event, EXPECTED, observe, |item: &Item| (&item.category, &item.properties), Item::incident)
    }
}

impl Item<'_> {
    /// Maps an incident, or an alert as an observation of the incident to which it belongs.
    fn incident(&self) -> Result<Incident, MappingError> {
        let mut incident = Incident::new(self.source_ref()?);
        incident.set_title(self.incident_name.get().or(self.display_name.get()).or(self.title.get()));
        let only_alert = if self.alerts.len() == 1 { self.alerts.first() } else { None };
        let described = [Some(self), only_alert.map(|alert| &**alert)].into_iter().flatten();
        incident.description = described.into_iter().find_map(|item| item.description.owned().or(item.summary.owned()));
        incident.set_severity(self.severity.get());
        incident.state = self.state();
        incident.changed_at = [&self.last_update_date_time, &self.last_update_time, &self.last_updated_time]
            .into_iter()
            .find_map(Text::time);
        let first_activity = self.alerts.iter().filter_map(|alert| alert.occurred_at()).min();
        incident.occurred_at = first_activity.or_else(|| self.occurred_at());
        incident.external_link = self.incident_web_url.owned().or(self.alert_web_url.owned());
        for tag in [&self.custom_tags, &self.system_tags, &self.tags].into_iter().flatten() {
            incident.tag(tag.get().unwrap_or_default());
        }
        let alerts = || [self].into_iter().chain(self.alerts.iter().map(|alert| &**alert));
        incident.category = alerts().find_map(|alert| alert.category.owned());
        alerts().for_each(|alert| alert.add_alert(&mut incident));
        if !self.alerts.is_empty() {
            incident.detail_json("alerts", &self.alerts.iter().map(|alert| alert.summary()).collect::<Vec<_>>());
            self.alerts.iter().for_each(|alert| incident.keep_rest(alert, |_| false));
        }
        if self.incident_id.get().is_some() {
            incident.detail("alertId", self.id.get().or(self.alert_id.get()));
        }
        incident.detail("status", self.status.get());
        incident.detail("serviceSource", self.service_source.get());
        incident.detail("detectionSource", self.detection_source.get());
        incident.detail("redirectIncidentId", self.redirect_incident_id.get());
        if self.incident_web_url.get().is_some() {
            incident.detail("alertWebUrl", self.alert_web_url.get());
        }
        Ok(incident)
    }

    /// Returns the id of the incident, which is the same number in both APIs, or that of an alert without an incident.
    fn source_ref(&self) -> Result<&str, MappingError> {
        let is_dated = self.created_date_time.get().is_some() || self.last_update_date_time.get().is_some();
        let is_incident = (self.display_name.get().is_some() && is_dated && self.status.get().is_some())
            || (self.incident_id.get().is_some() && (self.incident_name.get().is_some() || !self.alerts.is_empty()));
        // Alerts of other vendors have neither a name nor a link in these fields.
        let names = [&self.title, &self.display_name, &self.alert_web_url, &self.incident_web_url];
        let is_named = names.into_iter().any(|name| name.get().is_some());
        let is_alert = self.service_source.get().is_some() || (is_dated && is_named && self.severity.get().is_some());
        if !is_incident && !is_alert {
            return Err(MappingError::expected(EXPECTED));
        }
        let id = self.incident_id.get().or(self.id.get()).or(self.alert_id.get());
        id.ok_or_else(|| MappingError::Malformed("`id` and `incidentId` are absent".into()))
    }

    /// Returns the state: only a resolved incident and one merged into another are not open.
    fn state(&self) -> Option<State> {
        let is_merged = self.redirect_incident_id.get().is_some();
        match self.status.get().map(str::to_ascii_lowercase).as_deref() {
            Some("resolved" | "redirected") => Some(State::Resolved),
            _ if is_merged => Some(State::Resolved),
            Some("unknownfuturevalue") | None => None,
            Some(_) => Some(State::Open),
        }
    }

    fn occurred_at(&self) -> Option<String> {
        let times = [&self.first_activity_date_time, &self.first_activity, &self.created_date_time];
        times.into_iter().chain([&self.created_time, &self.creation_time]).find_map(Text::time)
    }

    /// Adds the techniques and the evidence of an alert.
    fn add_alert(&self, incident: &mut Incident) {
        let tactic = self.category.get().filter(|category| tactic_id(category).is_some());
        self.mitre_techniques.iter().filter_map(Text::get).for_each(|id| incident.attack(id, tactic));
        for evidence in [&self.evidence, &self.entities, &self.devices].into_iter().flatten() {
            observe(incident, evidence);
            incident.keep_unread(evidence, "");
        }
    }

    /// Returns the fields of an alert that an analyst reads in the list of an incident's alerts.
    fn summary(&self) -> BTreeMap<&str, &str> {
        let fields = [
            ("id", self.id.get().or(self.alert_id.get())),
            ("title", self.title.get()),
            ("severity", self.severity.get()),
            ("status", self.status.get()),
            ("category", self.category.get()),
            ("serviceSource", self.service_source.get()),
            ("detectionSource", self.detection_source.get()),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

fn observe(incident: &mut Incident, entity: &Fields) {
    incident.observe_fields(entity, &OBSERVABLES);
    if let (Some(hive), Some(key)) = (entity.first(&["registryHive"]), entity.first(&["registryKey"])) {
        incident.observe("registry", Some(&format!("{hive}\\{key}")), "registryKey");
    }
    incident.observe("registry", entity.first(&["RegistryKey"]), "RegistryKey");
    if entity.first(&["@odata.type"]).is_some_and(|kind| kind.ends_with("dnsEvidence")) {
        incident.observe("domain", entity.first(&["domainName"]), "domainName");
    }
    let is_malicious = entity.first(&["verdict"]).is_some_and(|verdict| verdict.eq_ignore_ascii_case("malicious"));
    if is_malicious && entity.first(&["entityType"]) != Some("Process") {
        for (data_type, names) in MALICIOUS {
            for value in names.iter().flat_map(|name| entity.all(name)) {
                incident.observe(data_type, Some(value), "verdict").map(Observable::ioc);
            }
        }
    }
}

hookmill_sdk::export!(DefenderXdr);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::DefenderXdr>("payloads");
        testing::check_rejects_invalid::<super::DefenderXdr>();
    }
}
