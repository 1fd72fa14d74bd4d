//! Counts of the payloads of a source.

/// The counts of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Payloads that arrived.
    pub received: u64,
    /// Payloads that were stored as new events.
    pub accepted: u64,
    /// Payloads that repeated an event.
    pub duplicates: u64,
    /// Payloads that were refused.
    pub refused: u64,
    /// The last time an event was mapped or a pulled source answered correctly, in milliseconds since the Unix epoch.
    pub last_success: Option<i64>,
    /// The time at which a payload was last accepted, independent of its result, in milliseconds since the Unix epoch.
    /// A pulled source may return the same payload again.
    pub last_received_at: Option<i64>,
    /// The last error.
    pub last_error: Option<LastError>,
}

impl Tally {
    /// Adds what was counted later.
    pub fn merge(&mut self, later: &Self) {
        let Self { received, accepted, duplicates, refused, last_success, last_received_at, last_error } = later;
        self.received += received;
        self.accepted += accepted;
        self.duplicates += duplicates;
        self.refused += refused;
        // The clock may have gone back.
        self.last_success = last_success.or(self.last_success);
        self.last_received_at = last_received_at.or(self.last_received_at);
        if last_error.is_some() {
            self.last_error.clone_from(last_error);
        }
    }
}

/// The reason why a payload was refused or could not be mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The time, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The code of the refusal or failure.
    pub code: String,
    /// The reason as text.
    pub message: String,
}

impl LastError {
    /// Returns an error at this time, in milliseconds since the Unix epoch.
    pub fn new(at: i64, code: &str, message: &str) -> Self {
        Self { at, code: code.to_owned(), message: message.to_owned() }
    }
}
