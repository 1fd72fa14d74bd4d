//! Reports to the service manager that started the process, such as systemd. Without one, nothing is sent.

use sd_notify::NotifyState::{MonotonicUsec, Ready, Reloading, Status, Stopping, Watchdog};
use sd_notify::{NotifyState, notify, watchdog_enabled};
use std::time::Duration;
use tracing::warn;

/// Reports what a starting host is doing.
pub fn report_starting(status: &str) {
    send(&[Status(status)]);
}

/// Reports that the host is ready, also after it applied its configuration again.
pub fn report_ready() {
    send(&[Ready, Status("Ready")]);
}

/// Reports that the host applies its configuration again; [`report_ready`] ends that.
pub fn report_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now @ MonotonicUsec(_)) => send(&[Reloading, now, Status("Applying the configuration")]),
        _ => warn!("the service manager gets no report of the reload, because there is no monotonic clock"),
    }
}

/// Reports that the host stops.
pub fn report_stopping() {
    send(&[Stopping, Status("Finishing requests and deliveries")]);
}

/// Reports that the host is alive.
pub fn report_alive() {
    send(&[Watchdog]);
}

/// Returns the time between two reports of life, if the service manager ends a process without them: half of the time
/// after which it does.
pub fn alive_interval() -> Option<Duration> {
    watchdog_enabled().map(|timeout| timeout / 2)
}

fn send(states: &[NotifyState]) {
    if let Err(error) = notify(states) {
        warn!("the service manager cannot be reached: {error}");
    }
}
