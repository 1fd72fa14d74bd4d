//! Recognition of repeated events.

use super::{Ledger, RepeatKeyRow, Tx};
use anyhow::Result;
use hookmill_incident::id::{row_key, row_key_ms};
use hookmill_incident::{Event, RepeatKey};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The number of repeat keys that one write removes.
const KEYS_PER_WRITE: usize = 1000;

impl<T: Tx> Ledger<'_, T> {
    /// Returns whether an event would be a repeat.
    pub fn is_repeat(&mut self, event: &Event) -> Result<bool> {
        self.rows.begin_dry_run()?;
        let known = self.remember(event)?;
        self.rows.undo_dry_run()?;
        Ok(known.is_some())
    }

    /// Remembers an event, so that its repeats are recognised. Returns the key of the event that it repeats, if any.
    pub(super) fn remember(&mut self, event: &Event) -> Result<Option<i64>> {
        let dedup = self.policy.dedup;
        match &event.repeat_key {
            RepeatKey::SignedAt(at) => {
                let repeat = RepeatKeyRow { at: *at, source: &event.source, digest: &event.digest };
                self.rows.add_repeat(&repeat, row_key(event.id))
            }
            RepeatKey::DeliveryId(id) => {
                let digest: [u8; 32] = Sha256::new_with_prefix(event.digest).chain_update(id).finalize().into();
                // Renewed: an event that its sender repeats for ever is recognised for ever.
                self.remember_for(event, dedup.retention, &digest, true)
            }
            RepeatKey::Body => self.remember_for(event, dedup.window, &event.digest, false),
        }
    }

    /// Remembers an event by the window into which its time of arrival falls. A renewed key is kept until no repeat
    /// arrives for a whole window.
    fn remember_for(
        &mut self,
        event: &Event,
        window: Duration,
        digest: &[u8; 32],
        is_renewed: bool,
    ) -> Result<Option<i64>> {
        let window_ms = (window.as_millis() as i64).max(1);
        // The end of the window, so that the key is not removed before the last event of the window.
        let at = event.received_at - event.received_at.rem_euclid(window_ms) + window_ms;
        let is_near = |known: &i64| (event.received_at - row_key_ms(*known)).abs() < window_ms;
        let repeat = |at| RepeatKeyRow { at, source: &event.source, digest };
        // Writes do not come in the order of arrival: the other event may lie in the next window.
        for known_at in [at - window_ms, at, at + window_ms] {
            let known = self.rows.find_repeat(&repeat(known_at))?.filter(|known| is_renewed || is_near(known));
            if let Some(known) = known {
                if is_renewed && known_at < at {
                    self.rows.put_repeat(&repeat(at), known)?;
                }
                return Ok(Some(known));
            }
        }
        // An existing key is expired and is replaced.
        self.rows.put_repeat(&repeat(at), row_key(event.id))?;
        Ok(None)
    }

    /// Removes repeat keys that are too old to recognise anything. Returns whether there may be more.
    pub fn purge_repeats(&mut self) -> Result<bool> {
        let dedup = self.policy.dedup;
        let oldest = self.clock.now_ms() - dedup.retention.max(dedup.window).as_millis() as i64;
        Ok(self.rows.remove_repeats(oldest, KEYS_PER_WRITE)? == KEYS_PER_WRITE)
    }
}
