//! Dry runs: the results that a payload would have, stage by stage. Nothing is recorded.

use super::{Pipeline, RemapError};
use crate::field_changes::field_changes;
use crate::verify::{Unverified, Verified, verify};
use hookmill_incident::{EventState, Mapped, Reading, Verdict};
use hookmill_sandbox::Plugin;
use hookmill_store::{EventRow, FieldChange, RecordDryRun, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Fields that every change of an incident changes.
const COUNTERS: [&str; 2] = ["/revision", "/updated_at"];

/// The result of a dry run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DryRun {
    /// Whether the payload would pass all stages.
    pub ok: bool,
    /// The stages that the payload passed, and the stage where it ended.
    pub stages: Vec<Stage>,
    /// The incidents as they would be.
    pub incidents: Vec<Value>,
    /// The destinations that would get a delivery.
    pub deliveries: Vec<String>,
}

/// One stage of the pipeline in a dry run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stage {
    /// The stage's name.
    pub stage: String,
    /// Whether the payload passed.
    pub ok: bool,
    /// The result as text.
    pub detail: String,
}

/// The changes that mapping a stored event again would make.
#[derive(Debug)]
pub struct RemapDryRun {
    /// The state that the event would have.
    pub state: EventState,
    /// The changes of each incident.
    pub incidents: Vec<IncidentChanges>,
}

/// The changes of one incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncidentChanges {
    /// The vendor's id.
    pub source_ref: String,
    /// The number; `None` for an incident that would be new.
    pub number: Option<String>,
    /// The fields that would change.
    pub changes: Vec<FieldChange>,
}

impl DryRun {
    /// Adds a stage that was passed.
    pub fn passed(&mut self, stage: &str, detail: impl Into<String>) {
        self.ok = true;
        self.stage(stage, detail);
    }

    /// Adds the stage where the payload ends.
    pub fn failed(&mut self, stage: &str, detail: impl Into<String>) {
        self.ok = false;
        self.stage(stage, detail);
    }

    /// Adds a stage that does not change the result.
    pub fn stage(&mut self, stage: &str, detail: impl Into<String>) {
        self.stages.push(Stage { stage: stage.to_owned(), ok: self.ok, detail: detail.into() });
    }

    /// Adds the result of another payload.
    pub fn add(&mut self, other: Self) {
        self.ok &= other.ok;
        self.stages.extend(other.stages);
        self.incidents.extend(other.incidents);
        let known = std::mem::take(&mut self.deliveries);
        self.deliveries = BTreeSet::from_iter(known.into_iter().chain(other.deliveries)).into_iter().collect();
    }

    /// Continues with the stages of another dry run.
    pub fn continue_with(&mut self, then: Self) {
        let mut stages = std::mem::take(&mut self.stages);
        stages.extend(then.stages);
        *self = Self { stages, ..then };
    }
}

impl Pipeline {
    /// Takes a payload through all stages without their effects.
    ///
    /// # Errors
    /// Returns an error if the store fails.
    pub async fn dry_run(&self, unverified: Unverified) -> Result<DryRun, StoreError> {
        let mut dry_run = DryRun::default();
        let source = unverified.source.clone();
        dry_run.passed("receive", format!("{} bytes for source {}", unverified.body.len(), source.name));
        match verify(unverified, &self.aws, &self.issuers).await {
            Ok(verified) => {
                dry_run.passed("verify", format!("scheme {}", source.settings.scheme.name()));
                self.dry_run_verified(verified, dry_run).await
            }
            Err(error) => {
                dry_run.failed("verify", error.to_string());
                Ok(dry_run)
            }
        }
    }

    /// Takes a verified payload through the stages that follow.
    ///
    /// # Errors
    /// Returns an error if the store fails.
    pub async fn dry_run_verified(&self, verified: Verified, mut dry_run: DryRun) -> Result<DryRun, StoreError> {
        let mapped = self.mappers.map(verified, 1).await;
        let tried: Vec<&str> = mapped.tried.iter().filter_map(|version| version.split('@').next()).collect();
        match &mapped.verdict {
            Verdict::Read { reading: Reading { observations, skipped, problems }, .. } if problems.is_empty() => {
                let skipped = if skipped.is_empty() { String::new() } else { format!("; {}", skipped.join("; ")) };
                dry_run.passed("map", format!("{}: {} incidents{skipped}", tried.join(", "), observations.len()));
            }
            Verdict::Read { reading, .. } => dry_run.failed("map", reading.problems.join("; ")),
            Verdict::NotMapped(_) => dry_run.passed("map", mapped.verdict.reason()),
            verdict => dry_run.failed("map", verdict.reason()),
        }
        if dry_run.ok {
            self.dry_run_recording(mapped, &mut dry_run).await?;
        }
        Ok(dry_run)
    }

    async fn dry_run_recording(&self, mapped: Mapped, dry_run: &mut DryRun) -> Result<(), StoreError> {
        let recorded = self.store.dry_run(mapped).await?;
        let words = |incident: &Value| {
            let text = |key: &str| incident[key].as_str().unwrap_or_default().to_owned();
            format!("{} ({}, {})", text("title"), text("severity"), text("source_ref"))
        };
        dry_run.passed(
            "store",
            match recorded.incidents.len() {
                0 => "no incident".to_owned(),
                _ => recorded.incidents.iter().map(words).collect::<Vec<_>>().join("; "),
            },
        );
        dry_run.passed(
            "deliver",
            match recorded.deliveries.len() {
                0 => "to nobody".to_owned(),
                _ => format!("to {}", recorded.deliveries.join(", ")),
            },
        );
        (dry_run.incidents, dry_run.deliveries) = (recorded.incidents, recorded.deliveries);
        Ok(())
    }

    /// Returns what mapping a stored event again would change, with this mapper or those of its source.
    ///
    /// # Errors
    /// Returns an error if the event would stay as it is.
    pub async fn dry_run_remap(&self, row: EventRow, mapper: Option<Arc<Plugin>>) -> Result<RemapDryRun, RemapError> {
        let mapped = self.map_stored(row, mapper).await?;
        let RecordDryRun { state, incidents, present, .. } = self.store.dry_run(mapped).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let counts = |change: &FieldChange| !COUNTERS.contains(&change.path.as_str());
        let incidents = present.iter().zip(&incidents).map(|(present, then)| IncidentChanges {
            source_ref: text(&then["source_ref"]).unwrap_or_default(),
            number: text(&present["number"]),
            changes: field_changes(present, then).into_iter().filter(counts).collect(),
        });
        Ok(RemapDryRun { state, incidents: incidents.collect() })
    }
}
