//! The pace of long work on a disk that a running host uses too.

use anyhow::{Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The rate of backups beside a running host by default: a third of what a slow disk of a server does.
pub const BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;

/// The progress of one stage.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The work, such as `copying the database`.
    pub stage: &'static str,
    /// The bytes that are done.
    pub done_bytes: u64,
    /// The bytes of the stage together.
    pub total_bytes: u64,
}

/// Slows work down to a rate, reports its progress, and ends it on request.
pub struct Pace<'a> {
    bytes_per_second: Option<u64>,
    stop: Arc<AtomicBool>,
    report: Box<dyn FnMut(Progress) + Send + 'a>,
    progress: Progress,
    started: Instant,
}

impl<'a> Pace<'a> {
    /// Returns a pace with this rate, or without a bound. The work ends with an error when `stop` is set.
    pub fn new(bytes_per_second: Option<u64>, stop: Arc<AtomicBool>, report: impl FnMut(Progress) + Send + 'a) -> Self {
        let progress = Progress { stage: "", done_bytes: 0, total_bytes: 0 };
        Self { bytes_per_second, stop, report: Box::new(report), progress, started: Instant::now() }
    }

    /// Begins a stage of this many bytes.
    pub(super) fn begin(&mut self, stage: &'static str, total_bytes: u64) {
        self.progress = Progress { stage, done_bytes: 0, total_bytes };
        self.started = Instant::now();
        (self.report)(self.progress);
    }

    /// Records that this many bytes more are done, and waits as long as the rate demands.
    ///
    /// # Errors
    /// Returns an error if the work is to end.
    pub(super) fn advance(&mut self, bytes: u64) -> Result<()> {
        self.reach(self.progress.done_bytes + bytes, self.progress.total_bytes, false)
    }

    /// Records how much of the stage is done, and waits as long as the rate demands unless `hurries`.
    ///
    /// # Errors
    /// Returns an error if the work is to end.
    pub(super) fn reach(&mut self, done_bytes: u64, total_bytes: u64, hurries: bool) -> Result<()> {
        ensure!(!self.stop.load(Ordering::Relaxed), "the host is stopping");
        (self.progress.done_bytes, self.progress.total_bytes) = (done_bytes, total_bytes);
        (self.report)(self.progress);
        if let Some(rate) = self.bytes_per_second.filter(|_| !hurries) {
            let due = Duration::from_secs_f64(done_bytes as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        }
        Ok(())
    }
}
