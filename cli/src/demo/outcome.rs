//! What has come of it all, asked over the API.

use super::receiver::Seen;
use super::report::Report;
use super::samples::SAMPLES;
use super::stage::{Stage, wait_for};
use crate::text::{list, plain, table};
use anyhow::Result;
use std::collections::BTreeSet;

pub(super) fn show_incidents(stage: &Stage, report: &mut Report) -> Result<()> {
    report.heading("The incidents");
    let incidents = stage.api.all("incidents", &[])?;
    let created: usize = SAMPLES.iter().map(|sample| sample.expect.answer().1).sum();
    // One more is what all requests of the load speak of.
    let expected = created + 1;
    report
        .check(incidents.len() == expected, &format!("{} incidents are stored; expected {expected}", incidents.len()));
    let rows = incidents.iter().rev().map(|incident| {
        [
            plain(&incident["number"]),
            plain(&incident["severity"]),
            plain(&incident["status"]),
            plain(&incident["source"]),
            plain(&incident["occurrences"]),
            list(&incident["observables"]).len().to_string(),
            plain(&incident["title"]),
        ]
    });
    report.show(&table(["NUMBER", "SEVERITY", "STATUS", "SOURCE", "SEEN", "OBSERVABLES", "TITLE"], rows.collect()));
    Ok(())
}

pub(super) fn show_deliveries(stage: &Stage, report: &mut Report) -> Result<()> {
    report.heading("The audit webhook, as its receiver saw it");
    let done = wait_for(|| {
        let pending = stage.api.get(&["deliveries"], &[("status", "pending".to_owned()), ("limit", "1".to_owned())])?;
        Ok(list(&pending["data"]).is_empty().then_some(()))
    })?;
    let mut entries = 0;
    for incident in stage.api.all("incidents", &[])? {
        entries += list(&stage.api.get(&["incidents", &plain(&incident["number"]), "audit"], &[])?["data"]).len();
    }
    let delivered = stage.api.all("deliveries", &[("status", "delivered")])?;
    let seen = stage.receiver.seen();
    let ids: BTreeSet<&str> = seen.iter().map(Seen::id).collect();
    let delivered_ids: BTreeSet<String> = delivered.iter().map(|delivery| plain(&delivery["id"])).collect();
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

pub(super) fn show_refused(stage: &Stage, report: &mut Report) -> Result<()> {
    report.heading("What was refused by a mapper, and why");
    let quarantined = stage.api.all("events", &[("status", "quarantined")])?;
    let codes: BTreeSet<String> = quarantined.iter().map(|event| plain(&event["error"]["code"])).collect();
    let expected = super::samples::HOSTILE.iter().filter(|hostile| hostile.status == 422).count();
    let both = ["malformed", "unsupported"].iter().all(|code| codes.contains(*code));
    let text = format!("{} events are kept in quarantine; expected {expected}", quarantined.len());
    report.check(quarantined.len() == expected && both, &text);
    for event in quarantined.iter().rev() {
        let error = &event["error"];
        report.show(&format!("\n{} {} {}", plain(&event["id"]), plain(&event["source"]), plain(&error["code"])));
        report.show(&format!("  {}", plain(&error["message"])));
    }
    Ok(())
}
