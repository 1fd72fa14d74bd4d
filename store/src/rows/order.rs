//! The order of a list of incidents, and a position in it.

use hookmill_incident::{Severity, Status, words};
use std::cmp::Reverse;

words!(
    /// A member of an incident by which lists are sorted.
    SortKey {
        /// The order in which incidents were stored, also if the clock was set back in between.
        CreatedAt = "created_at",
        UpdatedAt = "updated_at", Severity = "severity", Status = "status", Source = "source",
    }
);

/// A sort key with its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sorting {
    /// The key.
    pub key: SortKey,
    /// Whether the largest value comes first.
    pub descending: bool,
}

/// The order of a list of incidents. No two incidents have the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order(Vec<Sorting>);

/// A value of a sort key: a time, the rank of a word, a row key or a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortValue {
    /// A time, a rank or a row key.
    Number(i64),
    /// A name.
    Text(String),
}

/// The place of an incident in an order: a value for each sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(Vec<SortValue>);

/// A value that compares as its direction says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Directed {
    Ascending(SortValue),
    Descending(Reverse<SortValue>),
}

impl Default for Order {
    /// Returns the order that begins with the newest incident.
    fn default() -> Self {
        Self::new([])
    }
}

impl Position {
    /// Returns the values, one for each key of the order.
    pub fn values(&self) -> &[SortValue] {
        &self.0
    }
}

impl Order {
    /// Returns the order by these keys. Incidents that are equal in all of them are in the direction of the first time
    /// among the keys, else the newest first.
    pub fn new(keys: impl IntoIterator<Item = Sorting>) -> Self {
        let mut order: Vec<Sorting> = Vec::new();
        for sorting in keys {
            let is_decided = order.iter().any(|known| known.key == SortKey::CreatedAt || known.key == sorting.key);
            if !is_decided {
                order.push(sorting);
            }
        }
        if order.iter().all(|known| known.key != SortKey::CreatedAt) {
            let time = order.iter().find(|known| known.key == SortKey::UpdatedAt);
            let descending = time.is_none_or(|time| time.descending);
            order.push(Sorting { key: SortKey::CreatedAt, descending });
        }
        Self(order)
    }

    /// Returns the keys of the order; the last one is always the time of creation.
    pub fn keys(&self) -> &[Sorting] {
        &self.0
    }

    /// Returns whether the order is that of the creation alone.
    pub(crate) fn is_by_creation(&self) -> bool {
        self.0.len() == 1
    }

    /// Returns whether the order is that of the update, and of the creation in the same direction.
    pub(crate) fn is_by_update(&self) -> bool {
        self.by_update() == Some(self.is_newest_first()) && self.0.len() == 2
    }

    /// Returns whether the newest incident comes first among those that are equal otherwise.
    pub(crate) fn is_newest_first(&self) -> bool {
        self.0.last().is_some_and(|last| last.descending)
    }

    /// Returns the direction of the time of the last update, if the order depends on it.
    pub(crate) fn by_update(&self) -> Option<bool> {
        self.0.iter().find(|sorting| sorting.key == SortKey::UpdatedAt).map(|sorting| sorting.descending)
    }

    /// Returns the number of keys before the first time.
    pub(crate) fn leading(&self) -> usize {
        let is_time = |sorting: &Sorting| matches!(sorting.key, SortKey::CreatedAt | SortKey::UpdatedAt);
        self.0.iter().position(is_time).unwrap_or_default()
    }

    /// Returns the first time among the keys.
    pub(crate) fn first_time(&self) -> SortKey {
        self.0[self.leading()].key
    }

    /// Returns the position with these values; none if there is not a name for each source and a number for each other key.
    pub fn position(&self, values: Vec<SortValue>) -> Option<Position> {
        let fits = |(sorting, value): (&Sorting, &SortValue)| {
            matches!(value, SortValue::Text(_)) == (sorting.key == SortKey::Source)
        };
        (values.len() == self.0.len() && self.0.iter().zip(&values).all(fits)).then_some(Position(values))
    }

    /// Returns the position of an incident from its values.
    pub(crate) fn position_of(&self, value: impl Fn(SortKey) -> SortValue) -> Position {
        Position(self.0.iter().map(|sorting| value(sorting.key)).collect())
    }

    /// Returns values that compare as this order says.
    pub(crate) fn directed(&self, position: &Position) -> Vec<Directed> {
        let values = self.0.iter().zip(position.0.iter().cloned());
        let directed = values.map(|(sorting, value)| match sorting.descending {
            true => Directed::Descending(Reverse(value)),
            false => Directed::Ascending(value),
        });
        directed.collect()
    }
}

/// A place in a list: a time, or 0 in a list without times, and a key.
pub(crate) type Place = (i64, i64);

/// The words by which incidents are in classes. A word may be one of a later version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Class {
    pub status: String,
    pub severity: String,
    pub source: String,
}

impl Class {
    /// Returns the position of an incident of this class.
    pub fn position(&self, order: &Order, (updated_at, key): Place) -> Position {
        let rank = |word: Option<i64>| SortValue::Number(word.unwrap_or(-1));
        let value = |key_of_order| match key_of_order {
            SortKey::CreatedAt => SortValue::Number(key),
            SortKey::UpdatedAt => SortValue::Number(updated_at),
            SortKey::Severity => rank(self.severity.parse().ok().map(|word: Severity| word as i64)),
            SortKey::Status => rank(self.status.parse().ok().map(|word: Status| word as i64)),
            SortKey::Source => SortValue::Text(self.source.clone()),
        };
        order.position_of(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_ends_with_the_creation() {
        let by = |key, descending| Sorting { key, descending };
        let (severity, updated) = (by(SortKey::Severity, true), by(SortKey::UpdatedAt, false));
        for (keys, expected) in [
            (vec![], vec![by(SortKey::CreatedAt, true)]),
            (vec![severity], vec![severity, by(SortKey::CreatedAt, true)]),
            (vec![severity, updated], vec![severity, updated, by(SortKey::CreatedAt, false)]),
            (vec![by(SortKey::CreatedAt, false), severity], vec![by(SortKey::CreatedAt, false)]),
            (vec![updated, updated, by(SortKey::UpdatedAt, true)], vec![updated, by(SortKey::CreatedAt, false)]),
        ] {
            assert_eq!(Order::new(keys.clone()).keys(), expected, "{keys:?}");
        }
    }
}
