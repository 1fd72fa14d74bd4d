//! Snyk: issues of the REST API, and project snapshots of webhooks, which name the issues that are new or gone.

use hookmill_sdk::{Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Part, State};
use hookmill_sdk::{is_list, json, map_list, problem, timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an issue of Snyk with `attributes`, alone or in `data`, or a project snapshot with `project` and \
                        `newIssues` or `removedIssues`";
/// The fields of an issue of the REST API that only such an issue has.
const MARKS: [&str; 3] = ["attributes.effective_severity_level", "attributes.coordinates", "attributes.problems"];

struct Snyk;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    project: Part<Fields<'a>>,
    new_issues: Option<List<Fields<'a>>>,
    removed_issues: Option<List<Fields<'a>>>,
    /// In a ping.
    webhook_id: Option<&'a RawValue>,
}

impl Mapper for Snyk {
    fn describe() -> Description {
        hookmill_sdk::description!("Snyk", "Issues of Snyk")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: Payload = event.json(EXPECTED)?;
        let is_ping = event.header("x-snyk-event").is_some_and(|name| name.starts_with("ping"));
        let is_snapshot = payload.new_issues.is_some() || payload.removed_issues.is_some();
        // An empty list in `data` can be an answer of any API.
        let is_page = |data: &RawValue| is_list(data) && data.get().contains('{');
        match (payload.project.get(), payload.data) {
            _ if is_ping || (payload.webhook_id.is_some() && !is_snapshot) => {
                Ok(Outcome::skip("a ping of the webhook"))
            }
            (Some(project), _) if is_snapshot => snapshot(event, &payload, project),
            (_, Some(list)) if is_page(list) => map_list(list, EXPECTED, |item: &&RawValue, outcome| {
                outcome.incidents.push(issue(item)?);
                Ok(())
            }),
            (_, Some(item)) => Ok(issue(item)?.into()),
            (_, None) => Ok(issue(event.json(EXPECTED)?)?.into()),
        }
    }
}

/// Maps an issue of the REST API. Its id is not that of the same issue in a webhook.
fn issue(raw: &RawValue) -> Result<Incident, MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let issue: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let attribute = |name: &str| issue.all(format!("attributes.{name}")).next();
    if !issue.iter().any(|(path, _)| MARKS.iter().any(|mark| path.starts_with(mark))) {
        return Err(unsupported());
    }
    let id = issue.required(&["id"])?;
    let mut incident = Incident::new(id);
    let [package, version] = ["package_name", "package_version"]
        .map(|name| attribute(&format!("coordinates.representations.dependency.{name}")));
    let package: Vec<&str> = [package, version].into_iter().flatten().collect();
    set_title(&mut incident, attribute("title").or(attribute("key")), &package.join(" "));
    let is_title = |text: &&str| Some(*text) == attribute("title");
    incident.description = attribute("description").filter(|text| !is_title(text)).map(str::to_owned);
    incident.category = attribute("type").map(str::to_owned);
    // The severities in `severities` are of several sources.
    incident.set_severity(attribute("effective_severity_level"));
    let status = attribute("status").and_then(State::parse);
    let is_ignored = attribute("ignored") == Some("true");
    incident.state = if is_ignored { Some(State::Resolved) } else { status };
    incident.detail("status", attribute("status"));
    incident.detail("ignored", attribute("ignored"));
    // The times of the problems are those of advisories.
    incident.occurred_at = issue.time(&["attributes.created_at"]);
    incident.changed_at = issue.time(&["attributes.updated_at", "attributes.created_at"]);
    issue.all("attributes.classes.id").for_each(|class| incident.tag(class));
    incident.tag(attribute("type").unwrap_or_default());
    issue.all("attributes.problems.id").for_each(|id| incident.observe_cves(id, "problems"));
    incident.observe_fields(&issue, &[("filename", &["attributes.coordinates.representations.sourceLocation.file"])]);
    incident.keep_unread(&issue, "attributes.");
    Ok(incident)
}

/// Maps the issues that a test of a project found or no longer found. Most snapshots have none.
fn snapshot(event: &Event, payload: &Payload, project: &Fields) -> Result<Outcome, MappingError> {
    let project_id = project.first(&["id"]).ok_or_else(|| MappingError::Malformed("`project.id` is absent".into()))?;
    let tested_at = project.time(&["lastTestedDate"]);
    let sent_at = event.header("x-snyk-timestamp").and_then(timestamp);
    let mut outcome = Outcome::default();
    // An issue of a package that has another version now can be both gone and new.
    for (issues, state) in [(&payload.removed_issues, State::Resolved), (&payload.new_issues, State::Open)] {
        for issue in issues.iter().flat_map(|issues| issues.iter()) {
            let Some(id) = issue.first(&["id", "issueData.id"]) else {
                problem("an issue of the snapshot has no `id`");
                continue;
            };
            let mut incident = Incident::new(format!("{project_id}:{id}"));
            describe(&mut incident, issue);
            let is_ignored = issue.first(&["isIgnored"]) == Some("true") || issue.first(&["isPatched"]) == Some("true");
            incident.state = Some(if is_ignored { State::Resolved } else { state });
            // The time of publication is that of the advisory.
            incident.occurred_at.clone_from(&tested_at);
            incident.changed_at = sent_at.clone().or_else(|| tested_at.clone());
            incident.external_link = project.first(&["browseUrl"]).map(|url| format!("{url}#issue-{id}"));
            incident.detail("project.name", project.first(&["name"]));
            incident.keep_unread(issue, "");
            for name in ["origin", "type", "branch"] {
                incident.detail(&format!("project.{name}"), project.first(&[name]));
            }
            outcome.incidents.push(incident);
        }
    }
    if outcome.incidents.is_empty() {
        outcome.skipped.push("a snapshot of a project without new or removed issues".into());
    }
    Ok(outcome)
}

fn describe(incident: &mut Incident, issue: &Fields) {
    let data = |name: &str| issue.all(format!("issueData.{name}")).next();
    set_title(incident, data("title"), issue.first(&["pkgName"]).unwrap_or_default());
    incident.description = data("description").map(str::to_owned);
    incident.category = issue.first(&["issueType"]).map(str::to_owned);
    incident.set_severity(data("severity"));
    issue.all("issueData.identifiers.CWE").for_each(|class| incident.tag(class));
    issue.all("issueData.identifiers.CVE").for_each(|id| incident.observe_cves(id, "identifiers"));
    incident.detail("id", issue.first(&["id", "issueData.id"]));
    incident.detail("pkgName", issue.first(&["pkgName"]));
}

fn set_title(incident: &mut Incident, title: Option<&str>, package: &str) {
    let title: Vec<&str> = [title.unwrap_or_default(), package].into_iter().filter(|part| !part.is_empty()).collect();
    incident.set_title(Some(&title.join(" in ")));
}

hookmill_sdk::export!(Snyk);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Snyk>("payloads");
        testing::check_rejects_invalid::<super::Snyk>();
    }
}
