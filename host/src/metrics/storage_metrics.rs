//! The metrics of the space that the store uses.

use crate::storage::Storage;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// The kind of rows.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct KindLabel {
    pub kind: String,
}

type FloatGauge = Gauge<f64, AtomicU64>;

/// The space that the store uses, and that of its disk.
#[derive(Debug, Default)]
pub(super) struct StorageMetrics {
    rows: Family<KindLabel, Gauge>,
    bytes: Family<KindLabel, Gauge>,
    database_bytes: Gauge,
    free_bytes: Gauge,
    wal_bytes: Gauge,
    disk_free_bytes: Gauge,
    growth_bytes_per_day: FloatGauge,
    days_until_low: FloatGauge,
}

impl StorageMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("store_rows", "Stored rows by kind", self.rows.clone());
        registry.register("store_content_bytes", "Content of the stored rows by kind, estimated", self.bytes.clone());
        registry.register("store_database_bytes", "Size of the database", self.database_bytes.clone());
        registry.register("store_free_bytes", "Part of the database that is free", self.free_bytes.clone());
        registry.register("store_wal_bytes", "Size of the write-ahead log", self.wal_bytes.clone());
        registry.register(
            "store_disk_free_bytes",
            "Free space on the disk of the data folder",
            self.disk_free_bytes.clone(),
        );
        registry.register(
            "store_growth_bytes_per_day",
            "Growth of the used space in a day; NaN while unknown",
            self.growth_bytes_per_day.clone(),
        );
        registry.register(
            "store_days_until_disk_low",
            "Days until less than limits.free_disk_mib are free; +Inf without growth",
            self.days_until_low.clone(),
        );
    }

    pub fn set(&self, storage: &Storage) {
        for (kind, found) in &storage.store.kinds {
            let (label, total) = (KindLabel { kind: kind.to_string() }, found.total());
            self.rows.get_or_create(&label).set(total.rows);
            self.bytes.get_or_create(&label).set(total.bytes);
        }
        self.database_bytes.set(storage.store.database_bytes as i64);
        self.free_bytes.set(storage.store.free_bytes as i64);
        self.wal_bytes.set(storage.store.wal_bytes as i64);
        self.disk_free_bytes.set(storage.disk_free_bytes.map_or(-1, |bytes| bytes as i64));
        self.growth_bytes_per_day.set(storage.growth_bytes_per_day().unwrap_or(f64::NAN));
        self.days_until_low.set(storage.days_until_low().unwrap_or(f64::INFINITY));
    }
}
