//! Deliveries: a queue for each destination, in which those of one incident follow each other.

use super::{Delivered, Ledger, NewDelivery, Subject, Tx};
use crate::rows::{Attempted, CountKind, DeliveryFilter, DeliveryStatus, DestinationState, Next};
use anyhow::Result;
use hookmill_incident::EventState;
use hookmill_incident::id::row_key;
use hookmill_notify::{Rule, Trigger};
use serde_json::Value;
use uuid::Uuid;

/// The number of deliveries that one write retries, gives up or removes, so that other writes are not delayed.
pub(crate) const ROWS_PER_WRITE: usize = 1000;

impl<T: Tx + ?Sized> Ledger<'_, T> {
    /// Adds a delivery to the queue of a destination, behind those of the same incident.
    pub(super) fn enqueue(
        &mut self,
        destination: &DestinationState,
        subject: Subject,
        step: Option<(&str, usize)>,
    ) -> Result<()> {
        let id = self.clock.new_id();
        let status = if destination.disabled.is_some() { DeliveryStatus::Dead } else { DeliveryStatus::Pending };
        let follows = matches!(subject, Subject::Change { is_first: false, .. })
            && destination.is_ordered
            && self.rows.has_pending(&destination.name, subject.key(row_key(id)), i64::MAX)?;
        self.rows.add_delivery(&NewDelivery {
            id,
            destination: &destination.name,
            status,
            next_at: (!follows).then(|| self.clock.now_ms()),
            error: destination.disabled.as_deref(),
            subject,
            step,
        })?;
        self.changed.deliveries.insert(destination.name.clone());
        Ok(())
    }

    /// Adds a delivery for each step of a notification.
    pub(super) fn enqueue_steps(&mut self, rule: &Rule, subject: Subject) -> Result<()> {
        let outbound = self.outbound.clone();
        for (step, to) in rule.to.iter().enumerate() {
            if let Some(destination) = outbound.destination(to) {
                self.enqueue(destination, subject, Some((&rule.name, step)))?;
            }
        }
        Ok(())
    }

    /// Adds the deliveries of every notification about something that happened to the host itself.
    pub fn enqueue_notice(&mut self, trigger: Trigger, message: &Value) -> Result<()> {
        let outbound = self.outbound.clone();
        for rule in outbound.rules.with(trigger).filter(|rule| rule.filter.matches(message)) {
            self.enqueue_steps(rule, Subject::Notice(&message.to_string()))?;
        }
        Ok(())
    }

    /// Records attempts at one destination, in the order in which they ended.
    pub fn record_attempts(&mut self, destination: &str, attempts: &[Attempted]) -> Result<()> {
        attempts.iter().try_for_each(|attempted| {
            self.record_health(destination, attempted.health, attempted.attempt.at)?;
            self.record_attempt(destination, attempted)
        })
    }

    fn record_attempt(&mut self, destination: &str, attempted: &Attempted) -> Result<()> {
        let Attempted { delivery, attempt, next, .. } = attempted;
        let delivery = row_key(*delivery);
        // A delivery that was under way while its destination was disabled is not retried either.
        let is_disabled = self.outbound.destination(destination).is_none_or(|state| state.disabled.is_some());
        let (status, next_at) = match *next {
            Next::Delivered => (DeliveryStatus::Delivered, attempt.at),
            Next::Retry(at) if !is_disabled => (DeliveryStatus::Pending, at),
            Next::Retry(_) | Next::Dead => (DeliveryStatus::Dead, attempt.at),
        };
        let is_known = self.rows.add_attempt(delivery, attempt, status, next_at)?;
        if is_known {
            self.count(CountKind::Deliveries, destination, counted(status));
        }
        if is_known && status != DeliveryStatus::Pending {
            self.rows.release_next(destination, delivery, attempt.at)?;
        }
        Ok(())
    }

    /// Makes a dead or pending delivery due now, even if an earlier delivery blocks it. Returns its destination, or the
    /// reason why nothing was changed; `None` if the delivery does not exist.
    pub fn retry_delivery(&mut self, id: Uuid) -> Result<Option<Result<String, String>>> {
        let Some((destination, status)) = self.rows.find_delivery(id)? else { return Ok(None) };
        if status == DeliveryStatus::Delivered {
            return Ok(Some(Err("it was already delivered".into())));
        }
        let Some(state) = self.outbound.destination(&destination) else {
            return Ok(Some(Err(format!("destination `{destination}` is no longer configured"))));
        };
        self.rows.set_pending(row_key(id), Some(self.clock.now_ms()))?;
        self.changed.retry(&state.name);
        Ok(Some(Ok(destination)))
    }

    /// Makes dead deliveries of configured destinations due again, from the key `after` on. Returns their keys.
    pub fn retry_dead(&mut self, filter: &DeliveryFilter, after: i64) -> Result<Vec<i64>> {
        let outbound = self.outbound.clone();
        let names: Vec<&str> = outbound.destinations.keys().map(|name| &**name).collect();
        let dead = self.rows.dead_deliveries(filter, &names, after, ROWS_PER_WRITE)?;
        for delivery in &dead {
            let Some(state) = outbound.destination(&delivery.destination) else { continue };
            let follows = state.is_ordered && self.rows.has_pending(&state.name, delivery.subject, delivery.key)?;
            self.rows.set_pending(delivery.key, (!follows).then(|| self.clock.now_ms()))?;
            self.changed.retry(&state.name);
        }
        Ok(dead.into_iter().map(|delivery| delivery.key).collect())
    }

    /// Removes delivered deliveries before a key, from the key `after` on, except those that belong to an incident with a
    /// hold. Returns where to continue, if there may be more.
    pub fn purge_delivered(&mut self, after: i64, before: i64) -> Result<Option<i64>> {
        let Delivered { deliveries, last } = self.rows.delivered(after, before, ROWS_PER_WRITE)?;
        let mut removed = Vec::with_capacity(deliveries.len());
        for (delivery, subject) in deliveries {
            if !self.belongs_to_hold(subject)? {
                removed.push(delivery);
            }
        }
        self.rows.remove_deliveries(&removed)?;
        Ok(last)
    }

    /// Returns whether a subject is an incident with a hold, or an event that reported one.
    fn belongs_to_hold(&mut self, subject: i64) -> Result<bool> {
        if self.rows.is_held(subject)? {
            return Ok(true);
        }
        match self.rows.event_state(subject)? {
            Some(event) => self.is_of_held(&event),
            None => Ok(false),
        }
    }

    /// Returns whether an event reported an incident with a hold.
    pub(super) fn is_of_held(&mut self, event: &EventState) -> Result<bool> {
        for incident in &event.incidents {
            if self.rows.is_held(row_key(incident.id))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the result of an attempt, as it is counted.
fn counted(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Pending => "retry",
        DeliveryStatus::Delivered | DeliveryStatus::Dead => status.as_str(),
    }
}
