//! Destinations as the store sees them, and the rules that choose between them.

use hookmill_notify::{Rule, Rules};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    pub name: Arc<str>,
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
    /// The destinations by name.
    pub destinations: BTreeMap<Arc<str>, DestinationState>,
    /// The names of those that receive every audit entry.
    of_all_changes: Arc<[Arc<str>]>,
    /// The notifications.
    pub rules: Arc<Rules>,
    /// The URL under which people reach this host, for links.
    pub public_url: String,
}

impl Outbound {
    /// Sorts the destinations and the rules by what they are looked up by.
    pub(crate) fn new(destinations: Vec<DestinationState>, rules: Vec<Rule>, public_url: String) -> Self {
        let of_all_changes = destinations.iter().filter(|state| state.gets_all_changes);
        let of_all_changes = of_all_changes.map(|state| state.name.clone()).collect();
        let destinations = destinations.into_iter().map(|state| (state.name.clone(), state)).collect();
        Self { destinations, of_all_changes, rules: Arc::new(Rules::new(rules)), public_url }
    }

    /// Returns the destination of this name, if one is configured.
    pub fn destination(&self, name: &str) -> Option<&DestinationState> {
        self.destinations.get(name)
    }

    /// Returns the destinations that receive every audit entry.
    pub(crate) fn of_all_changes(&self) -> impl Iterator<Item = &DestinationState> {
        self.of_all_changes.iter().filter_map(|name| self.destination(name))
    }
}
