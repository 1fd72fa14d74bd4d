//! Microsoft Defender: alerts of Microsoft Graph, rows of Advanced Hunting and mail events of Office 365.

mod hunting;

use hookmill_sdk::{
    Description, Event, Fields, Incident, List, Mapper, MappingError, Observable, Outcome, Part, State, Text,
};
use hookmill_sdk::{attack::tactic_id, sentence};
use serde::Deserialize;

const EXPECTED: &str = "a Microsoft Graph alert (or several in `value`), an Advanced Hunting AlertInfo or AlertEvidence \
                        row (or several in `records`), or a mail event with `eventType`, `id` and `creationTime`";

/// The names of fields with observables in Graph's evidence, in AlertEvidence and its AdditionalFields, and in mail
/// events.
const OBSERVABLES: [(&str, &[&str]); 8] = [
    ("hostname", &["deviceDnsName", "DeviceName"]),
    ("ip", &["ipAddress", "senderIp", "lastIpAddress", "ipInterfaces", "RemoteIP", "LocalIP", "Address"]),
    ("url", &["url", "urls", "RemoteUrl", "Url", "Urls"]),
    (
        "hash",
        &["fileDetails.sha256", "fileDetails.sha1", "imageFile.sha256", "imageFile.sha1", "SHA256", "SHA1", "MD5"],
    ),
    ("filename", &["fileDetails.fileName", "imageFile.fileName", "FileName"]),
    ("registry", &["RegistryKey"]),
    (
        "mail",
        &[
            "sender",
            "recipients",
            "p1Sender.emailAddress",
            "p2Sender.emailAddress",
            "recipientEmailAddress",
            "primaryAddress",
            "Sender",
            "Recipient",
        ],
    ),
    ("mail-subject", &["subject", "EmailSubject", "Subject"]),
];
/// The names of one user, in order of preference.
const USER: [&str; 4] = ["userAccount.userPrincipalName", "userAccount.accountName", "AccountUpn", "AccountName"];
/// The fields to which a verdict `malicious` applies. Other fields can be harmless: the image of a process, or the
/// recipient of a mail.
const VERDICT_FIELDS: [&str; 4] = ["ipAddress", "url", "fileDetails.sha256", "fileDetails.sha1"];

struct Defender;

/// An alert, a row of Advanced Hunting or a mail event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    title: Text<'a>,
    /// In an incident in place of the title.
    display_name: Text<'a>,
    description: Text<'a>,
    category: Text<'a>,
    severity: Text<'a>,
    status: Text<'a>,
    first_activity_date_time: Text<'a>,
    created_date_time: Text<'a>,
    last_update_date_time: Text<'a>,
    alert_web_url: Text<'a>,
    incident_web_url: Text<'a>,
    system_tags: List<Text<'a>>,
    mitre_techniques: List<Text<'a>>,
    evidence: List<Fields<'a>>,
    incident_id: Text<'a>,
    service_source: Text<'a>,
    detection_source: Text<'a>,
    classification: Text<'a>,
    determination: Text<'a>,
    threat_display_name: Text<'a>,
    actor_display_name: Text<'a>,
    recommended_actions: Text<'a>,
    /// In a row of Advanced Hunting.
    properties: Part<Fields<'a>>,
    /// In a mail event, as the three fields below.
    data: Part<Fields<'a>>,
    event_type: Text<'a>,
    creation_time: Text<'a>,
    entity_type: Text<'a>,
}

impl Mapper for Defender {
    fn describe() -> Description {
        hookmill_sdk::description!("Microsoft Defender", "Alerts of Defender XDR and of Defender for Office 365")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        hunting::map(event, EXPECTED, observe, |item: &Item| (&item.category, &item.properties), Item::incident)
    }
}

impl Item<'_> {
    /// Returns whether this is an alert. Many records of Graph have an id and a date; only alerts also have the service
    /// that they come from, or a severity beside a name or a link. Alerts of other vendors have none in these fields.
    fn is_alert(&self) -> bool {
        let names = [&self.title, &self.display_name, &self.alert_web_url, &self.incident_web_url];
        let is_named = names.into_iter().any(|name| name.get().is_some());
        let is_dated = self.created_date_time.get().is_some();
        self.service_source.get().is_some() || (is_dated && is_named && self.severity.get().is_some())
    }

    fn incident(&self) -> Result<Incident, MappingError> {
        if self.event_type.get().is_some() && self.creation_time.get().is_some() {
            return self.mail();
        }
        if self.is_alert() { self.alert() } else { Err(MappingError::expected(EXPECTED)) }
    }

    /// Returns an incident with the fields common to alerts and mail events.
    fn described(&self) -> Result<Incident, MappingError> {
        let id = self.id.get().ok_or_else(|| MappingError::Malformed("`id` is absent".into()))?;
        let mut incident = Incident::new(id);
        incident.set_title(self.title.get().or(self.display_name.get()));
        incident.description = self.description.owned();
        incident.category = self.category.get().map(|name| if name == "Phish" { "phishing" } else { name }.to_owned());
        incident.set_severity(self.severity.get());
        incident.state = self.status.get().and_then(State::parse);
        Ok(incident)
    }

    fn alert(&self) -> Result<Incident, MappingError> {
        let mut incident = self.described()?;
        incident.occurred_at = self.first_activity_date_time.time().or_else(|| self.created_date_time.time());
        incident.changed_at = self.last_update_date_time.time();
        incident.external_link = self.alert_web_url.owned().or(self.incident_web_url.owned());
        self.system_tags.iter().filter_map(Text::get).for_each(|tag| incident.tag(tag));
        let tactic = self.category.get().filter(|category| tactic_id(category).is_some());
        self.mitre_techniques.iter().filter_map(Text::get).for_each(|id| incident.attack(id, tactic));
        for evidence in &self.evidence {
            observe(&mut incident, evidence);
            incident.detail("processCommandLine", evidence.first(&["processCommandLine"]));
        }
        // A Microsoft incident groups several alerts, so its id does not identify this alert.
        incident.detail("incidentId", self.incident_id.get());
        if self.alert_web_url.get().is_some() {
            incident.detail("incidentWebUrl", self.incident_web_url.get());
        }
        incident.detail("serviceSource", self.service_source.get());
        incident.detail("detectionSource", self.detection_source.get());
        incident.detail("classification", self.classification.get());
        incident.detail("determination", self.determination.get());
        incident.detail("threatDisplayName", self.threat_display_name.get());
        incident.detail("actorDisplayName", self.actor_display_name.get());
        incident.detail("recommendedActions", self.recommended_actions.get());
        for evidence in &self.evidence {
            incident.keep_unread(evidence, "");
        }
        Ok(incident)
    }

    fn mail(&self) -> Result<Incident, MappingError> {
        let mut incident = self.described()?;
        let kind = sentence(self.event_type.get().unwrap_or_default());
        let subject = self.data.get().and_then(|data| data.first(&["subject"]));
        incident.set_title(Some(&subject.map_or_else(|| kind.clone(), |subject| format!("{kind}: {subject}"))));
        incident.occurred_at = self.creation_time.time();
        incident.detail("eventType", self.event_type.get());
        incident.detail("entityType", self.entity_type.get());
        if let Some(data) = self.data.get() {
            observe(&mut incident, data);
            incident.keep_unread(data, "");
        }
        Ok(incident)
    }
}

fn observe(incident: &mut Incident, entity: &Fields) {
    let role = entity.first(&["EvidenceRole", "roles", "detailedRoles"]);
    let malicious = entity.first(&["verdict"]) == Some("malicious");
    for (data_type, name, value) in entity.typed("", &OBSERVABLES) {
        let observable = incident.observe(data_type, Some(value), role.unwrap_or(name));
        if malicious && VERDICT_FIELDS.contains(&name) {
            observable.map(Observable::ioc);
        }
    }
    incident.observe("user-account", entity.first(&USER), role.unwrap_or("user"));
    if let (Some(hive), Some(key)) = (entity.first(&["registryHive"]), entity.first(&["registryKey"])) {
        incident.observe("registry", Some(&format!("{hive}\\{key}")), role.unwrap_or("registryKey"));
    }
}

hookmill_sdk::export!(Defender);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Defender>("payloads");
        testing::check_rejects_invalid::<super::Defender>();
    }
}
