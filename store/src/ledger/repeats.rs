//! Recognition of repeated events.

use super::{Ledger, RepeatKeyRow, Tx};
use crate::Dedup;
use anyhow::Result;
use hookmill_incident::id::{row_key, row_key_ms};
use hookmill_incident::{Event, RepeatKey};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The number of repeat keys that one write removes.
const KEYS_PER_WRITE: usize = 1000;

/// Returns whether an event would be a repeat; `find` returns the event of a repeat key.
pub(crate) fn is_repeat(
    event: &Event,
    dedup: Dedup,
    mut find: impl FnMut(&RepeatKeyRow) -> Result<Option<i64>>,
) -> Result<bool> {
    let known = match Identity::of(event, dedup) {
        Identity::Signed(key) => find(&key)?,
        Identity::Arrived(windows) => windows.find(find)?.map(|(_, known)| known),
    };
    Ok(known.is_some())
}

/// The values by which an event is recognised.
enum Identity<'a> {
    /// One key, with the time that the sender signed.
    Signed(RepeatKeyRow<'a>),
    /// Keys with windows of the time of arrival.
    Arrived(Windows<'a>),
}

impl<'a> Identity<'a> {
    fn of(event: &'a Event, dedup: Dedup) -> Self {
        let (source, digest) = (&*event.source, event.digest);
        let arrived = |window: Duration, digest, is_renewed| {
            let (window_ms, received_at) = ((window.as_millis() as i64).max(1), event.received_at);
            Self::Arrived(Windows { source, digest, received_at, window_ms, is_renewed })
        };
        match &event.repeat_key {
            RepeatKey::SignedAt(at) => Self::Signed(RepeatKeyRow { at: *at, source, digest: &event.digest }),
            RepeatKey::DeliveryId(id) => {
                let digest = Sha256::new_with_prefix(digest).chain_update(id).finalize().into();
                // Renewed: an event that its sender repeats for ever is recognised for ever.
                arrived(dedup.retention, digest, true)
            }
            RepeatKey::Body => arrived(dedup.window, digest, false),
        }
    }
}

/// The window into which an event's time of arrival falls, and the windows beside it.
struct Windows<'a> {
    source: &'a str,
    digest: [u8; 32],
    received_at: i64,
    window_ms: i64,
    /// Whether a key is kept until no repeat arrives for a whole window.
    is_renewed: bool,
}

impl Windows<'_> {
    /// Returns the end of the event's window, so that its key is not removed before the last event of the window.
    fn end(&self) -> i64 {
        self.received_at - self.received_at.rem_euclid(self.window_ms) + self.window_ms
    }

    fn key(&self, at: i64) -> RepeatKeyRow<'_> {
        RepeatKeyRow { at, source: self.source, digest: &self.digest }
    }

    /// Returns the event that this one repeats, after the end of its window.
    fn find(&self, mut find: impl FnMut(&RepeatKeyRow) -> Result<Option<i64>>) -> Result<Option<(i64, i64)>> {
        let is_near = |known: &i64| (self.received_at - row_key_ms(*known)).abs() < self.window_ms;
        // Writes do not come in the order of arrival: the other event may lie in the next window.
        for at in [self.end() - self.window_ms, self.end(), self.end() + self.window_ms] {
            if let Some(known) = find(&self.key(at))?.filter(|known| self.is_renewed || is_near(known)) {
                return Ok(Some((at, known)));
            }
        }
        Ok(None)
    }
}

impl<T: Tx> Ledger<'_, T> {
    /// Remembers an event, so that its repeats are recognised. Returns the key of the event that it repeats, if any.
    pub(super) fn remember(&mut self, event: &Event) -> Result<Option<i64>> {
        let windows = match Identity::of(event, self.policy.dedup) {
            Identity::Signed(key) => return self.rows.add_repeat(&key, row_key(event.id)),
            Identity::Arrived(windows) => windows,
        };
        let Some((at, known)) = windows.find(|key| self.rows.find_repeat(key))? else {
            // An existing key is expired and is replaced.
            self.rows.put_repeat(&windows.key(windows.end()), row_key(event.id))?;
            return Ok(None);
        };
        if windows.is_renewed && at < windows.end() {
            self.rows.put_repeat(&windows.key(windows.end()), known)?;
        }
        Ok(Some(known))
    }

    /// Removes repeat keys that are too old to recognise anything. Returns whether there may be more.
    pub fn purge_repeats(&mut self) -> Result<bool> {
        let dedup = self.policy.dedup;
        let oldest = self.clock.now_ms() - dedup.retention.max(dedup.window).as_millis() as i64;
        Ok(self.rows.remove_repeats(oldest, KEYS_PER_WRITE)? == KEYS_PER_WRITE)
    }
}
