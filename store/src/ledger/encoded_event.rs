//! The part of an event's row that is made before the transaction.

use hookmill_incident::Mapped;

/// The columns of an event that do not depend on the transaction, in JSON, encoded before it.
pub(crate) struct EncodedEvent {
    pub tried: String,
    pub headers: String,
    pub context: String,
    pub journey: Option<String>,
    pub log: Option<String>,
}

impl EncodedEvent {
    /// Encodes an event.
    pub fn of(mapped: &Mapped) -> Self {
        // Lists of strings always have a JSON form.
        let json = |pairs: &[(String, String)]| serde_json::to_string(pairs).unwrap_or_default();
        Self {
            tried: serde_json::to_string(&mapped.tried).unwrap_or_default(),
            headers: json(&mapped.event.headers),
            context: json(&mapped.event.context),
            journey: serde_json::to_string(&mapped.journey).ok(),
            log: (!mapped.journey.log.is_empty()).then(|| serde_json::to_string(&mapped.journey.log).ok()).flatten(),
        }
    }
}
