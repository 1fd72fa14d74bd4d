//! Wazuh: lines of `alerts.json`, as a script of the integrator posts them.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Scale, State};
use hookmill_sdk::{file_name, pairs};

const EXPECTED: &str = "an alert of Wazuh with `rule.level` and `id`";

/// The fields with observables. Those in `data` are of the log or the module that the rule matched.
const OBSERVABLES: [(&str, &[&str]); 9] = [
    ("hostname", &["agent.name", "data.win.eventdata.workstationName"]),
    (
        "ip",
        &[
            "agent.ip",
            "data.srcip",
            "data.dstip",
            "data.src_ip",
            "data.dest_ip",
            "data.win.eventdata.ipAddress",
            "data.win.eventdata.sourceIp",
            "data.win.eventdata.destinationIp",
            "data.aws.sourceIPAddress",
            "data.aws.source_ip_address",
            "data.aws.service.action.awsApiCallAction.remoteIpDetails.ipAddressV4",
            "data.aws.service.action.networkConnectionAction.remoteIpDetails.ipAddressV4",
            "data.aws.service.action.portProbeAction.portProbeDetails.remoteIpDetails.ipAddressV4",
            "data.office365.ClientIP",
            "data.office365.ClientIPAddress",
            "data.office365.ActorIpAddress",
            "data.gcp.protoPayload.requestMetadata.callerIp",
        ],
    ),
    (
        "user-account",
        &[
            "data.srcuser",
            "data.dstuser",
            "data.win.eventdata.targetUserName",
            "data.win.eventdata.subjectUserName",
            "data.aws.userIdentity.userName",
            "data.office365.UserId",
            "data.gcp.protoPayload.authenticationInfo.principalEmail",
        ],
    ),
    ("cve", &["data.vulnerability.cve"]),
    ("domain", &["data.dns.rrname", "data.http.hostname", "data.tls.sni"]),
    ("domain", &["data.win.eventdata.queryName", "data.win.eventdata.destinationHostname"]),
    // The hashes of before are not those of now.
    ("hash", &["syscheck.sha256_after", "syscheck.sha1_after", "syscheck.md5_after"]),
    (
        "hash",
        &["data.virustotal.source.sha1", "data.virustotal.source.md5", "data.fileinfo.sha256", "data.fileinfo.md5"],
    ),
    ("url", &["data.http.full_url"]),
];
const FILES: [&str; 6] = [
    "data.file",
    "data.fileinfo.filename",
    "data.virustotal.source.file",
    "data.win.eventdata.image",
    "data.win.eventdata.targetFilename",
    "syscheck.path",
];

struct Wazuh;

impl Mapper for Wazuh {
    fn describe() -> Description {
        hookmill_sdk::description!("Wazuh", "Alerts of the Wazuh manager")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let alert: Fields = event.json(EXPECTED)?;
        let is_alert = alert.first(&["rule.level"]).is_some()
            && alert.first(&["agent.id", "agent.name", "manager.name", "decoder.name"]).is_some();
        if !is_alert {
            return Err(MappingError::expected(EXPECTED));
        }
        let id = alert.required(&["id"])?;
        // The id of an alert repeats on other managers.
        let parts = [alert.first(&["manager.name"]), alert.first(&["agent.id"]), Some(id)];
        let source_ref: Vec<&str> = parts.into_iter().flatten().collect();
        let mut incident = Incident::new(source_ref.join("/"));
        describe(&mut incident, &alert);
        observe(&mut incident, &alert);
        incident.attack_lists(alert.all("rule.mitre.id"), alert.all("rule.mitre.tactic"));
        incident.keep_unread(&alert, "");
        Ok(incident.into())
    }
}

fn describe(incident: &mut Incident, alert: &Fields) {
    let title = alert.first(&["rule.description"]);
    // The rule of rootcheck does not say what was found.
    let found = alert.first(&["data.title"]).filter(|_| alert.first(&["decoder.name"]) == Some("rootcheck"));
    let title: Vec<&str> = [title, found].into_iter().flatten().collect();
    incident.set_title(Some(&title.join(" ")));
    let description = alert.first(&["data.vulnerability.rationale", "full_log"]);
    incident.description = description.map(str::to_owned);
    // Severities in `data` are those of the log or of a vulnerability.
    incident.set_severity_on(Scale::Sixteen, alert.first(&["rule.level"]));
    let is_solved =
        alert.first(&["data.vulnerability.status"]).is_some_and(|status| status.eq_ignore_ascii_case("solved"));
    incident.state = Some(if is_solved { State::Resolved } else { State::Open });
    incident.occurred_at = alert.time(&["timestamp", "@timestamp"]);
    incident.changed_at.clone_from(&incident.occurred_at);
    alert.all("rule.groups").for_each(|group| incident.tag(group));
    incident.detail("rule.id", alert.first(&["rule.id"]));
    incident.detail_fields(alert, &["data.vulnerability.severity", "data.vulnerability.status"]);
}

fn observe(incident: &mut Incident, alert: &Fields) {
    incident.observe_fields(alert, &OBSERVABLES);
    for name in FILES {
        for path in alert.all(name) {
            if path.starts_with("HKEY_") {
                incident.observe("registry", Some(path), name);
            } else {
                incident.observe("filename", Some(file_name(path)), name);
            }
        }
    }
    // Wazuh writes the backslash of a Windows account twice.
    let user = alert.first(&["data.win.eventdata.user"]).map(|user| user.replace("\\\\", "\\"));
    incident.observe("user-account", user.as_deref(), "data.win.eventdata.user");
    // `SHA1=…,MD5=…,SHA256=…,IMPHASH=…`
    let hashes = alert.all("data.win.eventdata.hashes").flat_map(pairs);
    for (name, value) in hashes.filter(|(name, _)| *name != "IMPHASH") {
        incident.observe("hash", Some(&value), name);
    }
    // In a web log, `url` is a path.
    let url = alert.first(&["data.url"]);
    let data_type = if url.is_some_and(|url| url.contains("://")) { "url" } else { "uri_path" };
    incident.observe(data_type, url, "data.url");
}

hookmill_sdk::export!(Wazuh);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Wazuh>("payloads");
        testing::check_rejects_invalid::<super::Wazuh>();
    }
}
