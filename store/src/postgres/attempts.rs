//! Attempts that wait in the buffer, and what follows from them for their deliveries.

use super::batch::{Batch, Statement};
use crate::rows::{Attempt, DeliveryStatus};
use std::collections::BTreeMap;

/// The attempts at deliveries, in their order.
#[derive(Default)]
pub(super) struct Attempts {
    attempts: Vec<(i64, Attempt)>,
    /// The deliveries as they are after their attempt.
    deliveries: BTreeMap<i64, Attempted>,
    /// Destinations, deliveries that wait no more, and the time at which the next one of the same subject is due.
    released: Vec<(String, i64, i64)>,
}

struct Attempted {
    subject: i64,
    status: DeliveryStatus,
    next_at: i64,
    error: Option<String>,
}

impl Attempts {
    /// Returns whether the result of an attempt depends on what was added before: the delivery was attempted already, or it
    /// stays pending after another one of its subject was delivered.
    pub fn depends_on_order(&self, delivery: i64, subject: i64, status: DeliveryStatus) -> bool {
        let is_delivered =
            |attempted: &Attempted| attempted.subject == subject && attempted.status != DeliveryStatus::Pending;
        self.deliveries.contains_key(&delivery)
            || status == DeliveryStatus::Pending && self.deliveries.values().any(is_delivered)
    }

    /// Adds an attempt at a delivery, which is in the database.
    pub fn add(&mut self, delivery: i64, subject: i64, attempt: &Attempt, status: DeliveryStatus, next_at: i64) {
        self.attempts.push((delivery, attempt.clone()));
        self.deliveries.insert(delivery, Attempted { subject, status, next_at, error: attempt.error.clone() });
    }

    /// Makes the first pending delivery of the same subject due, if it waits.
    pub fn release_next(&mut self, destination: &str, delivery: i64, at: i64) {
        self.released.push((destination.to_owned(), delivery, at));
    }

    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.released.is_empty()
    }

    pub fn into_statements(self) -> impl Iterator<Item = Statement> {
        let mut attempts = Batch::new(
            "INSERT INTO attempts (delivery, number, at, duration_ms, http_status, code, error, answer) \
             SELECT new.delivery, attempts + 1, at, duration_ms, http_status, code, new.error, answer \
             FROM @ AS new (delivery, at, duration_ms, http_status, code, error, answer) \
             JOIN deliveries ON deliveries.key = new.delivery",
        );
        for (delivery, attempt) in &self.attempts {
            attempts.push([
                (*delivery).into(),
                attempt.at.into(),
                attempt.duration_ms.into(),
                attempt.http_status.map(i64::from).into(),
                attempt.code.into(),
                attempt.error.as_deref().into(),
                attempt.answer.as_deref().into(),
            ]);
        }
        let mut deliveries = Batch::new(
            "UPDATE deliveries SET status = new.status, attempts = attempts + 1, next_at = new.next_at, \
             error = new.error FROM @ AS new (key, status, next_at, error) WHERE deliveries.key = new.key",
        );
        for (delivery, Attempted { status, next_at, error, .. }) in &self.deliveries {
            let error = error.as_deref();
            deliveries.push([(*delivery).into(), status.as_str().into(), (*next_at).into(), error.into()]);
        }
        // A delivery is released by the last one before it that was delivered, or else by the first one after it.
        let mut released = Batch::new(
            "UPDATE deliveries SET next_at = due.at FROM ( \
                 SELECT DISTINCT ON (next.key) next.key, gone.at \
                 FROM @ AS gone (nth, destination, delivery, at) JOIN deliveries done ON done.key = gone.delivery \
                 CROSS JOIN LATERAL (SELECT min(key) AS key FROM deliveries waiting \
                     WHERE waiting.destination = gone.destination AND waiting.status = 'pending' \
                     AND waiting.subject = done.subject) AS next \
                 ORDER BY next.key, gone.delivery > next.key, CASE WHEN gone.delivery < next.key THEN -nth ELSE nth END \
             ) AS due WHERE deliveries.key = due.key AND deliveries.next_at IS NULL",
        );
        for (nth, (destination, delivery, at)) in self.released.iter().enumerate() {
            released.push([(nth as i64).into(), destination.as_str().into(), (*delivery).into(), (*at).into()]);
        }
        [attempts.take(), deliveries.take(), released.take()].into_iter().flatten()
    }
}
