//! Counts of what a source has sent.

use hookmill_incident::id::unix_ms;

/// What a source has sent.
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
    /// When an event was last mapped, or a source that the host reads answered as it should, in milliseconds since the Unix
    /// epoch.
    pub last_success: Option<i64>,
    /// When its last payload was taken, whatever came of it; one that the host reads may repeat itself.
    pub heard_at: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<LastError>,
}

/// Why a payload was refused or could not be mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The code of the refusal or failure.
    pub code: String,
    /// The same in words.
    pub message: String,
}

impl LastError {
    /// What goes wrong now.
    pub fn now(code: &str, message: &str) -> Self {
        Self { at: unix_ms(), code: code.to_owned(), message: message.to_owned() }
    }
}
