//! The conformance of a mapper: what every mapper must do, whatever its payloads mean, checked on the payloads of its
//! project.
//!
//! Each check calls the mapper with payloads of its own making: mutants, the same payload again, extreme ones, later states
//! of one object. A check never knows what a payload means; [`Declarations`] of the author say which members identify an
//! incident.

mod calls;
mod declarations;
mod determinism;
mod extremes;
mod identity;
mod mutant;
mod mutations;
mod report;

pub use calls::{ConformanceMapper, ConformancePayload};
pub use declarations::Declarations;
pub use report::{CheckKind, CheckReport, ConformanceReport, Failure};

/// Runs all checks. `mutants` is the number of mutants of each payload; `progress` gets the name of each check before it
/// begins.
pub async fn check_conformance(
    mapper: &ConformanceMapper,
    payloads: &[ConformancePayload],
    declarations: &Declarations,
    mutants: usize,
    progress: impl Fn(CheckKind),
) -> ConformanceReport {
    let mut checks = Vec::new();
    for kind in CheckKind::ALL {
        progress(*kind);
        checks.push(match kind {
            CheckKind::Mutations => mutations::check(mapper, payloads, declarations, mutants).await,
            CheckKind::Determinism => determinism::check(mapper, payloads).await,
            CheckKind::Identity => identity::check(mapper, payloads, declarations).await,
            CheckKind::Limits => extremes::check(mapper, payloads).await,
        });
    }
    ConformanceReport { checks }
}
