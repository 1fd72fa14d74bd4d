//! Checks of the incidents, deliveries and refused events that the API reports.

use super::host::{DemoHost, wait_for};
use super::receiver::Seen;
use super::report::DemoReport;
use super::samples::{HOSTILE, SAMPLES};
use crate::text::{clean, table};
use anyhow::Result;
use hookmill_host::api::shapes::{ShownDelivery, ShownEvent, ShownIncident};
use hookmill_incident::FailureCode;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;

/// Checks and shows the incidents.
///
/// # Errors
/// Returns an error if the host does not answer.
pub(super) fn show_incidents(host: &DemoHost, report: &mut DemoReport) -> Result<()> {
    report.heading("The incidents");
    let incidents: Vec<ShownIncident> = host.api.all("incidents", &[])?;
    let created: usize = SAMPLES.iter().map(|sample| sample.expect.answer().1).sum();
    // All requests of the load are about one more incident.
    let expected = created + 1;
    report
        .check(incidents.len() == expected, &format!("{} incidents are stored; expected {expected}", incidents.len()));
    let rows = incidents.iter().rev().map(|shown| {
        let incident = &shown.incident;
        [
            clean(&shown.number),
            incident.severity.to_string(),
            incident.status.to_string(),
            clean(&incident.source),
            shown.occurrences.to_string(),
            incident.observables.len().to_string(),
            clean(&incident.title),
        ]
    });
    report.show(&table(["NUMBER", "SEVERITY", "STATUS", "SOURCE", "SEEN", "OBSERVABLES", "TITLE"], rows.collect()));
    Ok(())
}

/// Checks the deliveries against the requests that the receiver got.
///
/// # Errors
/// Returns an error if the host does not answer.
pub(super) fn show_deliveries(host: &DemoHost, report: &mut DemoReport) -> Result<()> {
    report.heading("The audit webhooks that the receiver got");
    let done = wait_for(|| {
        let query = [("status", "pending".to_owned()), ("limit", "1".to_owned())];
        let pending: Vec<ShownDelivery> = host.page(&["deliveries"], &query)?;
        Ok(pending.is_empty().then_some(()))
    })?;
    let mut entries = 0;
    for incident in host.api.all::<ShownIncident>("incidents", &[])? {
        entries +=
            host.page::<IgnoredAny>(&["incidents", &incident.number, "audit"], &[("limit", "1000".to_owned())])?.len();
    }
    let delivered: Vec<ShownDelivery> = host.api.all("deliveries", &[("status", "delivered")])?;
    let seen = host.receiver.seen();
    let ids: BTreeSet<&str> = seen.iter().map(Seen::id).collect();
    let delivered_ids: BTreeSet<String> = delivered.iter().map(|delivery| delivery.id.to_string()).collect();
    let complete = done.is_some()
        && entries == delivered.len()
        && ids.len() == entries
        && ids.iter().all(|id| delivered_ids.contains(*id));
    report.check(
        complete,
        &format!("{entries} audit entries were made, {} webhooks arrived, {} of them different", seen.len(), ids.len()),
    );
    let verified = seen.iter().filter(|seen| seen.verified).count();
    report.check(
        verified == seen.len() && verified > 0,
        &format!("{verified} signatures are right, {} wrong", seen.len() - verified),
    );
    let shortest = seen.iter().min_by_key(|seen| seen.body.to_string().len());
    if let Some(one) = shortest {
        report.show("\nThe shortest of them:\n");
        let headers = one.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        report.show(&headers.collect::<String>());
        report.show(&format!("\n{:#}", one.body));
    }
    Ok(())
}

/// Checks and shows the events in quarantine.
///
/// # Errors
/// Returns an error if the host does not answer.
pub(super) fn show_refused(host: &DemoHost, report: &mut DemoReport) -> Result<()> {
    report.heading("Payloads that a mapper refused");
    let quarantined: Vec<ShownEvent> = host.api.all("events", &[("status", "quarantined")])?;
    let has =
        |code| quarantined.iter().any(|event| event.result.error.as_ref().is_some_and(|error| error.code == code));
    let expected = HOSTILE.iter().filter(|hostile| hostile.status == 422).count();
    let both = has(FailureCode::Malformed) && has(FailureCode::Unsupported);
    let text = format!("{} events are kept in quarantine; expected {expected}", quarantined.len());
    report.check(quarantined.len() == expected && both, &text);
    for event in quarantined.iter().rev() {
        let error = event.result.error.as_ref();
        let code = error.map(|error| error.code.as_str()).unwrap_or_default();
        report.show(&format!("\n{} {} {code}", event.result.id, clean(&event.source)));
        let message = error.and_then(|error| error.message.as_deref()).map(clean);
        report.show(&format!("  {}", message.unwrap_or_default()));
    }
    Ok(())
}
