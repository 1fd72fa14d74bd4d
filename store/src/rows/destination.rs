//! Destinations as the store sees them, and the rules that choose between them.

use hookmill_notify::{Rule, Trigger};

/// The configuration of a destination, as far as the store needs it.
#[derive(Clone, Debug)]
pub struct DestinationRow {
    /// The name.
    pub name: String,
    /// The identity of the endpoint. A destination with a new fingerprint is enabled again.
    pub fingerprint: String,
    /// Whether the destination receives every audit entry.
    pub gets_all_changes: bool,
    /// Whether the deliveries of one incident wait for each other.
    pub is_ordered: bool,
    /// The longest time that a delivery waits for its next attempt, in milliseconds.
    pub longest_wait_ms: i64,
}

/// A destination and its health.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationState {
    /// The name.
    pub name: String,
    pub(crate) gets_all_changes: bool,
    pub(crate) is_ordered: bool,
    pub(crate) longest_wait_ms: i64,
    pub(crate) fingerprint: String,
    /// The time of the first failed attempt since the last success, in milliseconds since the Unix epoch.
    pub failing_since: Option<i64>,
    /// The reason why the destination is disabled, if it is.
    pub disabled: Option<String>,
    /// The time at which this process disabled the destination, in milliseconds; 0 if it did not.
    pub(crate) disabled_at: i64,
}

/// The health of a destination according to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The destination accepts deliveries.
    Well,
    /// The destination could not be reached, or accepted nothing.
    Failing,
    /// The destination refused this delivery and may accept others.
    Unknown,
}

/// The destinations and notifications: everything that decides which deliveries a change makes.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    /// The destinations.
    pub destinations: Vec<DestinationState>,
    /// The notifications.
    pub rules: Vec<Rule>,
    /// The URL under which people reach this host, for links.
    pub public_url: String,
}

impl Outbound {
    /// Returns the destination of this name, if one is configured.
    pub fn destination(&self, name: &str) -> Option<&DestinationState> {
        self.destinations.iter().find(|state| state.name == name)
    }

    /// Returns the notifications with this trigger.
    pub fn rules_for(&self, trigger: Trigger) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.trigger == trigger)
    }
}
