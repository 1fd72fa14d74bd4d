//! Lists of incidents by filters and in an order, from indexes.
//!
//! The keys of the incidents that pass a condition are read from an index, unless they are too many. They are intersected
//! with those of the other conditions, and only the incidents that are left are checked against conditions that many
//! incidents pass. If many pass each condition, the lists of one are read until the page is full, which it soon is.
//!
//! In the order of creation, the keys are in this order. In another order, the lists of the classes are read in this order
//! or, if the page is not full after some time, all incidents that are left are sorted. The keys are nearly in the order of
//! the update too: only incidents whose time of update is not that in their key have other places.

use super::columns::Conditions;
use super::incidents;
use super::key_lists::{KeyList, Scan};
use super::pages::listed;
use super::search_conditions::{
    Check, Condition, Lists, all, between, class_lists, conditions, keys_of_times, moved, of_creation,
};
use super::walk::Walk;
use crate::columns::nanoseconds;
use crate::pages::Filling;
use crate::rows::{
    ALL_COUNTED_MAX, BoundedCount, Class, IncidentFilter, IncidentRow, Listed, Order, Page, Place, Position,
};
use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection};
use std::ops::RangeInclusive;

/// The number of incidents up to which each is checked, rather than intersected with the keys of another condition.
const FEW: usize = 500;

pub(super) fn list(
    connection: &Connection,
    filter: &IncidentFilter,
    order: &Order,
    after: Option<&Position>,
    limit: usize,
) -> Result<Page<Listed<IncidentRow>, Position>> {
    let range = keys_of_times(connection, filter)?;
    let mut conditions = conditions(connection, filter)?;
    if !order.is_by_creation() && (filter.created_after.is_some() || filter.created_before.is_some()) {
        conditions.extend(of_creation(connection, &range)?);
    }
    let (mut keys, mut by_creation) = (None, Vec::new());
    if order.is_by_creation() {
        by_creation = lists_by_creation(connection, &mut conditions, &range)?;
    } else {
        keys = intersect(connection, &mut conditions, &range)?;
    }
    let times_descend = order.by_update().unwrap_or_default();
    let scan = Scan { keys: range, keys_descend: order.is_newest_first(), times_descend };
    let mut search = Search { connection, order, after, scan, checks: Checks::new(connection, filter, &conditions)? };
    let mut page = Filling::new(limit);
    if order.is_by_creation() {
        search.fill(&mut page, by_creation, None)?;
        return Ok(page.finish());
    }
    if let Some(lists) = search.lists_in_order(filter, keys.as_deref(), limit)? {
        if search.fill(&mut page, lists, keys.as_deref())? {
            return Ok(page.finish());
        }
        page = Filling::new(limit);
    }
    search.sort(&mut page, &keys.unwrap_or_default())?;
    Ok(page.finish())
}

/// Counts the incidents that pass a filter, up to a number.
pub(super) fn count(connection: &Connection, filter: &IncidentFilter, max: usize) -> Result<BoundedCount> {
    let range = keys_of_times(connection, filter)?;
    let mut conditions = conditions(connection, filter)?;
    if conditions.is_empty() && filter.created_after.is_none() && filter.created_before.is_none() {
        return count_all(connection);
    }
    let lists = lists_by_creation(connection, &mut conditions, &range)?;
    let mut checks = Checks::new(connection, filter, &conditions)?;
    let (order, scan) = (Order::default(), Scan { keys: range, keys_descend: true, times_descend: true });
    Walk::new(connection, &order, scan, None, lists).count(max, |key| checks.are_passed_by(key))
}

/// Counts all incidents, which an index has without their rows, up to a larger number.
fn count_all(connection: &Connection) -> Result<BoundedCount> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM incidents INDEXED BY incidents_class WHERE deleted = 0 LIMIT ?)";
    let count = connection.prepare_cached(sql)?.query_row([ALL_COUNTED_MAX as i64 + 1], |row| row.get(0))?;
    Ok(BoundedCount::up_to(ALL_COUNTED_MAX, count))
}

/// Returns lists in the order of creation with all incidents that pass. Only the conditions that must be checked are left.
fn lists_by_creation(
    connection: &Connection,
    conditions: &mut Vec<Condition>,
    range: &RangeInclusive<i64>,
) -> Result<Vec<(Class, KeyList)>> {
    // Lists that alone have the incidents in their order are read only as far as they are needed.
    let are_alone = matches!(&**conditions, [Condition { lists: Lists::Sorted(_), .. }]);
    let keys = if are_alone { None } else { intersect(connection, conditions, range)? };
    let lists = match keys {
        Some(keys) => vec![KeyList::Keys(keys)],
        None => take_lists(conditions).unwrap_or_else(|| vec![all()]),
    };
    Ok(lists.into_iter().map(|list| (Class::default(), list)).collect())
}

/// Returns the keys of the incidents in a range that pass those conditions that few pass, sorted; none if there is no such
/// condition. Only the other conditions are left.
fn intersect(
    connection: &Connection,
    conditions: &mut Vec<Condition>,
    range: &RangeInclusive<i64>,
) -> Result<Option<Vec<i64>>> {
    let mut left = Vec::new();
    let mut passing: Option<Vec<i64>> = None;
    for condition in conditions.drain(..) {
        let are_few = passing.as_ref().is_some_and(|keys| keys.len() <= FEW);
        let keys = if are_few { None } else { condition.keys(connection, range)? };
        match (&mut passing, keys) {
            (_, None) => left.push(condition),
            (None, keys) => passing = keys,
            (Some(passing), Some(keys)) => passing.retain(|key| keys.binary_search(key).is_ok()),
        }
    }
    *conditions = left;
    Ok(passing)
}

/// Takes the condition whose lists are read instead of checking it: one with the dearest check. Returns its lists.
fn take_lists(conditions: &mut Vec<Condition>) -> Option<Vec<KeyList>> {
    let is_sorted = |condition: &Condition| matches!(condition.lists, Lists::Sorted(_));
    let first = conditions.iter().position(is_sorted)?;
    let dearest = conditions.iter().position(|condition| is_sorted(condition) && condition.check.needs_texts());
    match conditions.remove(dearest.unwrap_or(first)).lists {
        Lists::Sorted(lists) => Some(lists),
        Lists::Unsorted(_) | Lists::Missing => None,
    }
}

/// The page of a list.
type Filled = Filling<Listed<IncidentRow>, Position>;

/// A search for the incidents after a position.
struct Search<'a> {
    connection: &'a Connection,
    order: &'a Order,
    after: Option<&'a Position>,
    scan: Scan,
    checks: Checks<'a>,
}

impl Search<'_> {
    /// Returns lists in the order that have all incidents with certain keys, or all that pass a filter. Returns none if it is
    /// better to sort those with the keys.
    fn lists_in_order(
        &self,
        filter: &IncidentFilter,
        keys: Option<&[i64]>,
        limit: usize,
    ) -> Result<Option<Vec<(Class, KeyList)>>> {
        if let Some(keys) = keys {
            if keys.len() <= FEW {
                return Ok(None);
            }
            if self.order.is_by_update() {
                let lists = [KeyList::TimedKeys(keys.to_vec()), moved()];
                return Ok(Some(lists.map(|list| (Class::default(), list)).into()));
            }
            let all_in_range = between(self.connection, *self.scan.keys.start(), *self.scan.keys.end())?;
            // To pass over an incident in the order of a list takes about the time in which one is read to be sorted.
            if all_in_range.saturating_mul(limit) / keys.len() >= keys.len() {
                return Ok(None);
            }
        }
        // No incident was updated before it was created.
        let updated_after = filter.updated_after.max(filter.created_after).map_or(i64::MIN, nanoseconds);
        let updated_after = self.order.by_update().map(|_| updated_after);
        class_lists(self.connection, filter, updated_after).map(Some)
    }

    /// Fills a page with the incidents of some lists in their order. If only those with certain keys pass, it gives up when
    /// it is better to sort these, and returns false.
    fn fill(&mut self, page: &mut Filled, lists: Vec<(Class, KeyList)>, keys: Option<&[i64]>) -> Result<bool> {
        let mut walk = Walk::new(self.connection, self.order, self.scan.clone(), self.after, lists);
        let mut left = keys.map_or(usize::MAX, <[i64]>::len);
        let is_by_update = self.order.is_by_update();
        while let Some((place, position)) = walk.next()? {
            let key = place.1;
            let passes = match keys {
                None => true,
                Some(keys) => keys.binary_search(&key).is_ok() && (!is_by_update || self.is_at(place)?),
            };
            if passes && self.checks.are_passed_by(key)? && !self.add(page, key, position)? {
                break;
            }
            if left == 0 {
                return Ok(false);
            }
            left -= 1;
        }
        Ok(true)
    }

    /// Returns whether the time of a place is that of the last update. It is not if the time is that in the key of an
    /// incident that was changed.
    fn is_at(&self, (updated_at, key): Place) -> Result<bool> {
        let sql = "SELECT 1 FROM incidents WHERE key = ? AND updated_at = ?";
        Ok(self.connection.prepare_cached(sql)?.exists([key, updated_at])?)
    }

    /// Sorts the incidents with these keys, and fills a page with those after the position.
    fn sort(&mut self, page: &mut Filled, keys: &[i64]) -> Result<()> {
        let after = self.after.map(|position| self.order.directed(position));
        let mut found = Vec::new();
        for key in keys.iter().filter(|key| self.scan.keys.contains(key)) {
            let Some((class, updated_at)) = self.checks.passed_by(*key)? else { continue };
            let position = class.position(self.order, (updated_at, *key));
            let directed = self.order.directed(&position);
            if after.as_ref().is_none_or(|after| directed > *after) {
                found.push((directed, *key, position));
            }
        }
        found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (_, key, position) in found {
            if !self.add(page, key, position)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds an incident to a page. Returns whether there was room.
    fn add(&self, page: &mut Filled, key: i64, position: Position) -> Result<bool> {
        let has_room = page.has_room();
        if has_room && let Some((id, bytes, row)) = incidents::with_key(self.connection, key)? {
            page.push(position, listed(id, row)?, bytes);
        }
        Ok(has_room)
    }
}

/// The checks of an incident.
struct Checks<'a> {
    connection: &'a Connection,
    conditions: &'a [Condition],
    /// The statement that reads an incident by its key, the last parameter, if its row passes.
    statement: CachedStatement<'a>,
    parameters: usize,
    /// Whether the row of each incident passes.
    is_passed_by_rows: bool,
}

impl<'a> Checks<'a> {
    fn new(connection: &'a Connection, filter: &IncidentFilter, conditions: &'a [Condition]) -> Result<Self> {
        let mut all = Conditions::default();
        for (expression, time) in [("created_at > ?", filter.created_after), ("created_at < ?", filter.created_before)]
        {
            if let Some(time) = time {
                all.add(expression, [Value::Integer(nanoseconds(time))]);
            }
        }
        for condition in conditions {
            if let Check::Sql(expression, parameters) = &condition.check {
                all.add(expression, parameters.iter().cloned());
            }
        }
        let is_passed_by_rows = all.is_empty();
        all.add("deleted = 0 AND key = ?", []);
        let sql = format!("SELECT status, severity, source, updated_at FROM incidents {}", all.sql());
        let mut statement = connection.prepare_cached(&sql)?;
        for (index, value) in all.values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        Ok(Self { connection, conditions, statement, parameters: all.values.len() + 1, is_passed_by_rows })
    }

    fn are_passed_by(&mut self, key: i64) -> Result<bool> {
        if !self.is_passed_by_rows {
            self.statement.raw_bind_parameter(self.parameters, key)?;
            if self.statement.raw_query().next()?.is_none() {
                return Ok(false);
            }
        }
        self.are_passed_by_texts(key)
    }

    /// Returns the class and the time of update of an incident that passes.
    fn passed_by(&mut self, key: i64) -> Result<Option<(Class, i64)>> {
        self.statement.raw_bind_parameter(self.parameters, key)?;
        let mut rows = self.statement.raw_query();
        let Some(row) = rows.next()? else { return Ok(None) };
        let class = Class { status: row.get(0)?, severity: row.get(1)?, source: row.get(2)? };
        let updated_at = row.get(3)?;
        drop(rows);
        Ok(self.are_passed_by_texts(key)?.then_some((class, updated_at)))
    }

    fn are_passed_by_texts(&self, key: i64) -> Result<bool> {
        for condition in self.conditions {
            if !condition.check.is_passed_by_texts(self.connection, key)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
