//! `hookmill incidents change`.

use crate::client::{Client, HostConnection, print_shape, read};
use crate::progress::ProgressLine;
use crate::text::{clean, table};
use anyhow::{Context, Result, ensure};
use clap::Args;
use hookmill_host::api::shapes::{ErrorDetail, IncidentChangeResult, IncidentsChange, List, ShownCount};
use hookmill_incident::{Number, Patch, Severity, Status};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// The number of incidents of one step, which the host changes in a short time.
const STEP: usize = 200;

#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The numbers of incidents, such as INC-2026-0001, or their ids
    #[arg(required_unless_present = "matching", value_name = "NUMBER")]
    incidents: Vec<String>,
    /// Change all incidents that this filter of the API's list finds, such as status=new or q=phish*; may be repeated, as in
    /// the API. Without --yes, the incidents are only counted
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "incidents", value_parser = filter)]
    matching: Vec<(String, String)>,
    /// Change the incidents that --matching finds
    #[arg(long, requires = "matching", conflicts_with = "incidents")]
    yes: bool,
    #[command(flatten)]
    change: Values,
    #[command(flatten)]
    connection: HostConnection,
}

/// The values that a change sets.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Values {
    /// new, triaged, in_progress, escalated, resolved, false_positive or closed
    #[arg(long)]
    status: Option<Status>,
    /// informational, low, medium, high or critical
    #[arg(long)]
    severity: Option<Severity>,
    /// The person who works on the incidents
    #[arg(long, value_name = "NAME")]
    assignee: Option<String>,
    /// Keep everything that belongs to the incidents, whatever its age: retention removes nothing of it
    #[arg(long)]
    hold: bool,
    /// End the hold
    #[arg(long, conflicts_with = "hold")]
    release: bool,
    /// A note to add
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Change {
    pub fn run(self) -> Result<()> {
        let Values { status, severity, assignee, hold, release, note } = self.change;
        let hold = (hold || release).then_some(hold);
        let change = Patch { status, severity, assignee: assignee.map(Some), hold, note, ..Patch::default() };
        let client = self.connection.open()?;
        match self.matching.is_empty() {
            true => change_named(&client, self.incidents, change, self.connection.json),
            false => change_matching(&client, &self.matching, &change, self.yes, self.connection.json),
        }
    }
}

fn change_named(client: &Client, incidents: Vec<String>, change: Patch, json: bool) -> Result<()> {
    let is_number = |which: &String| which.parse::<Number>().is_ok();
    let (numbers, ids) = incidents.into_iter().partition(is_number);
    let answer = client.patch_json(&["incidents"], &json!(IncidentsChange { ids, numbers, change }))?;
    let results: List<IncidentChangeResult> = read(&answer)?;
    let failed = results.data.iter().filter(|result| result.error.is_some()).count();
    print_shape(json, &answer, |results: List<IncidentChangeResult>| results_text(&results.data))?;
    ensure!(failed == 0, "{failed} of {} incidents were not changed", results.data.len());
    Ok(())
}

fn results_text(results: &[IncidentChangeResult]) -> String {
    let rows = results.iter().map(|IncidentChangeResult { incident, revision, error }| {
        let error = error.as_ref().map(|error| clean(&error.message)).unwrap_or_default();
        [clean(incident), revision.map(|revision| revision.to_string()).unwrap_or_default(), error]
    });
    table(["INCIDENT", "REVISION", "ERROR"], rows.collect())
}

/// Reads a filter.
fn filter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as status=new")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The used members of an incident in a list: `error` is that of an incident that cannot be read. A change of all does not
/// depend on the other members.
#[derive(Deserialize)]
struct Matching {
    id: String,
    revision: Option<u64>,
    error: Option<String>,
}

/// The result of a change of all incidents that match.
#[derive(Default, Serialize)]
struct ChangedIncidents {
    changed: usize,
    /// The number of incidents that were as wanted already.
    unchanged: usize,
    /// The incidents that could not be changed.
    failed: Vec<IncidentChangeResult>,
}

impl ChangedIncidents {
    fn reached(&self) -> usize {
        self.changed + self.unchanged + self.failed.len()
    }
}

fn change_matching(client: &Client, filters: &[(String, String)], change: &Patch, yes: bool, json: bool) -> Result<()> {
    let filters: Vec<(&str, String)> = filters.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let answer = client.get(&["incidents", "count"], &filters)?;
    let matching: ShownCount = read(&answer)?;
    let matching = format!("{}{} incidents", if matching.has_more { "at least " } else { "" }, matching.count);
    if !yes {
        return print_shape(json, &answer, |_: ShownCount| {
            format!("would change {matching}; add --yes to change them")
        });
    }
    let mut sum = ChangedIncidents::default();
    let mut progress = ProgressLine::new();
    progress.show(&format!("changing {matching}"));
    let mut cursor = None;
    loop {
        cursor = change_step(client, &filters, cursor, change, &mut sum)
            .with_context(|| format!("the change stopped after {} of {matching}", sum.reached()))?;
        progress.show(&format!("changed {} of {matching}", sum.reached()));
        if cursor.is_none() {
            break;
        }
    }
    progress.clear();
    print_shape(json, &json!(sum), |_: serde_json::Value| {
        let unchanged = match sum.unchanged {
            0 => String::new(),
            count => format!("; {count} were so already"),
        };
        let failed = if sum.failed.is_empty() { String::new() } else { results_text(&sum.failed) + "\n" };
        format!("{failed}changed {} incidents{unchanged}", sum.changed)
    })?;
    ensure!(sum.failed.is_empty(), "{} of {} incidents were not changed", sum.failed.len(), sum.reached());
    Ok(())
}

/// Changes the incidents of one page of a list and returns the cursor of the next page. The list begins with the newest
/// incident and is in the order of creation, so that no change moves an incident that is still to be reached.
fn change_step(
    client: &Client,
    filters: &[(&str, String)],
    cursor: Option<String>,
    change: &Patch,
    sum: &mut ChangedIncidents,
) -> Result<Option<String>> {
    let mut query = filters.to_vec();
    query.push(("limit", STEP.to_string()));
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    let page: List<Matching> = read(&client.get(&["incidents"], &query)?)?;
    let mut revisions = BTreeMap::new();
    for Matching { id, revision, error } in page.data {
        match error {
            None => drop(revisions.insert(id, revision)),
            Some(error) => {
                let message = format!("the incident cannot be read: {error}");
                let error = Some(ErrorDetail { code: "conflict".into(), message });
                sum.failed.push(IncidentChangeResult { incident: id, revision: None, error });
            }
        }
    }
    if revisions.is_empty() {
        return Ok(page.next_cursor);
    }
    let ids = revisions.keys().cloned().collect();
    let body = json!(IncidentsChange { ids, numbers: Vec::new(), change: change.clone() });
    let results: List<IncidentChangeResult> = read(&client.patch_json(&["incidents"], &body)?)?;
    for result in results.data {
        if result.error.is_some() {
            sum.failed.push(result);
        } else if revisions.get(&result.incident) == Some(&result.revision) {
            sum.unchanged += 1;
        } else {
            sum.changed += 1;
        }
    }
    Ok(page.next_cursor)
}
