//! Rows of the tables `deliveries` and `attempts`.

use super::{Id, Milliseconds, Word, columns};
use crate::ledger::{DeadDelivery, Delivered};
use crate::rows::{
    AttemptRow, DeadLetters, DeliveryRow, DeliveryStatus, DueDeliveries, DueDelivery, EventRow, Message, QueuePosition,
    QueueRead,
};
use anyhow::{Context, Result, ensure};
use hookmill_incident::Operation;
use hookmill_incident::id::{row_key, row_key_ms};

/// Deliveries that are read at once end with the one that reaches this size: each holds its message.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

columns! {
    DeliveryColumns {
        id: Id = "d.id",
        destination: String = "d.destination",
        notification: Option<String> = "d.notification",
        status: Word<DeliveryStatus> = "d.status",
        incident: Option<Id> = "i.id",
        operation: Option<Word<Operation>> = "a.operation",
        event: Option<Id> = "e.id",
        next_at: Option<i64> = "d.next_at",
        error: Option<String> = "d.error",
    }
}

/// The tables with the columns of [`DeliveryColumns`].
pub(crate) const FROM: &str = "FROM deliveries d LEFT JOIN audit a ON a.key = d.audit \
                               LEFT JOIN incidents i ON i.key = a.incident LEFT JOIN events e ON e.key = d.event";

columns! {
    AttemptColumns {
        number: u32,
        at: Milliseconds,
        duration_ms: i64,
        http_status: Option<u16>,
        code: Option<String>,
        error: Option<String>,
        answer: Option<String>,
    }
}

columns! {
    DeadColumns {
        key: i64 = "d.key",
        destination: String = "d.destination",
        subject: i64 = "d.subject",
    }
}

columns! {
    GroupColumns {
        destination: String,
        error: Option<String>,
        count: i64,
        first: i64,
        last: i64,
        sample: Id = "(SELECT id FROM deliveries WHERE key = last)",
    }
}

columns! {
    DueColumns {
        id: Id,
        attempts: u32,
        // The code is `ASKED_TO_WAIT`.
        asked_waits: u32 = "CASE attempts WHEN 0 THEN 0 ELSE (SELECT count(*) FROM attempts WHERE delivery = deliveries.key \
                            AND code = 'asked_to_wait') END",
        notification: Option<String>,
        step: Option<u64>,
        next_at: Option<i64>,
        audit: Option<i64>,
        event: Option<i64>,
        notice: Option<String>,
        traceparent: Option<String>,
    }
}

columns! {
    // Of what is not due at a destination (`$1`) at a time (`$2`). SQLite numbers both in the order in which they appear.
    RestColumns {
        next_at: Option<i64> = "(SELECT min(next_at) FROM deliveries WHERE destination = $1 AND status = 'pending' \
                                 AND next_at > $2)",
        has_blocked: bool = "EXISTS (SELECT 1 FROM deliveries WHERE destination = $1 AND status = 'pending' \
                             AND next_at IS NULL)",
    }
}

columns! {
    FoundColumns {
        destination: String,
        status: Word<DeliveryStatus>,
    }
}

columns! {
    PurgeColumns {
        key: i64,
        subject: i64,
        status: Word<DeliveryStatus>,
    }
}

impl DeliveryColumns {
    /// Returns the row, with its attempts.
    pub fn into_row(self, attempts: Vec<AttemptRow>) -> DeliveryRow {
        DeliveryRow {
            id: self.id.0,
            destination: self.destination,
            notification: self.notification,
            status: self.status.0,
            incident_id: self.incident.map(|Id(id)| id),
            operation: self.operation.map(|Word(operation)| operation),
            event_id: self.event.map(|Id(id)| id),
            next_at: self.next_at,
            error: self.error,
            attempts,
        }
    }
}

impl From<AttemptColumns> for AttemptRow {
    fn from(row: AttemptColumns) -> Self {
        let AttemptColumns { number, at: Milliseconds(at), duration_ms, http_status, code, error, answer } = row;
        Self { number, at, duration_ms, http_status, code, error, answer }
    }
}

impl From<DeadColumns> for DeadDelivery {
    fn from(row: DeadColumns) -> Self {
        let DeadColumns { key, destination, subject } = row;
        Self { key, destination, subject }
    }
}

impl From<GroupColumns> for DeadLetters {
    fn from(row: GroupColumns) -> Self {
        let GroupColumns { destination, error, count, first, last, sample: Id(sample) } = row;
        Self { destination, error, count, first_at: row_key_ms(first), last_at: row_key_ms(last), sample }
    }
}

impl PurgeColumns {
    /// Returns those of at most `limit` rows that were delivered.
    pub fn delivered(rows: &[Self], limit: usize) -> Delivered {
        let delivered = rows.iter().filter(|row| row.status.0 == DeliveryStatus::Delivered);
        let last = rows.last().filter(|_| rows.len() == limit).map(|row| row.key);
        Delivered { deliveries: delivered.map(|row| (row.key, row.subject)).collect(), last }
    }
}

impl From<FoundColumns> for (String, DeliveryStatus) {
    fn from(row: FoundColumns) -> Self {
        (row.destination, row.status.0)
    }
}

impl DueColumns {
    /// Returns the delivery with its message, or the reason why the message cannot be read.
    pub fn into_due(self, message: Result<Message, String>) -> DueDelivery {
        let step = self.notification.zip(self.step.map(|step| step as usize));
        let Self { id: Id(id), attempts, asked_waits, traceparent, .. } = self;
        DueDelivery { id, attempts, asked_waits, message, step, traceparent }
    }
}

/// Returns the message about an event.
pub(crate) fn of_event(row: EventRow) -> Result<Message> {
    ensure!(row.body_removed_at.is_none(), "the payload was removed by retention");
    Ok(Message::Event(Box::new(row)))
}

/// Returns the message of a delivery that is about neither a change nor an event.
pub(crate) fn of_notice(notice: Option<&str>) -> Result<Message> {
    Ok(Message::Notice(serde_json::from_str(notice.context("the delivery has no subject")?)?))
}

/// Due deliveries of one destination that are collected one by one, bounded by their number and by their size.
pub(crate) struct FillingDue<'a> {
    queue: &'a QueueRead,
    deliveries: Vec<DueDelivery>,
    last: QueuePosition,
    bytes: usize,
    has_left_out: bool,
}

impl<'a> FillingDue<'a> {
    /// Returns the number of rows that are sufficient, also if some are left out.
    pub fn rows_max(queue: &QueueRead) -> usize {
        queue.limit + queue.without.len()
    }

    /// Begins after a position of the queue.
    pub fn new(queue: &'a QueueRead) -> Self {
        Self { queue, deliveries: Vec::new(), last: queue.after, bytes: 0, has_left_out: false }
    }

    /// Returns whether there is room for another delivery.
    pub fn has_room(&self) -> bool {
        self.deliveries.len() < self.queue.limit && self.bytes < READ_BYTES_MAX
    }

    /// Goes on to a delivery. Returns whether it is wanted.
    pub fn pass(&mut self, row: &DueColumns) -> bool {
        self.last = QueuePosition { next_at: row.next_at.unwrap_or_default(), key: row_key(row.id.0) };
        let is_wanted = !self.queue.without.contains(&row.id.0);
        self.has_left_out |= !is_wanted;
        is_wanted
    }

    /// Adds a delivery.
    pub fn push(&mut self, delivery: DueDelivery) {
        self.bytes += delivery.message.as_ref().map_or(0, Message::bytes);
        self.deliveries.push(delivery);
    }

    /// Returns the deliveries, of which there may be more.
    pub fn finish_full(self) -> DueDeliveries {
        let Self { deliveries, last, has_left_out, .. } = self;
        DueDeliveries { deliveries, more_after: Some(last), next_at: None, has_waiting: has_left_out }
    }

    /// Returns the deliveries, which are all that are due.
    pub fn finish_all(self, rest: RestColumns) -> DueDeliveries {
        let RestColumns { next_at, has_blocked } = rest;
        let has_waiting = self.has_left_out || has_blocked;
        DueDeliveries { deliveries: self.deliveries, more_after: None, next_at, has_waiting }
    }
}
