//! A walk through lists of incidents in one order.

use super::key_lists::{KeyList, OpenList, Scan};
use crate::rows::{BoundedCount, Class, Directed, Order, Place, Position, SortKey, SortValue};
use anyhow::Result;
use rusqlite::Connection;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

/// The rows of lists among which those that pass are counted: so many are looked at in a fraction of a second.
const LOOKED_AT_MAX: usize = 50_000;

/// A walk through some lists. Each incident comes once, after the position of the page before.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    connection: &'a Connection,
    order: &'a Order,
    scan: Scan,
    after: Option<Vec<Directed>>,
    /// Lists that are equal in the keys before the first time, from the last group to the first.
    groups: Vec<Vec<(Class, OpenList)>>,
    /// The lists of the present group.
    open: Vec<(Class, OpenList)>,
    /// The next place of each open list, by its index.
    heads: BinaryHeap<Reverse<Head>>,
    last: Option<Place>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    directed: Vec<Directed>,
    list: usize,
    place: Place,
}

impl<'a> Walk<'a> {
    /// Begins a walk. In an order by other keys than the creation, each list has the incidents of one class, by their
    /// time of update if the order depends on it.
    pub fn new(
        connection: &'a Connection,
        order: &'a Order,
        scan: Scan,
        after: Option<&Position>,
        lists: Vec<(Class, KeyList)>,
    ) -> Self {
        let (leading, first_time) = (order.leading(), order.first_time());
        let (after, reached) = (after.map(|position| order.directed(position)), after);
        let mut groups: BTreeMap<Vec<Directed>, Vec<(Class, OpenList)>> = BTreeMap::new();
        for (class, list) in lists {
            let mut group = order.directed(&class.position(order, Place::default()));
            group.truncate(leading);
            let compared = after.as_ref().map_or(Ordering::Greater, |after| group.as_slice().cmp(&after[..leading]));
            let from = match (compared, reached.map(|position| &position.values()[leading])) {
                (Ordering::Less, _) => continue,
                (Ordering::Equal, Some(SortValue::Number(key))) if first_time == SortKey::CreatedAt => (0, *key),
                (Ordering::Equal, Some(SortValue::Number(time))) => (*time, scan.start().1),
                (Ordering::Equal | Ordering::Greater, _) => scan.start(),
            };
            groups.entry(group).or_default().push((class, OpenList::new(list, from)));
        }
        let groups = groups.into_values().rev().collect();
        Self { connection, order, scan, after, groups, open: Vec::new(), heads: BinaryHeap::new(), last: None }
    }

    /// Returns the place in its list and the position of the next incident.
    pub fn next(&mut self) -> Result<Option<(Place, Position)>> {
        loop {
            let Some(Reverse(head)) = self.heads.pop() else {
                match self.groups.pop() {
                    None => return Ok(None),
                    Some(group) => self.open = group,
                }
                (0..self.open.len()).try_for_each(|list| self.read_head(list))?;
                continue;
            };
            self.read_head(head.list)?;
            let is_repeated = self.last.replace(head.place) == Some(head.place);
            if !is_repeated && self.after.as_ref().is_none_or(|after| head.directed > *after) {
                let position = self.open[head.list].0.position(self.order, head.place);
                return Ok(Some((head.place, position)));
            }
        }
    }

    /// Counts the rows that pass up to a number, among a bounded number of those in the lists.
    pub fn count(&mut self, max: usize, mut passes: impl FnMut(i64) -> Result<bool>) -> Result<BoundedCount> {
        let (mut count, mut looked_at) = (0, 0);
        while let Some(((_, key), _)) = self.next()? {
            let is_found = passes(key)?;
            if looked_at == LOOKED_AT_MAX || (is_found && count == max) {
                return Ok(BoundedCount { count, has_more: true });
            }
            looked_at += 1;
            count += usize::from(is_found);
        }
        Ok(BoundedCount { count, has_more: false })
    }

    fn read_head(&mut self, list: usize) -> Result<()> {
        let (class, open) = &mut self.open[list];
        if let Some(place) = open.next(self.connection, &self.scan)? {
            let directed = self.order.directed(&class.position(self.order, place));
            self.heads.push(Reverse(Head { directed, list, place }));
        }
        Ok(())
    }
}
