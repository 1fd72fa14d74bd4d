//! Records the results of attempts.

use super::attempt::AttemptResult;
use super::breaker::FAILURES_MAX;
use super::context::DeliveryContext;
use super::destination::Destination;
use hookmill_store::{Attempted, Grant, Health, Store, StoreError};
use std::time::Duration;
use tracing::{info, warn};

/// The wait after the store could not be read or written.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The result of an attempt that is not on disk yet.
#[derive(Debug)]
pub(super) struct Unrecorded {
    pub result: AttemptResult,
    /// Consecutive failures of the destination, including this attempt.
    pub failures: u32,
}

/// Records attempts, and disables their destination if its failures require that. Returns when the results are on disk, or
/// when another host delivers to this destination, which repeats these attempts.
pub(super) async fn record(
    destination: &Destination,
    results: &[Unrecorded],
    under: &Grant,
    context: &DeliveryContext,
) {
    let (name, store) = (&destination.name, &context.store);
    let attempts = || results.iter().map(|unrecorded| unrecorded.result.attempted.clone()).collect();
    // Retried until it succeeds: a full disk must not cause deliveries to be sent twice.
    while let Err(error) = store.record_attempts(under, name, attempts()).await {
        if matches!(error, StoreError::LeaseLost) {
            info!(destination = name, "the results of {} attempts are dropped: {error}", results.len());
            return;
        }
        pause(name, &error).await;
    }
    let Some(reason) = reason_to_disable(destination, results, store) else { return };
    warn!(destination = name, "destination disabled: {reason}; `hookmill destinations enable {name}` enables it again");
    while let Err(error) = store.disable_destination(under, name, reason.to_owned()).await {
        if matches!(error, StoreError::LeaseLost) {
            return;
        }
        pause(name, &error).await;
    }
    while let Err(error) = store.give_up(name).await {
        pause(name, &error).await;
    }
}

async fn pause(destination: &str, error: &StoreError) {
    warn!(destination, "the results of attempts are not recorded yet: {error:#}");
    tokio::time::sleep(STORE_PAUSE).await;
}

fn reason_to_disable(destination: &Destination, results: &[Unrecorded], store: &Store) -> Option<&'static str> {
    let outbound = store.outbound();
    let state = outbound.destination(&destination.name).filter(|state| state.disabled.is_none())?;
    let limit_ms = destination.disable_after.as_millis() as i64;
    // A few failures far apart are not enough: the destination may have worked between them.
    let is_lasting = |Unrecorded { result, failures }: &Unrecorded| {
        let Attempted { attempt, health, .. } = &result.attempted;
        let is_long = state.failing_since.is_some_and(|since| attempt.at - since >= limit_ms);
        *health == Health::Failing && *failures >= FAILURES_MAX && is_long
    };
    if results.iter().any(|unrecorded| unrecorded.result.is_gone) {
        return Some("the receiver answered 410 Gone: it accepts no more deliveries");
    }
    results.iter().any(is_lasting).then_some("every attempt failed during the time of `disable_after`")
}
