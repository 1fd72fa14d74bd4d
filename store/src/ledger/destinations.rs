//! Destinations: their health, and whether they are disabled.

use super::{DestinationHealth, Ledger, ROWS_PER_WRITE, Tx};
use crate::rows::{CountKind, DeliveryStatus, DestinationRow, DestinationState, Health, Outbound};
use anyhow::Result;
use hookmill_notify::{Rule, Trigger};
use serde_json::{Value, json};
use std::sync::Arc;

impl<T: Tx + ?Sized> Ledger<'_, T> {
    /// Replaces the destinations and notifications.
    pub fn set_outbound(&mut self, destinations: &[DestinationRow], rules: &[Rule], public_url: &str) -> Result<()> {
        let mut states = Vec::with_capacity(destinations.len());
        for DestinationRow { name, fingerprint, gets_all_changes, is_ordered, longest_wait_ms } in destinations {
            let health = self.rows.find_destination(name, fingerprint)?.unwrap_or_default();
            self.rows.put_destination(name, fingerprint, &health)?;
            self.rows.order_pending(name, *is_ordered)?;
            let DestinationHealth { failing_since, disabled } = health;
            states.push(DestinationState {
                name: name.as_str().into(),
                gets_all_changes: *gets_all_changes,
                is_ordered: *is_ordered,
                longest_wait_ms: *longest_wait_ms,
                fingerprint: fingerprint.clone(),
                failing_since,
                disabled,
                disabled_at: 0,
            });
        }
        self.outbound = Arc::new(Outbound::new(states, rules.to_vec(), public_url.to_owned()));
        Ok(())
    }

    /// Reads the health of all destinations again, which another host may have changed.
    pub fn read_health(&mut self) -> Result<()> {
        let mut outbound = Outbound::clone(&self.outbound);
        for state in outbound.destinations.values_mut() {
            let health = self.rows.find_destination(&state.name, &state.fingerprint)?.unwrap_or_default();
            (state.failing_since, state.disabled) = (health.failing_since, health.disabled);
        }
        if outbound.destinations != self.outbound.destinations {
            self.outbound = Arc::new(outbound);
        }
        Ok(())
    }

    /// Changes the state of a destination, in the database and for the later writes of this transaction.
    fn change_destination(&mut self, name: &str, change: impl FnOnce(&mut DestinationState)) -> Result<()> {
        let outbound = Arc::make_mut(&mut self.outbound);
        let Some(state) = outbound.destinations.get_mut(name) else { return Ok(()) };
        change(state);
        self.changed.settings = true;
        self.rows.update_destination(name, state.failing_since, state.disabled.as_deref())
    }

    /// Records the health of a destination according to an attempt that began at a time. An attempt that began before
    /// the destination was disabled does not enable it.
    pub(super) fn record_health(&mut self, name: &str, health: Health, at: i64) -> Result<()> {
        let Some(state) = self.outbound.destination(name) else { return Ok(()) };
        let is_well = state.failing_since.is_none() && state.disabled.is_none();
        match health {
            Health::Well if !is_well && at > state.disabled_at => {
                self.change_destination(name, |state| (state.failing_since, state.disabled) = (None, None))
            }
            Health::Failing if state.failing_since.is_none() => {
                self.change_destination(name, |state| state.failing_since = Some(at))
            }
            _ => Ok(()),
        }
    }

    /// Moves pending deliveries of a destination that is disabled or not configured to the dead letters. Returns their
    /// number.
    pub fn give_up(&mut self, name: &str) -> Result<usize> {
        let reason = match self.outbound.destination(name).map(|state| &state.disabled) {
            None => "the destination is no longer configured",
            Some(Some(reason)) => reason,
            Some(None) => return Ok(0),
        };
        let killed = self.rows.kill_pending(name, reason, ROWS_PER_WRITE)?;
        self.counts.add(self.clock, CountKind::Deliveries, name, DeliveryStatus::Dead.as_str(), killed as u64);
        Ok(killed)
    }

    /// Makes deliveries due whose time was set by a clock that was ahead. Returns their number.
    pub fn pull_forward(&mut self, name: &str) -> Result<usize> {
        let Some(state) = self.outbound.destination(name) else { return Ok(0) };
        let (now, longest_wait_ms) = (self.clock.now_ms(), state.longest_wait_ms);
        let pulled = self.rows.pull_forward(name, now, now.saturating_add(longest_wait_ms), ROWS_PER_WRITE)?;
        if pulled > 0 {
            self.changed.deliveries.insert(state.name.clone());
        }
        Ok(pulled)
    }

    /// Disables a destination and queues the notifications about that. Its pending deliveries are kept.
    pub fn disable_destination(&mut self, name: &str, reason: &str) -> Result<()> {
        let state = self.outbound.destination(name);
        if state.is_none_or(|state| state.disabled.is_some()) {
            return Ok(());
        }
        let now = self.clock.now_ms();
        self.change_destination(name, |state| (state.disabled, state.disabled_at) = (Some(reason.to_owned()), now))?;
        let message = json!({"object": {"name": name, "reason": reason}});
        self.enqueue_notice(Trigger::DestinationDisabled, &message)
    }

    /// Enables a destination. Returns whether it was disabled; `None` if it is not configured.
    pub fn enable_destination(&mut self, name: &str) -> Result<Option<bool>> {
        let Some(state) = self.outbound.destination(name) else { return Ok(None) };
        let was_disabled = state.disabled.is_some();
        self.changed.retries.insert(state.name.clone());
        self.change_destination(name, |state| (state.failing_since, state.disabled) = (None, None))?;
        Ok(Some(was_disabled))
    }

    /// Records that the disk becomes too small and queues the notifications about it, or, without a message, that it is
    /// large enough again.
    pub fn set_storage_low(&mut self, message: Option<&Value>) -> Result<()> {
        let trigger = Trigger::StorageLow;
        self.rows.set_raised(trigger, message.map(|_| self.clock.now_ms()))?;
        message.map_or(Ok(()), |message| self.enqueue_notice(trigger, message))
    }

    /// Records the start of a source's silence and queues the notifications about it, or records the end of the
    /// silence.
    pub fn set_silent(&mut self, source: &str, since: Option<i64>, message: &Value) -> Result<()> {
        self.rows.set_silent(source, since)?;
        self.changed.settings = true;
        match since {
            Some(_) => self.enqueue_notice(Trigger::SourceSilent, message),
            None => Ok(()),
        }
    }
}
