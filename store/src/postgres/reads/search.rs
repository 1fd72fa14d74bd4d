//! Lists of incidents by filters and in an order.
//!
//! The keys of a page come first, from indexes alone where that is possible, and the records of these incidents after that,
//! some at a time. In the order of creation, the planner finds the best way: every index of values has this order. In
//! another order, few incidents are all read and sorted. Of many, those that are equal in the keys before the first time are
//! one group, and the groups are read one after the other until the page is full: within each there is an index with the
//! order of the time.

use super::incidents;
use super::search_conditions::{add_after, add_group, conditions, order_by};
use crate::columns::{Cells, value};
use crate::pages::Filling;
use crate::postgres::query::{Conditions, cell, raw_rows};
use crate::rows::{
    ALL_COUNTED_MAX, BoundedCount, Class, Directed, IncidentFilter, IncidentRow, Listed, Order, Page, Place, Position,
    SortKey, Sorting,
};
use anyhow::Result;
use std::collections::BTreeMap;
use tokio_postgres::GenericClient;

/// Incidents whose records are in memory together, beside those of the page.
const READ_TOGETHER: usize = 32;
/// The number up to which all incidents that pass are read and sorted, in some milliseconds. Tests have fewer incidents.
const SORTED_MAX: usize = if cfg!(test) { 10 } else { 5_000 };
const COLUMNS: &str = "i.key, i.status, i.severity, i.source, i.updated_at";

/// Returns the incidents after a position.
pub(super) async fn list(
    client: &impl GenericClient,
    filter: &IncidentFilter,
    order: &Order,
    after: Option<&Position>,
    limit: usize,
) -> Result<Page<Listed<IncidentRow>, Position>> {
    let mut page = Filling::new(limit);
    let places = places(client, filter, order, after, limit + 1).await?;
    for block in places.chunks(READ_TOGETHER) {
        let keys: Vec<i64> = block.iter().map(|(key, _)| *key).collect();
        let found = incidents::of_keys(client, &keys).await?;
        for (key, position) in block {
            if !page.has_room() {
                return Ok(page.finish());
            }
            if let Some(row) = found.get(key) {
                page.push(position.clone(), row.listed()?, row.bytes()?);
            }
        }
    }
    Ok(page.finish())
}

/// Counts the incidents that pass a filter, up to a number.
pub(super) async fn count(client: &impl GenericClient, filter: &IncidentFilter, max: usize) -> Result<BoundedCount> {
    let max = if *filter == IncidentFilter::default() { ALL_COUNTED_MAX } else { max };
    bounded_count(client, conditions(client, filter).await?, max).await
}

async fn bounded_count(client: &impl GenericClient, mut conditions: Conditions, max: usize) -> Result<BoundedCount> {
    let (limit, where_sql) = (conditions.parameter(max + 1), conditions.sql());
    let sql = format!("SELECT count(*) FROM (SELECT FROM incidents i {where_sql} LIMIT {limit}) AS found");
    Ok(BoundedCount::up_to(max, cell(client, &sql, &conditions.values).await?))
}

/// Returns the keys and the positions of the first incidents after a position.
async fn places(
    client: &impl GenericClient,
    filter: &IncidentFilter,
    order: &Order,
    after: Option<&Position>,
    limit: usize,
) -> Result<Vec<(i64, Position)>> {
    let conditions = conditions(client, filter).await?;
    let classes = IncidentFilter { status: vec![], severity: vec![], source: vec![], ..filter.clone() };
    let may_be_few = !order.is_by_creation() && classes != IncidentFilter::default();
    if may_be_few && !bounded_count(client, conditions.clone(), SORTED_MAX).await?.has_more {
        // With the offset, the planner does not look for the rows in their order.
        let inner = format!("(SELECT {COLUMNS} FROM incidents i {} OFFSET 0)", conditions.sql());
        let mut outer = conditions.around();
        after.iter().for_each(|position| add_after(&mut outer, order.keys(), position.values()));
        return read(client, &inner, outer, order, order.keys(), limit).await;
    }
    let (leading, rest) = order.keys().split_at(order.leading());
    let reached = after.map(|position| (order.directed(position), position));
    let mut places = Vec::new();
    for (group, classes) in groups(client, filter, order).await? {
        let mut conditions = conditions.clone();
        match &reached {
            Some((directed, _)) if group[..] < directed[..leading.len()] => continue,
            Some((directed, position)) if group[..] == directed[..leading.len()] => {
                add_after(&mut conditions, rest, &position.values()[leading.len()..]);
            }
            _ => {}
        }
        add_group(&mut conditions, leading, &classes);
        places.extend(read(client, "incidents", conditions, order, rest, limit - places.len()).await?);
        if places.len() == limit {
            break;
        }
    }
    Ok(places)
}

/// Returns the first places of a table of incidents that pass conditions, sorted by some keys.
async fn read(
    client: &impl GenericClient,
    table: &str,
    mut conditions: Conditions,
    order: &Order,
    sorted_by: &[Sorting],
    limit: usize,
) -> Result<Vec<(i64, Position)>> {
    let (limit, where_sql, order_sql) = (conditions.parameter(limit), conditions.sql(), order_by(sorted_by));
    let sql = format!("SELECT {COLUMNS} FROM {table} i {where_sql} {order_sql} LIMIT {limit}");
    let place = |row: &dyn Cells| {
        let place: Place = (value(row, 4, "updated_at")?, value(row, 0, "key")?);
        Ok((place.1, class(row, 1)?.position(order, place)))
    };
    raw_rows(client, &sql, &conditions.values).await?.iter().map(|row| place(row)).collect()
}

/// Returns the classes of incidents in groups that are equal in the keys of an order before the first time, in this order.
async fn groups(
    client: &impl GenericClient,
    filter: &IncidentFilter,
    order: &Order,
) -> Result<BTreeMap<Vec<Directed>, Vec<Class>>> {
    let leading = order.leading();
    if leading == 0 {
        return Ok(BTreeMap::from([(Vec::new(), Vec::new())]));
    }
    let passes = |class: &Class| {
        (filter.status.is_empty() || filter.status.iter().any(|status| status.as_str() == class.status))
            && (filter.severity.is_empty()
                || filter.severity.iter().any(|severity| severity.as_str() == class.severity))
    };
    let by_source = order.keys()[..leading].iter().any(|sorting| sorting.key == SortKey::Source);
    let mut groups: BTreeMap<Vec<Directed>, Vec<Class>> = BTreeMap::new();
    for class in classes(client, by_source).await?.into_iter().filter(passes) {
        let mut group = order.directed(&class.position(order, Place::default()));
        group.truncate(leading);
        groups.entry(group).or_default().push(class);
    }
    Ok(groups)
}

/// Returns the classes of incidents, each found by a step in an index; without the sources, which may be many, if the order
/// does not need them.
async fn classes(client: &impl GenericClient, with_source: bool) -> Result<Vec<Class>> {
    let (columns, reached, source) = match with_source {
        true => ("status, severity, source", "(reached.status, reached.severity, reached.source)", "source"),
        false => ("status, severity", "(reached.status, reached.severity)", "''"),
    };
    let sql = format!(
        "WITH RECURSIVE reached AS ( \
             (SELECT {columns} FROM incidents WHERE NOT deleted ORDER BY {columns} LIMIT 1) \
             UNION ALL SELECT next.* FROM reached CROSS JOIN LATERAL (SELECT {columns} FROM incidents \
                 WHERE NOT deleted AND ({columns}) > {reached} ORDER BY {columns} LIMIT 1) AS next \
         ) SELECT status, severity, {source} FROM reached"
    );
    raw_rows(client, &sql, &[]).await?.iter().map(|row| class(row, 0)).collect()
}

/// Reads a class from columns.
fn class(row: &dyn Cells, first: usize) -> Result<Class> {
    Ok(Class {
        status: value(row, first, "status")?,
        severity: value(row, first + 1, "severity")?,
        source: value(row, first + 2, "source")?,
    })
}
