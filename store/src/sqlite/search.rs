//! Lists of incidents by filters and in an order, from indexes.
//!
//! The incidents that pass one condition are read from an index, and each is checked against the others. The condition is
//! the one for which the fewest incidents are to be checked. In the order of creation its lists are read in this order,
//! until the page is full. In another order either all its incidents are read and sorted, or the lists of the classes are
//! read in this order.

use super::columns::nanoseconds;
use super::incidents;
use super::key_lists::{KeyList, Scan};
use super::pages::{Filling, listed};
use super::search_conditions::{COUNTED_MAX, Check, Condition, all, class_lists, conditions, keys_of_times};
use super::walk::{Class, Walk};
use crate::rows::{IncidentFilter, IncidentRow, Listed, Order, Page, Position};
use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection};
use std::ops::RangeInclusive;

/// The cost of reading a record, if the check of an incident that needs none costs 1.
const RECORD_COST: f64 = 10.0;

pub(super) fn list(
    connection: &Connection,
    filter: &IncidentFilter,
    order: &Order,
    after: Option<&Position>,
    limit: usize,
) -> Result<Page<Listed<IncidentRow>, Position>> {
    let keys = keys_of_times(connection, filter)?;
    let mut conditions = conditions(connection, filter)?;
    if !order.is_by_creation() && (filter.created_after.is_some() || filter.created_before.is_some()) {
        conditions.push(Condition::of_creation(connection, &keys)?);
    }
    let chosen = choose(connection, &conditions, order, &keys, limit)?;
    // All incidents of these lists pass the condition.
    let lists = chosen.and_then(|index| conditions.swap_remove(index).lists);
    let mut checks = Checks::new(connection, filter, order, &conditions)?;
    let times_descend = order.by_update().unwrap_or_default();
    let scan = Scan { keys, keys_descend: order.is_newest_first(), times_descend };
    let mut page = Filling::new(limit);
    let lists = match lists {
        Some(lists) if !order.is_by_creation() => {
            collect(connection, &mut checks, scan, after, lists, &mut page)?;
            return Ok(page.finish());
        }
        Some(lists) => lists,
        None if order.is_by_creation() => vec![(Class::default(), all())],
        None => {
            let updated_after = order.by_update().map(|_| filter.updated_after.map_or(i64::MIN, nanoseconds));
            class_lists(connection, filter, updated_after)?
        }
    };
    let mut walk = Walk::new(connection, order, scan, after, lists);
    while let Some((key, position)) = walk.next()? {
        if checks.position(key)?.is_some() && !add(connection, &mut page, key, position)? {
            break;
        }
    }
    Ok(page.finish())
}

/// The page of a list.
type Filled = Filling<Listed<IncidentRow>, Position>;

/// Reads all incidents of some lists, and fills a page with those after a position.
fn collect(
    connection: &Connection,
    checks: &mut Checks,
    scan: Scan,
    after: Option<&Position>,
    lists: Vec<(Class, KeyList)>,
    page: &mut Filled,
) -> Result<()> {
    let by_key = Order::default();
    let order = checks.order;
    let after = after.map(|position| order.directed(position));
    let mut walk = Walk::new(connection, &by_key, Scan { keys_descend: true, ..scan }, None, lists);
    let mut found = Vec::new();
    while let Some((key, _)) = walk.next()? {
        if let Some(position) = checks.position(key)? {
            let directed = order.directed(&position);
            if after.as_ref().is_none_or(|after| directed > *after) {
                found.push((directed, key, position));
            }
        }
    }
    found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    for (_, key, position) in found {
        if !add(connection, page, key, position)? {
            break;
        }
    }
    Ok(())
}

/// Adds an incident to a page. Returns whether there was room.
fn add(connection: &Connection, page: &mut Filled, key: i64, position: Position) -> Result<bool> {
    let has_room = page.has_room();
    if has_room && let Some((id, bytes, row)) = incidents::with_key(connection, key)? {
        page.push(position, listed(id, row)?, bytes);
    }
    Ok(has_room)
}

/// Returns the condition whose lists are to be read, unless it is better to read all incidents in the order.
fn choose(
    connection: &Connection,
    conditions: &[Condition],
    order: &Order,
    keys: &RangeInclusive<i64>,
    limit: usize,
) -> Result<Option<usize>> {
    let by_creation = order.is_by_creation();
    let with_lists = || (0..conditions.len()).filter(|index| conditions[*index].lists.is_some());
    if by_creation && with_lists().count() < 2 {
        return Ok(with_lists().next());
    }
    let total = incidents::total(connection)? as f64;
    // A count of COUNTED_MAX stands for all larger ones.
    let count = |condition: &Condition| match condition.count {
        Some(count) => Ok(count),
        None => condition
            .lists
            .iter()
            .flatten()
            .try_fold(0, |sum, (_, list)| Ok(sum + list.count(connection, keys, COUNTED_MAX - sum)?)),
    };
    let counts = conditions.iter().map(count).collect::<Result<Vec<usize>>>()?;
    // The number of incidents that are checked until the page is full, if each has passed the condition `passed`.
    let until_full = |passed: &dyn Fn(usize) -> bool| {
        let others = counts.iter().enumerate().filter(|(index, _)| !passed(*index));
        others.fold(limit as f64 + 1.0, |steps, (_, count)| steps * (total / (*count).max(1) as f64).max(1.0))
    };
    let cost_of_check = |passed: Option<usize>| {
        let others = conditions.iter().enumerate().filter(|(index, _)| Some(*index) != passed);
        1.0 + RECORD_COST * others.filter(|(_, other)| other.check.needs_record()).count() as f64
    };
    let costs = with_lists().map(|index| {
        let all = if counts[index] < COUNTED_MAX { counts[index] as f64 } else { total };
        let steps = if by_creation { all.min(until_full(&|other| other == index)) } else { all };
        (steps * cost_of_check(Some(index)), index)
    });
    let best = costs.min_by(|one, other| one.0.total_cmp(&other.0));
    // The lists of other orders have only classes that pass.
    let cost_of_all =
        until_full(&|index| !by_creation && conditions[index].is_of_classes).min(total) * cost_of_check(None);
    Ok(best.filter(|(cost, _)| *cost <= cost_of_all).map(|(_, index)| index))
}

/// The checks of an incident.
struct Checks<'a> {
    connection: &'a Connection,
    order: &'a Order,
    conditions: &'a [Condition],
    /// The statement that finds an incident by its key, the last parameter, if it passes.
    statement: CachedStatement<'a>,
    parameters: usize,
}

impl<'a> Checks<'a> {
    fn new(
        connection: &'a Connection,
        filter: &IncidentFilter,
        order: &'a Order,
        conditions: &'a [Condition],
    ) -> Result<Self> {
        let mut sql = "SELECT status, severity, source, updated_at FROM incidents WHERE deleted = 0".to_owned();
        let mut values = Vec::new();
        for (expression, time) in [("created_at > ?", filter.created_after), ("created_at < ?", filter.created_before)]
        {
            if let Some(time) = time {
                sql = format!("{sql} AND {expression}");
                values.push(Value::Integer(nanoseconds(time)));
            }
        }
        for condition in conditions {
            if let Check::Sql(expression, parameters) = &condition.check {
                sql = format!("{sql} AND {expression}");
                values.extend_from_slice(parameters);
            }
        }
        let mut statement = connection.prepare_cached(&format!("{sql} AND key = ?"))?;
        for (index, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        Ok(Self { connection, order, conditions, statement, parameters: values.len() + 1 })
    }

    /// Returns the position of an incident, if it passes.
    fn position(&mut self, key: i64) -> Result<Option<Position>> {
        self.statement.raw_bind_parameter(self.parameters, key)?;
        let mut rows = self.statement.raw_query();
        let Some(row) = rows.next()? else { return Ok(None) };
        let class = Class { status: row.get(0)?, severity: row.get(1)?, source: row.get(2)? };
        let position = class.position(self.order, (row.get(3)?, key));
        drop(rows);
        let checks = || self.conditions.iter().map(|condition| &condition.check);
        if checks().any(|check| matches!(check, Check::Keys(keys) if keys.binary_search(&key).is_err())) {
            return Ok(None);
        }
        if checks().any(Check::needs_record) {
            // An incident that cannot be read has no words.
            let row = incidents::of_key(self.connection, key)?;
            let passes = row.is_some_and(|row| checks().all(|check| check.is_passed_by(&row.incident)));
            return Ok(passes.then_some(position));
        }
        Ok(Some(position))
    }
}
