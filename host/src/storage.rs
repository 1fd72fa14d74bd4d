//! The space that the store uses, and how long the disk will last.

use crate::disk::Disk;
use hookmill_store::{Retention, RowCount, StorageUse, StoredKind};
use serde_json::{Value, json};
use std::time::Duration;

const MIB: f64 = 1024.0 * 1024.0;
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The growth is that of the last week.
const GROWTH_HOURS: i64 = 7 * 24;
/// A shorter time tells little about the growth of a day.
const GROWTH_HOURS_MIN: i64 = 6;
/// When space was low, it has to exceed the bounds by this factor to be enough again.
const ENOUGH: f64 = 1.25;

/// The space that the store uses at a time, and that of its disk.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The space that the store uses.
    pub store: StorageUse,
    /// The free space of the disk, if the disk can be asked.
    pub disk_free_bytes: Option<u64>,
    /// The space that should be free.
    pub disk_free_bytes_min: u64,
    now_ms: i64,
}

impl Storage {
    /// Returns the space at a time.
    pub fn new(store: StorageUse, disk: &Disk, now_ms: i64) -> Self {
        Self { store, disk_free_bytes: disk.free_bytes(), disk_free_bytes_min: disk.free_bytes_min(), now_ms }
    }

    /// Returns by how many bytes the used space grows in a day; `None` until it was observed for some hours.
    pub fn growth_bytes_per_day(&self) -> Option<f64> {
        let hour = self.now_ms / HOUR_MS;
        let (first, bytes) = self.store.samples.iter().find(|(at, _)| (hour - GROWTH_HOURS..=hour).contains(at))?;
        let hours = hour - first;
        (hours >= GROWTH_HOURS_MIN).then(|| (self.store.used_bytes() as f64 - *bytes as f64) * 24.0 / hours as f64)
    }

    /// Returns in how many days less space will be free than should be; `None` if that is not known or the used space
    /// does not grow.
    pub fn days_until_low(&self) -> Option<f64> {
        let growth = self.growth_bytes_per_day().filter(|growth| *growth > 0.0)?;
        let room = self.disk_free_bytes? as f64 - self.disk_free_bytes_min as f64 + self.store.free_bytes as f64;
        Some((room / growth).max(0.0))
    }

    /// Returns why the disk becomes too small: it has too little free space, or will have within `forecast`. With
    /// `was_low`, it needs some more to be large enough again.
    pub fn shortage(&self, forecast: Duration, was_low: bool) -> Option<String> {
        let factor = if was_low { ENOUGH } else { 1.0 };
        let (free, min) = (self.disk_free_bytes? as f64, self.disk_free_bytes_min as f64);
        if free < min * factor {
            return Some(format!("{:.0} MiB are free, and {:.0} MiB should be", free / MIB, min / MIB));
        }
        let (days, growth) = (self.days_until_low()?, self.growth_bytes_per_day()?);
        (days < forecast.as_secs_f64() / 86_400.0 * factor).then(|| {
            format!(
                "{:.0} MiB are free, the data grows by {:.0} MiB a day, and in {days:.1} days less than {:.0} MiB will be free",
                free / MIB,
                growth / MIB,
                min / MIB
            )
        })
    }

    /// Returns the message of a notification about a shortage.
    pub fn notice(&self, reason: &str) -> Value {
        json!({"object": {
            "reason": reason,
            "disk_free_bytes": self.disk_free_bytes,
            "database_bytes": self.store.database_bytes,
            "growth_bytes_per_day": self.growth_bytes_per_day().map(|growth| growth as i64),
            "days_until_low": self.days_until_low().map(|days| days as i64),
        }})
    }

    /// Returns the rows of a kind that reach the age of their retention within a day; `None` without such an age. Rows
    /// that have to stay are among them.
    pub fn due_in_a_day(&self, retention: &Retention, kind: StoredKind) -> Option<RowCount> {
        let age_ms = i64::try_from(retention.age(kind)?.as_millis()).unwrap_or(i64::MAX);
        let day = (self.now_ms + DAY_MS).saturating_sub(age_ms).div_euclid(DAY_MS);
        Some(self.store.kinds.get(&kind).map(|found| found.before(day)).unwrap_or_default())
    }
}
