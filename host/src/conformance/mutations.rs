//! Payloads that are changed at one place: a mapper must not trap, and a wrong part must not cost more than that part. Every
//! incident of the unchanged payload is still there, unless the part says which kind of payload this is or identifies the
//! incident.

use super::calls::{ConformanceMapper, ConformancePayload, Mapped, ORDINARY};
use super::declarations::Declarations;
use super::mutant::{Mutant, mutants};
use super::report::{CheckKind, CheckReport};
use hookmill_incident::{FailureCode, Reading};
use std::collections::BTreeSet;

const TRAP: &str = "read the payload with the SDK, which accepts values of any type; the end of the plugin's log has the place in your code";
const ESSENTIAL: &str = "leave out the part and report it in `problems`; if the part identifies the incident or tells the kind of payload, name the \
                         member under `essential` in conformance.json";

pub(super) async fn check(
    mapper: &ConformanceMapper,
    payloads: &[ConformancePayload],
    declarations: &Declarations,
    count: usize,
) -> CheckReport {
    let mut report = CheckReport::new(CheckKind::Mutations);
    for payload in payloads {
        let body = &payload.file.body;
        let original = match payload.map(&mapper.fresh, body, ORDINARY).await {
            Ok(original) => original,
            Err(error) => {
                report.add(&payload.name, "unchanged", Some((error, TRAP)));
                continue;
            }
        };
        for (seed, mutant) in mutants(body, count) {
            let failure = match payload.map(&mapper.fresh, &mutant.body, ORDINARY).await {
                Ok(mapped) => lost(&original, &mutant, mapped, declarations).map(|lost| (lost, ESSENTIAL)),
                Err(error) => Some((error, TRAP)),
            };
            report.add(&payload.name, change(seed, &mutant), failure);
        }
    }
    report
}

fn change(seed: usize, mutant: &Mutant) -> String {
    match &mutant.path[..] {
        [] => format!("{} (mutant {seed})", mutant.change),
        path => format!("{} at `{}` (mutant {seed})", mutant.change, path.join("/")),
    }
}

/// Returns what a mutant costs beyond its changed part.
fn lost(original: &Mapped, mutant: &Mutant, mapped: Mapped, declarations: &Declarations) -> Option<String> {
    let is_envelope = mutant.path.last().is_none_or(|name| declarations.envelopes.contains(name));
    let is_essential = is_envelope || mutant.path.iter().any(|name| declarations.is_essential(name));
    let reading = match mapped {
        Ok(reading) => reading,
        Err((FailureCode::Malformed | FailureCode::Unsupported, _)) if is_essential || original.is_err() => {
            return None;
        }
        Err((code, message)) => return Some(format!("{code}: {message}")),
    };
    let Ok(original) = original else { return None };
    if is_essential {
        return None;
    }
    let (before, after) = (refs(original), refs(&reading));
    let lost: Vec<&str> = before.difference(&after).copied().collect();
    // A removed item of a list is one incident fewer.
    match lost.len() {
        0 => None,
        1 if mutant.is_item => None,
        _ => Some(format!(
            "lost the incidents {}; problems: {:?}, skipped: {:?}",
            lost.join(", "),
            reading.problems,
            reading.skipped
        )),
    }
}

fn refs(reading: &Reading) -> BTreeSet<&str> {
    reading.observations.iter().map(|observation| observation.source_ref.as_str()).collect()
}
