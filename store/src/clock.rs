//! The source of ids and times of all writes.

use hookmill_incident::Clock;
use hookmill_incident::id::IdSource;
use jiff::Timestamp;
use uuid::Uuid;

/// The source of ids and times. Tests set the time and get the same ids in every run.
#[derive(Debug)]
pub(crate) struct WriteClock {
    ids: IdSource,
    times: Clock,
    #[cfg(test)]
    fixed: Option<fixed::Fixed>,
}

impl WriteClock {
    /// Returns a clock whose ids come after `last_key`, the largest key in the database.
    pub fn after(last_key: i64, times: Clock) -> Self {
        Self::with(IdSource::after(last_key), times)
    }

    /// Returns a clock with a source of ids.
    pub fn with(ids: IdSource, times: Clock) -> Self {
        Self {
            ids,
            times,
            #[cfg(test)]
            fixed: None,
        }
    }

    /// Returns a new id, larger than all before it.
    pub fn new_id(&self) -> Uuid {
        #[cfg(test)]
        if let Some(fixed) = &self.fixed {
            return fixed.new_id();
        }
        self.ids.next(self.times.now_ms())
    }

    /// Makes all further ids follow a row key that another host made.
    pub fn advance(&self, row_key: i64) {
        self.ids.advance(row_key);
    }

    /// Moves the ids to the slot of the host.
    pub fn set_slot(&self, slot: u64) {
        self.ids.set_slot(slot);
    }

    /// Returns the largest row key so far.
    pub fn last_row_key(&self) -> i64 {
        #[cfg(test)]
        if let Some(fixed) = &self.fixed {
            return fixed.last_row_key();
        }
        self.ids.last_row_key()
    }

    /// Returns the time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        #[cfg(test)]
        if let Some(fixed) = &self.fixed {
            return fixed.now_ms();
        }
        self.times.now_ms()
    }

    /// Returns the time for removing what is too old; `None` if the clock may be wrong.
    pub fn steady_ms(&self) -> Option<i64> {
        #[cfg(test)]
        if let Some(fixed) = &self.fixed {
            return Some(fixed.now_ms());
        }
        self.times.steady_ms()
    }

    /// Returns the clock of the host.
    pub fn times(&self) -> &Clock {
        &self.times
    }

    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        #[cfg(test)]
        if let Some(fixed) = &self.fixed {
            return Timestamp::from_millisecond(fixed.now_ms()).unwrap_or_default();
        }
        self.times.now()
    }
}

#[cfg(test)]
mod fixed {
    use super::{Clock, WriteClock};
    use hookmill_incident::id::IdSource;
    use std::sync::atomic::{AtomicI64, Ordering};
    use uuid::Uuid;

    /// A time that only the test moves.
    #[derive(Debug)]
    pub struct Fixed {
        now_ms: AtomicI64,
        last_key: AtomicI64,
    }

    impl Fixed {
        pub fn now_ms(&self) -> i64 {
            self.now_ms.load(Ordering::Relaxed)
        }

        pub fn last_row_key(&self) -> i64 {
            self.last_key.load(Ordering::Relaxed)
        }

        pub fn new_id(&self) -> Uuid {
            let key = (self.now_ms() << 15).max(self.last_key.load(Ordering::Relaxed) + 1);
            self.last_key.store(key, Ordering::Relaxed);
            let (ms, counter) = ((key >> 15) as u128, (key & 0x7fff) as u128);
            Uuid::from_u128(ms << 80 | 0x7 << 76 | (counter >> 3) << 64 | 0b10 << 62 | (counter & 0b111) << 59)
        }
    }

    impl WriteClock {
        /// Returns a clock that is stopped at this time, and whose ids come after `last_key`.
        pub fn fixed(now_ms: i64, last_key: i64) -> Self {
            let fixed = Fixed { now_ms: AtomicI64::new(now_ms), last_key: AtomicI64::new(last_key) };
            Self { ids: IdSource::after(0), times: Clock::default(), fixed: Some(fixed) }
        }

        /// Moves a fixed clock.
        pub fn set(&self, now_ms: i64) {
            if let Some(fixed) = &self.fixed {
                fixed.now_ms.store(now_ms, Ordering::Relaxed);
            }
        }
    }
}
