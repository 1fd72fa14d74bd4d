//! The larger questions about deliveries in memory.

use super::copies::DeliveryCopy;
use super::memory::Memory;
use crate::ledger::DeadDelivery;
use crate::rows::{DeliveryFilter, DeliveryStatus};
use hookmill_incident::id::row_key_at;
use std::collections::BTreeMap;
use uuid::Uuid;

impl Memory {
    /// Returns dead deliveries.
    pub fn dead(&self, filter: &DeliveryFilter, destinations: &[&str], after: i64, limit: usize) -> Vec<DeadDelivery> {
        let passes = |wanted: &[String], value: &str| wanted.is_empty() || wanted.iter().any(|one| one == value);
        let is_about =
            |ids: &[Uuid], subject: Option<Uuid>| ids.is_empty() || subject.is_some_and(|id| ids.contains(&id));
        let incident = |row: &DeliveryCopy| Some(self.incidents.get(&row.audit.and(Some(row.subject))?)?.0.id);
        let event = |row: &DeliveryCopy| Some(self.events.get(&row.event?)?.event.id);
        let is_meant = |row: &DeliveryCopy| {
            row.status == DeliveryStatus::Dead
                && destinations.contains(&row.destination.as_str())
                && passes(&filter.destination, &row.destination)
                && (filter.status.is_empty() || filter.status.contains(&row.status))
                && passes(&filter.notification, row.step.as_ref().map_or("", |(name, _)| name))
                && is_about(&filter.incident, incident(row))
                && is_about(&filter.event, event(row))
                && passes(&filter.error, row.error.as_deref().unwrap_or_default())
        };
        let created = filter.created_after.map_or(0, |time| row_key_at(time.as_millisecond() + 1));
        let rows = self.deliveries.range((after + 1).max(created)..).filter(|(_, row)| is_meant(row)).take(limit);
        let dead = rows.map(|(key, row)| {
            let (destination, subject) = (row.destination.clone(), row.subject);
            DeadDelivery { key: *key, destination, subject }
        });
        dead.collect()
    }

    /// Makes pending deliveries due whose time was set by a clock that was ahead. Returns their number.
    pub fn pull(&mut self, destination: &str, now: i64, latest: i64, limit: usize) -> usize {
        let last_attempts: BTreeMap<i64, i64> =
            self.attempts.iter().map(|((delivery, _), attempt)| (*delivery, attempt.at)).collect();
        let is_ahead = |key: &i64, row: &DeliveryCopy| {
            let is_attempted_later = last_attempts.get(key).is_some_and(|at| *at > now);
            row.next_at.is_some_and(|at| at > now && (row.attempts == 0 || at > latest || is_attempted_later))
        };
        let mut rows: Vec<_> = self.pending(destination).filter(|(key, row)| is_ahead(key, row)).collect();
        rows.sort_by_key(|(key, row)| (row.next_at, **key));
        rows.truncate(limit);
        rows.iter_mut().for_each(|(_, row)| row.next_at = Some(now));
        rows.len()
    }
}
