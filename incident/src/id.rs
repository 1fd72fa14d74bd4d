//! Ids of everything that the store holds: UUIDs of version 7 that contain the key of their row.
//!
//! RFC 9562 leaves open how the bits after the millisecond are filled. Here the next 15 hold a counter (its section
//! 6.2, method 1) and the last 59 are random. Time and counter together are the row key: unique within one store, and a
//! positive 64-bit integer like SQLite's own row id. No table needs a second index to find a row by its UUID, and rows
//! lie on disk in the order in which they were made.

use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

const COUNTER_BITS: u32 = 15;

/// The number of slots of sources that make ids for one store at the same time.
pub const SLOTS: u64 = 32;

/// A source of ids that always grow, even if the clock is set back.
#[derive(Debug)]
pub struct IdSource {
    last: AtomicU64,
    /// The lowest bits of all keys, if other sources make ids for the same store.
    slot: Option<AtomicU64>,
}

impl IdSource {
    /// Returns a source whose ids follow `last_row_key`, the largest row key in the store.
    pub fn after(last_row_key: i64) -> Self {
        Self { last: AtomicU64::new(last_row_key.unsigned_abs()), slot: None }
    }

    /// Returns one of at most [`SLOTS`] sources that make ids for one store at the same time, each in a slot of its own:
    /// their row keys differ in the lowest bits.
    pub fn in_slot(slot: u64, last_row_key: i64) -> Self {
        Self { slot: Some(AtomicU64::new(slot % SLOTS)), ..Self::after(last_row_key) }
    }

    /// Moves a source that has a slot to another one.
    pub fn set_slot(&self, slot: u64) {
        if let Some(own) = &self.slot {
            own.store(slot % SLOTS, Ordering::Relaxed);
        }
    }

    /// Makes all further ids follow a row key that another source made.
    pub fn advance(&self, row_key: i64) {
        self.last.fetch_max(row_key.unsigned_abs(), Ordering::Relaxed);
    }

    /// Returns the largest row key so far.
    pub fn last_row_key(&self) -> i64 {
        self.last.load(Ordering::Relaxed) as i64
    }

    /// Returns a new id at this time, in milliseconds since the Unix epoch.
    pub fn next(&self, now_ms: i64) -> Uuid {
        let now = row_key_at(now_ms).unsigned_abs();
        let slot = self.slot.as_ref().map(|slot| slot.load(Ordering::Relaxed));
        let newer = |last: u64| first_in_slot(slot, now.max(last + 1));
        let update = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(newer(last)));
        from_key(newer(update.unwrap_or_else(|last| last)), random_bits())
    }
}

/// Returns the first key from this one on that a source with this slot may use.
fn first_in_slot(slot: Option<u64>, key: u64) -> u64 {
    let Some(slot) = slot else { return key };
    let own = key / SLOTS * SLOTS + slot;
    if own < key { own + SLOTS } else { own }
}

/// Returns the row key of an id.
pub fn row_key(id: Uuid) -> i64 {
    let bits = id.as_u128();
    let ms = (bits >> 80) as i64;
    let counter = ((bits >> 64) & 0xfff) << 3 | (bits >> 59) & 0b111;
    ms << COUNTER_BITS | counter as i64
}

/// Returns the smallest row key of an id made at this time.
pub fn row_key_at(unix_ms: i64) -> i64 {
    unix_ms.clamp(0, i64::MAX >> COUNTER_BITS) << COUNTER_BITS
}

/// Returns an id that comes before every id made from this time on.
pub fn before(unix_ms: i64) -> Uuid {
    from_key(row_key_at(unix_ms).unsigned_abs().saturating_sub(1), 0)
}

/// Returns the time in a row key, in milliseconds since the Unix epoch.
pub fn row_key_ms(row_key: i64) -> i64 {
    row_key >> COUNTER_BITS
}

fn from_key(key: u64, random: u64) -> Uuid {
    const VERSION: u128 = 0x7 << 76;
    const VARIANT: u128 = 0b10 << 62;
    let (ms, counter) = (u128::from(key >> COUNTER_BITS), u128::from(key & ((1 << COUNTER_BITS) - 1)));
    let random = u128::from(random & ((1 << 59) - 1));
    Uuid::from_u128(ms << 80 | VERSION | (counter >> 3) << 64 | VARIANT | (counter & 0b111) << 59 | random)
}

/// Returns bits that make ids of different stores differ; they need not be secret.
fn random_bits() -> u64 {
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};
    thread_local! {
        static STATE: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
    }
    STATE.with(|(hasher, count)| {
        count.set(count.get() + 1);
        hasher.hash_one(count.get())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    #[test]
    fn ids_grow_carry_their_key_and_are_version_7() {
        let source = IdSource::after(0);
        let ids: Vec<Uuid> = (0..100_000).map(|_| source.next(Clock::default().now_ms())).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1] && row_key(pair[0]) < row_key(pair[1])));
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
        assert!((row_key_ms(row_key(ids[0])) - Clock::default().now_ms()).abs() < 60_000);
    }

    #[test]
    fn sources_in_slots_make_different_keys_and_follow_each_other() {
        let (first, second) = (IdSource::in_slot(0, 0), IdSource::in_slot(31, 0));
        let mut keys: Vec<i64> = Vec::new();
        for _ in 0..3_000 {
            keys.extend([&first, &second].map(|source| row_key(source.next(1_000))));
        }
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(keys.iter().map(|key| key % 32).collect::<std::collections::BTreeSet<_>>(), [0, 31].into());
        first.advance(second.last_row_key() + 5_000);
        assert!(row_key(first.next(1_000)) > second.last_row_key() + 5_000);
    }

    #[test]
    fn a_clock_set_back_does_not_repeat_a_key() {
        let future = row_key_at(Clock::default().now_ms() + 3_600_000);
        assert_eq!(row_key(IdSource::after(future).next(Clock::default().now_ms())), future + 1);
    }
}
