//! The results of the checks, for people and programs.

use hookmill_incident::words;
use serde::Serialize;

words!(
    /// A check of a mapper.
    CheckKind {
        /// A wrong part of a payload costs no more than that part.
        Mutations = "mutations",
        /// The same event gives the same result, in fresh and in reused instances.
        Determinism = "determinism",
        /// Payloads of one object have one source-ref, and their times do not go back.
        Identity = "identity",
        /// Huge, deep and long payloads stay within the limits of a call.
        Limits = "limits",
    }
);

/// The results of all checks.
#[derive(Clone, Debug, Serialize)]
pub struct ConformanceReport {
    /// The checks, in their order.
    pub checks: Vec<CheckReport>,
}

/// The result of one check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The check.
    pub check: CheckKind,
    /// The number of calls that were judged.
    pub calls: usize,
    /// What the mapper did wrong.
    pub failures: Vec<Failure>,
}

/// Something that a mapper did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The name of the payload, without `.json`.
    pub payload: String,
    /// The difference of the call from an ordinary one with this payload.
    pub change: String,
    /// What happened.
    pub problem: String,
    /// What the author can do.
    pub advice: &'static str,
}

impl CheckReport {
    pub(super) fn new(check: CheckKind) -> Self {
        Self { check, calls: 0, failures: Vec::new() }
    }

    /// Counts a call, and keeps its failure.
    pub(super) fn add(&mut self, payload: &str, change: impl Into<String>, failure: Option<(String, &'static str)>) {
        self.calls += 1;
        if let Some((problem, advice)) = failure {
            self.failures.push(Failure { payload: payload.to_owned(), change: change.into(), problem, advice });
        }
    }
}

impl ConformanceReport {
    /// Returns whether the mapper passed all checks.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.failures.is_empty())
    }
}
