//! Shows what would come of a payload, stage by stage, and leaves nothing behind.

use crate::Host;
use hookmill_incident::{Mapped, Verdict};
use crate::api::http_error::HttpError;
use crate::receive::Unverified;
use crate::verify::{Verified, verify};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Marks a request that the host makes itself. It cannot come over the network.
#[derive(Clone, Copy, Debug)]
pub struct DryRun;

/// What would come of a payload.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Trial {
    /// Whether it would get through all stages.
    pub ok: bool,
    /// The stages that it came through, and the one where it ended.
    pub stages: Vec<Stage>,
    /// The incidents as they would be.
    pub incidents: Vec<Value>,
    /// The destinations that would be told.
    pub deliveries: Vec<String>,
}

/// One stage of the pipeline.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stage {
    stage: String,
    ok: bool,
    detail: String,
}

impl Trial {
    /// Adds a stage that was passed.
    pub fn passed(&mut self, stage: &str, detail: impl Into<String>) {
        self.ok = true;
        self.stage(stage, detail);
    }

    /// Adds the stage where it ends.
    pub fn failed(&mut self, stage: &str, detail: impl Into<String>) {
        self.ok = false;
        self.stage(stage, detail);
    }

    /// Adds a stage that changes nothing of how it ends.
    pub fn stage(&mut self, stage: &str, detail: impl Into<String>) {
        self.stages.push(Stage { stage: stage.to_owned(), ok: self.ok, detail: detail.into() });
    }

    /// Adds what would come of another payload.
    pub fn add(&mut self, other: Self) {
        self.ok &= other.ok;
        self.stages.extend(other.stages);
        self.incidents.extend(other.incidents);
        let known = std::mem::take(&mut self.deliveries);
        self.deliveries = BTreeSet::from_iter(known.into_iter().chain(other.deliveries)).into_iter().collect();
    }

    /// Goes on with the stages of another one.
    pub fn go_on(&mut self, then: Self) {
        let mut stages = std::mem::take(&mut self.stages);
        stages.extend(then.stages);
        *self = Self { stages, ..then };
    }
}

impl Host {
    /// The pipeline without its effects.
    pub async fn try_out(&self, unverified: Unverified) -> Result<Trial, HttpError> {
        let mut trial = Trial::default();
        let source = unverified.source.clone();
        trial.passed("receive", format!("{} bytes for source {}", unverified.body.len(), source.name));
        match verify(unverified, &self.aws).await {
            Ok(verified) => {
                trial.passed("verify", format!("scheme {}", source.settings.scheme.name()));
                self.try_mapping(verified, trial).await
            }
            Err(error) => {
                trial.failed("verify", error.to_string());
                Ok(trial)
            }
        }
    }

    /// What follows the verification.
    pub async fn try_mapping(&self, verified: Verified, mut trial: Trial) -> Result<Trial, HttpError> {
        let mapped = self.mappers.map(verified, 1).await;
        let tried: Vec<&str> = mapped.tried.iter().filter_map(|version| version.split('@').next()).collect();
        match &mapped.verdict {
            Verdict::Read { reading: Reading { observations, skipped, problems }, .. } if problems.is_empty() => {
                let skipped = if skipped.is_empty() { String::new() } else { format!("; {}", skipped.join("; ")) };
                trial.passed("map", format!("{}: {} incidents{skipped}", tried.join(", "), observations.len()));
            }
            Verdict::Read { reading, .. } => trial.failed("map", reading.problems.join("; ")),
            Verdict::NotMapped => trial.passed("map", mapped.verdict.reason()),
            verdict => trial.failed("map", verdict.reason()),
        }
        if trial.ok {
            self.preview(mapped, &mut trial).await?;
        }
        Ok(trial)
    }

    async fn preview(&self, mapped: Mapped, trial: &mut Trial) -> Result<(), HttpError> {
        let preview = self.store.preview(mapped).await?;
        let words = |incident: &Value| {
            let text = |key: &str| incident[key].as_str().unwrap_or_default().to_owned();
            format!("{} ({}, {})", text("title"), text("severity"), text("source_ref"))
        };
        trial.passed(
            "store",
            match preview.incidents.len() {
                0 => "no incident".to_owned(),
                _ => preview.incidents.iter().map(words).collect::<Vec<_>>().join("; "),
            },
        );
        trial.passed(
            "deliver",
            match preview.deliveries.len() {
                0 => "to nobody".to_owned(),
                _ => format!("to {}", preview.deliveries.join(", ")),
            },
        );
        (trial.incidents, trial.deliveries) = (preview.incidents, preview.deliveries);
        Ok(())
    }
}
