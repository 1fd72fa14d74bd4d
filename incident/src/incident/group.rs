//! Bounded lists without repeats.

use std::collections::HashMap;

/// The bounds of a list, and the way in which its items are distinguished and merged.
pub(super) struct Group<T> {
    pub items_max: usize,
    /// The maximum number of bytes of all items together, in JSON.
    pub bytes_max: usize,
    /// Returns the parts by which equal items are recognised.
    pub key: fn(&T) -> (&str, &str),
    /// Returns an upper bound of the bytes of an item in JSON.
    pub bytes: fn(&T) -> usize,
    /// Returns whether an item can be stored at all.
    pub fits: fn(&T) -> bool,
    /// Merges an item into the known one of the same key. Returns the number of parts that were left out.
    pub merge: fn(&mut T, T, &mut Room) -> u64,
}

impl<T> Group<T> {
    /// Adds items to a list. Returns the number of items and parts that were left out.
    pub fn unite(&self, list: &mut Vec<T>, mut items: Vec<T>) -> u64 {
        let count = items.len();
        items.retain(self.fits);
        let mut left_out = (count - items.len()) as u64;
        if items.is_empty() {
            return left_out;
        }
        let mut room = Room::of(self.bytes_max, list.iter().map(self.bytes));
        let firsts = self.firsts(list, &items);
        // The place in the list of each known and each added item; none for those that were left out.
        let mut places: Vec<Option<usize>> = (0..list.len()).map(Some).collect();
        for (item, first) in items.into_iter().zip(firsts) {
            let mut place = places.get(first).copied().flatten();
            match place {
                Some(known) => left_out += (self.merge)(&mut list[known], item, &mut room),
                None if list.len() < self.items_max && room.take((self.bytes)(&item)) => {
                    place = Some(list.len());
                    list.push(item);
                }
                None => left_out += 1,
            }
            places.push(place);
        }
        left_out
    }

    /// Returns for each item the position of the first one with its key, in the list followed by the items.
    fn firsts(&self, list: &[T], items: &[T]) -> Vec<usize> {
        let mut firsts = HashMap::with_capacity(list.len() + items.len());
        let all = list.iter().chain(items).enumerate();
        all.map(|(position, item)| *firsts.entry((self.key)(item)).or_insert(position)).skip(list.len()).collect()
    }
}

/// The bytes that are left in the share of one group.
pub(super) struct Room(usize);

impl Room {
    /// Returns a room without a bound.
    pub fn all() -> Self {
        Self(usize::MAX)
    }

    /// Returns what is left of a share.
    pub fn of(share: usize, used: impl Iterator<Item = usize>) -> Self {
        Self(share.saturating_sub(used.sum()))
    }

    /// Takes bytes. Returns whether there were enough.
    pub fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }

    /// Gives bytes back.
    pub fn give(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes);
    }
}
