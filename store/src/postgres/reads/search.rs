//! Lists of incidents by filters and in an order.
//!
//! The keys of a page come first, from indexes alone where that is possible, and the records of these incidents after that,
//! some at a time. Few incidents that are not found in their order are all read and sorted: the planner would expect to find
//! them soon in an index with the order, and they may be the last ones there. Of many incidents, those that are equal in the
//! keys before the first time are one group, and the groups are read one after the other until the page is full: within each
//! there is an index with the order of the time.

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
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM incidents i {where_sql} LIMIT {limit}) AS found");
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
    let reached = after.map(|position| (order.directed(position), position));
    if may_be_few(filter, order)
        && let Some(mut few) = all_of_few(client, conditions.clone(), order).await?
    {
        few.retain(|(directed, ..)| reached.as_ref().is_none_or(|(reached, _)| directed > reached));
        few.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        return Ok(few.into_iter().take(limit).map(|(_, key, position)| (key, position)).collect());
    }
    let (leading, rest) = order.keys().split_at(order.leading());
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
        places.extend(read(client, conditions, order, rest, limit - places.len()).await?);
        if places.len() == limit {
            break;
        }
    }
    Ok(places)
}

/// Returns whether the incidents that pass may be few and are not found in their order.
fn may_be_few(filter: &IncidentFilter, order: &Order) -> bool {
    let without_order = filter.q.is_some() || !filter.observable_prefix.is_empty() || !filter.technique.is_empty();
    let of_classes = IncidentFilter { status: vec![], severity: vec![], source: vec![], ..filter.clone() };
    without_order || (!order.is_by_creation() && of_classes != IncidentFilter::default())
}

/// Returns all incidents that pass, with their directed positions, if they are few.
async fn all_of_few(
    client: &impl GenericClient,
    conditions: Conditions,
    order: &Order,
) -> Result<Option<Vec<(Vec<Directed>, i64, Position)>>> {
    let found = read(client, conditions, order, &[], SORTED_MAX + 1).await?;
    let directed = |(key, position): (i64, Position)| (order.directed(&position), key, position);
    Ok((found.len() <= SORTED_MAX).then(|| found.into_iter().map(directed).collect()))
}

/// Returns the first incidents that pass, sorted by some keys of an order.
async fn read(
    client: &impl GenericClient,
    mut conditions: Conditions,
    order: &Order,
    sorted_by: &[Sorting],
    limit: usize,
) -> Result<Vec<(i64, Position)>> {
    let (limit, where_sql, order_sql) = (conditions.parameter(limit), conditions.sql(), order_by(sorted_by));
    let columns = "i.key, i.updated_at, i.status, i.severity, i.source";
    let sql = format!("SELECT {columns} FROM incidents i {where_sql} {order_sql} LIMIT {limit}");
    let place = |row: &dyn Cells| {
        let (key, updated_at) = (value(row, 0, "key")?, value(row, 1, "updated_at")?);
        Ok((key, class(row, 2)?.position(order, (updated_at, key))))
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
