//! Regular work of a running host: removing old rows from the store, and saving the counts of sources.

use crate::host::Host;
use hookmill_incident::id;
use hookmill_incident::timestamp::unix_ms;
use hookmill_store::{LeaseName, Leases};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::warn;

const PURGE_REPEATS_EVERY: Duration = Duration::from_secs(60);
const PURGE_DELIVERED_EVERY: Duration = Duration::from_secs(60 * 60);
const SAVE_TALLIES_EVERY: Duration = Duration::from_secs(5);

/// Forgets the signatures and digests that are too old to recognise repeats, until the host stops.
pub async fn purge_repeats(host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    while pause(PURGE_REPEATS_EVERY, &mut stopped).await {
        let _lease = host.pipeline.store.acquire(LeaseName::Purge).await;
        while let Ok(true) = host.pipeline.store.purge_repeats().await {}
    }
}

/// Removes deliveries that finished longer ago than `retention`, until the host stops.
pub async fn purge_delivered(host: Arc<Host>, retention: Duration, mut stopped: watch::Receiver<bool>) {
    loop {
        let lease = host.pipeline.store.acquire(LeaseName::Purge).await;
        let mut after = 0;
        let before = id::row_key_at(unix_ms() - retention.as_millis() as i64);
        while !*stopped.borrow() && lease.is_held() {
            match host.pipeline.store.purge_delivered(after, before).await {
                Ok(Some(last)) => after = last,
                Ok(None) => break,
                Err(error) => {
                    warn!("old deliveries cannot be removed, will try again: {error:#}");
                    break;
                }
            }
        }
        drop(lease);
        if !pause(PURGE_DELIVERED_EVERY, &mut stopped).await {
            return;
        }
    }
}

/// Saves the counts of sources, until the host stops.
pub async fn save_tallies(host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    while pause(SAVE_TALLIES_EVERY, &mut stopped).await {
        host.registry.save_tallies().await;
    }
}

/// Waits, and returns whether the host still runs.
async fn pause(duration: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::time::timeout(duration, stopped.wait_for(|stopped| *stopped)).await.is_err()
}
