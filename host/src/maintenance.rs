//! Regular work of a running host: removing old rows from the store, and saving the counts of sources.

use crate::host::Host;
use crate::loaded::Loaded;
use crate::service_manager;
use crate::tasks::{lease, paced, pause};
use anyhow::Result;
use hookmill_incident::STEADY_FOR;
use hookmill_store::{LeaseName, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

const PURGE_REPEATS_EVERY: Duration = Duration::from_secs(60);
const PURGE_DELIVERED_EVERY: Duration = Duration::from_secs(10 * 60);
const SAVE_TALLIES_EVERY: Duration = Duration::from_secs(5);
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
const PUT_MARK_EVERY: Duration = Duration::from_secs(10);
/// Without anything new, the mark is written after so many intervals, for the pace of the clock.
const QUIET_MARKS_MAX: u32 = 6;
const REST_PLUGINS_EVERY: Duration = Duration::from_secs(60 * 60);
const WATCH_STORE_EVERY: Duration = Duration::from_secs(1);
const WATCH_STORAGE_EVERY: Duration = Duration::from_secs(1);
/// By the clock of the host.
const STORAGE_EVERY_MS: i64 = 60 * 1000;
const WATCH_CLOCK_EVERY: Duration = Duration::from_secs(1);
/// A smaller step back is the ordinary work of a time service.
const CLOCK_STEP_MS: i64 = 1000;

/// Forgets the signatures and digests that are too old to recognise repeats, until the host stops.
pub async fn purge_repeats(store: Arc<Store>, mut stopped: watch::Receiver<bool>) {
    while pause(PURGE_REPEATS_EVERY, &mut stopped).await {
        let Some(lease) = lease(&store, LeaseName::Purge, &mut stopped).await else { return };
        while !*stopped.borrow()
            && lease.goes_on()
            && matches!(paced(store.purge_repeats(lease.grant())).await, Ok(true))
        {}
    }
}

/// Removes deliveries that finished longer ago than `retention`, until the host stops.
pub async fn purge_delivered(store: Arc<Store>, retention: Duration, mut stopped: watch::Receiver<bool>) {
    while pause(PURGE_DELIVERED_EVERY, &mut stopped).await {
        let Some(lease) = lease(&store, LeaseName::Purge, &mut stopped).await else { return };
        let Some(before) = store.aged_key(retention) else { continue };
        let mut after = 0;
        while !*stopped.borrow() && lease.goes_on() {
            match store.purge_delivered(lease.grant(), after, before).await {
                Ok(Some(last)) => after = last,
                Ok(None) => break,
                Err(error) => {
                    warn!("old deliveries cannot be removed, will try again: {error:#}");
                    break;
                }
            }
        }
    }
}

/// Reads again what other hosts changed, until the host stops.
pub async fn follow_settings(host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    let mut settings = host.store.watch_settings();
    loop {
        tokio::select! {
            _ = settings.changed() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        let refreshed = async {
            host.store.refresh_silent().await?;
            host.registry.refresh().await
        };
        if let Err(error) = refreshed.await {
            warn!("what other hosts changed cannot be read yet: {error:#}");
            settings.mark_changed();
            if !pause(READ_AGAIN_AFTER, &mut stopped).await {
                return;
            }
        }
    }
}

/// Saves the counts of sources, until the host stops.
pub async fn save_tallies(host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    while pause(SAVE_TALLIES_EVERY, &mut stopped).await {
        host.registry.save_tallies().await;
    }
}

/// Looks for steps of the clock and logs them. Makes deliveries due that were queued while the clock was ahead, until the
/// host stops; at the start it looks for such deliveries too.
pub async fn watch_clock(store: Arc<Store>, mut stopped: watch::Receiver<bool>) {
    let mut is_behind = true;
    loop {
        let step_ms = store.clock().take_step_ahead_ms();
        if step_ms > 0 {
            warn!(
                "the clock went ahead by {} s; nothing is removed because of its age until the clock has kept pace for {} \
                 minutes",
                step_ms / 1000,
                STEADY_FOR.as_secs() / 60
            );
        }
        let step_ms = store.clock().take_step_back_ms();
        if step_ms >= CLOCK_STEP_MS {
            warn!("the clock went back by {} s; times in the store may be ahead of it", step_ms / 1000);
            is_behind = true;
        }
        if is_behind {
            is_behind = !pull_forward(&store).await;
        }
        if !pause(WATCH_CLOCK_EVERY, &mut stopped).await {
            return;
        }
    }
}

/// Returns whether all queues were looked through.
async fn pull_forward(store: &Store) -> bool {
    for name in store.outbound().destinations.keys() {
        match store.pull_forward(name).await {
            Ok(0) => {}
            Ok(count) => {
                info!(destination = &**name, "{count} deliveries that a clock ahead had put off are due now")
            }
            Err(error) => {
                warn!(destination = &**name, "deliveries may be put off by a clock that was ahead: {error:#}");
                return false;
            }
        }
    }
    true
}

/// Writes down from time to time how far the database goes, so that a start with an older one is refused, and the pace of
/// the clock, which the next host continues, until the host stops.
pub async fn put_marks(store: Arc<Store>, mut stopped: watch::Receiver<bool>) {
    let mut audit = store.watch_audit();
    let mut quiet = 0;
    while pause(PUT_MARK_EVERY, &mut stopped).await {
        quiet += 1;
        if audit.has_changed().unwrap_or(true) || quiet >= QUIET_MARKS_MAX {
            quiet = 0;
            audit.mark_unchanged();
            if let Err(error) = store.put_mark().await {
                warn!("cannot write the mark of the database: {error:#}");
            }
        }
    }
}

/// Looks every second whether the store takes writes again after a failure, and whether the disk runs out of space, until
/// the host stops. Without this a host that gets no more payloads, because it is not ready, would not become ready again.
pub async fn watch_store(host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    let mut was_short = false;
    while pause(WATCH_STORE_EVERY, &mut stopped).await {
        if host.store.trouble().is_some() {
            // The store logs the result.
            let _ = host.store.probe().await;
        }
        let shortage = host.edge.disk.shortage();
        match &shortage {
            Some(shortage) if !was_short => warn!("{shortage}; make room before payloads cannot be stored"),
            None if was_short => info!("the disk of the data folder has enough free space again"),
            _ => {}
        }
        was_short = shortage.is_some();
    }
}

/// Samples the used space, and queues notifications when the disk becomes too small, until the host stops.
pub async fn watch_storage(host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    let mut looked_at = i64::MIN;
    loop {
        let minute = host.store.clock().now_ms() / STORAGE_EVERY_MS;
        if minute != looked_at {
            looked_at = minute;
            if let Err(error) = look_at_storage(&host).await {
                warn!("cannot record the used space: {error:#}");
            }
        }
        if !pause(WATCH_STORAGE_EVERY, &mut stopped).await {
            return;
        }
    }
}

async fn look_at_storage(host: &Host) -> Result<()> {
    let store = &host.store;
    let (storage, was_low) = (host.storage().await?, store.is_storage_low().await?);
    let reason = storage.shortage(host.edge.disk.forecast, was_low);
    match &reason {
        Some(reason) if !was_low => {
            warn!("the disk of the data folder becomes too small: {reason}");
            store.set_storage_low(Some(storage.notice(reason))).await?;
        }
        None if was_low => {
            store.set_storage_low(None).await?;
            info!("the disk of the data folder is large enough again");
        }
        _ => {}
    }
    store.sample_storage().await?;
    Ok(())
}

/// Reports to the service manager every `interval` that the host is alive, if the store answers, until the host stops. A
/// store that answers that it takes no writes is alive: a restart would not help.
pub async fn report_alive(store: Arc<Store>, interval: Duration, mut stopped: watch::Receiver<bool>) {
    while pause(interval, &mut stopped).await {
        store.wait_for_writer().await;
        if store.is_open() {
            service_manager::report_alive();
        }
    }
}

/// Lets plugins that were not called for an hour give memory back, until the host stops.
pub async fn rest_idle_plugins(loaded: Arc<Loaded>, mut stopped: watch::Receiver<bool>) {
    while pause(REST_PLUGINS_EVERY, &mut stopped).await {
        loaded.plugins().values().for_each(|plugin| plugin.rest_if_idle());
    }
}
