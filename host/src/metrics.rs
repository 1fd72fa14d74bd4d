//! The metrics of the host, in Prometheus' text format.
//!
//! Label values are names of registered sources, plugins and destinations; any other name becomes `unknown`.

mod storage_metrics;

use crate::storage::Storage;
use hookmill_incident::EventStatus;
use hookmill_store::HostIdentity;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;
use storage_metrics::{FloatGauge, KindLabel, StorageMetrics};

/// The label value for sources that are not registered.
pub const UNKNOWN: &str = "unknown";

macro_rules! labels {
    ($($name:ident { $($label:ident),* })*) => {$(
        #[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
        struct $name { $($label: String),* }
    )*};
}

labels! {
    SourceLabel { source }
    ErrorLabels { source, code }
    EventLabels { source, status }
    PluginLabel { plugin }
    ReloadLabels { plugin, result }
    PluginInfoLabels { plugin, version, sha256 }
    HostInfoLabels { id, name, version }
    LeaseLabel { lease }
    TriageLabels { playbook, result }
    DeliveryLabels { destination, result }
    DestinationLabel { destination }
    ResultLabel { result }
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric of the host.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    received: Family<SourceLabel, Counter>,
    errors: Family<ErrorLabels, Counter>,
    events: Family<EventLabels, Counter>,
    unauthorized: Counter,
    mapping_duration: Histograms<PluginLabel>,
    reloads: Family<ReloadLabels, Counter>,
    plugin_info: Family<PluginInfoLabels, Gauge>,
    host_info: Family<HostInfoLabels, Gauge>,
    lease_held: Family<LeaseLabel, Gauge>,
    quarantined_events: Gauge,
    triages: Family<TriageLabels, Counter>,
    triage_waiting: Gauge,
    deliveries: Family<DeliveryLabels, Counter>,
    delivery_queue_depth: Family<DestinationLabel, Gauge>,
    stream_readers: Gauge,
    stream_pages: Counter,
    retention_removed: Family<KindLabel, Counter>,
    retention_passes: Family<ResultLabel, Counter>,
    retention_last_done: Gauge,
    storage: StorageMetrics,
    counted_at: Gauge,
    commit_batch_size: Histogram,
    commit_duration: Histogram,
    backup_last_success: Gauge,
    backup_duration: FloatGauge,
    backup_size: Gauge,
    backup_failures: Counter,
    spans_dropped: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mapping =
            || Histogram::new([5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 0.5, 1.0]);
        let mut metrics = Self {
            registry: Registry::default(),
            received: Family::default(),
            errors: Family::default(),
            events: Family::default(),
            unauthorized: Counter::default(),
            mapping_duration: Family::new_with_constructor(mapping),
            reloads: Family::default(),
            plugin_info: Family::default(),
            host_info: Family::default(),
            lease_held: Family::default(),
            quarantined_events: Gauge::default(),
            triages: Family::default(),
            triage_waiting: Gauge::default(),
            deliveries: Family::default(),
            delivery_queue_depth: Family::default(),
            stream_readers: Gauge::default(),
            stream_pages: Counter::default(),
            retention_removed: Family::default(),
            retention_passes: Family::default(),
            retention_last_done: Gauge::default(),
            storage: StorageMetrics::default(),
            counted_at: Gauge::default(),
            commit_batch_size: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
            commit_duration: Histogram::new([1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5]),
            backup_last_success: Gauge::default(),
            backup_duration: Gauge::default(),
            backup_size: Gauge::default(),
            backup_failures: Counter::default(),
            spans_dropped: Counter::default(),
        };
        let registry = &mut metrics.registry;
        // Counters are registered without `_total`, because the text format adds this suffix.
        registry.register("webhook_received", "Payloads received", metrics.received.clone());
        registry.register(
            "webhook_errors",
            "Payloads that were refused or could not be mapped",
            metrics.errors.clone(),
        );
        registry.register("events", "Events by the status that they got", metrics.events.clone());
        registry.register(
            "unauthorized_requests",
            "Requests to the API without a valid token",
            metrics.unauthorized.clone(),
        );
        registry.register("mapping_duration_seconds", "Duration of one mapper call", metrics.mapping_duration.clone());
        registry.register(
            "plugin_reloads",
            "Plugin files that were loaded, refused or removed",
            metrics.reloads.clone(),
        );
        registry.register("plugin_info", "Loaded plugins, each with the value 1", metrics.plugin_info.clone());
        registry.register(
            "host_info",
            "This host among those that share the database, with the value 1",
            metrics.host_info.clone(),
        );
        registry.register("lease_held", "Leases of this host, each with the value 1", metrics.lease_held.clone());
        registry.register("quarantined_events", "Events in quarantine", metrics.quarantined_events.clone());
        registry.register("triages", "Playbook calls by result", metrics.triages.clone());
        registry.register("triage_waiting", "Incidents waiting for a playbook", metrics.triage_waiting.clone());
        registry.register("deliveries", "Delivery attempts by result", metrics.deliveries.clone());
        registry.register("delivery_queue_depth", "Pending deliveries", metrics.delivery_queue_depth.clone());
        registry.register("stream_readers", "Clients connected to the stream", metrics.stream_readers.clone());
        registry.register(
            "stream_pages",
            "Pages of the stream read from the store for a single reader that is behind",
            metrics.stream_pages.clone(),
        );
        registry.register("retention_removed_rows", "Rows that retention removed", metrics.retention_removed.clone());
        registry.register("retention_passes", "Looks for rows to remove", metrics.retention_passes.clone());
        registry.register(
            "retention_last_done_timestamp_seconds",
            "End of the newest look that removed all that was old enough; 0 without one",
            metrics.retention_last_done.clone(),
        );
        metrics.storage.register(registry);
        registry.register(
            "store_counted_timestamp_seconds",
            "Time at which rows were last counted, for all metrics that show what the store has; 0 before",
            metrics.counted_at.clone(),
        );
        registry.register("store_commit_batch_size", "Writes per commit", metrics.commit_batch_size.clone());
        registry.register(
            "store_commit_duration_seconds",
            "Duration of one durable commit",
            metrics.commit_duration.clone(),
        );
        registry.register(
            "backup_last_success_timestamp_seconds",
            "Time of the newest complete backup; 0 without one",
            metrics.backup_last_success.clone(),
        );
        registry.register("backup_duration_seconds", "Duration of the last backup", metrics.backup_duration.clone());
        registry.register("backup_size_bytes", "Size of the newest complete backup", metrics.backup_size.clone());
        registry.register("backup_failures", "Scheduled backups that failed", metrics.backup_failures.clone());
        registry.register(
            "trace_spans_dropped",
            "Spans that the collector of traces did not get",
            metrics.spans_dropped.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Counts a payload that arrived for a registered source, or for [`UNKNOWN`].
    pub fn received(&self, source: &str) {
        self.received.get_or_create(&SourceLabel { source: source.to_owned() }).inc();
    }

    /// Counts a payload that was refused or not mapped.
    pub fn error(&self, source: &str, code: &str) {
        self.errors.get_or_create(&ErrorLabels { source: source.to_owned(), code: code.to_owned() }).inc();
    }

    /// Counts an event that got a status: when it was stored, or when it was mapped again.
    pub fn event(&self, source: &str, status: EventStatus) {
        self.events.get_or_create(&EventLabels { source: source.to_owned(), status: status.to_string() }).inc();
    }

    /// Counts a request to the API without a valid token.
    pub fn unauthorized(&self) {
        self.unauthorized.inc();
    }

    /// Records the time of one mapper call.
    pub fn mapping_duration(&self, plugin: &str, duration: Duration) {
        self.mapping_duration.get_or_create(&PluginLabel { plugin: plugin.to_owned() }).observe(duration.as_secs_f64());
    }

    /// Counts a plugin file that was `loaded`, `refused` or `removed`.
    pub fn reload(&self, plugin: &str, result: &str) {
        self.reloads.get_or_create(&ReloadLabels { plugin: plugin.to_owned(), result: result.to_owned() }).inc();
    }

    /// Sets the plugins that are loaded, as name, version and digest.
    pub fn set_plugins<'a>(&self, plugins: impl Iterator<Item = (&'a str, &'a str, &'a str)>) {
        self.plugin_info.clear();
        for (plugin, version, sha256) in plugins {
            let labels =
                PluginInfoLabels { plugin: plugin.to_owned(), version: version.to_owned(), sha256: sha256.to_owned() };
            self.plugin_info.get_or_create(&labels).set(1);
        }
    }

    /// Sets who this host is among those that share the database.
    pub fn set_host(&self, host: &HostIdentity) {
        let HostIdentity { id, name, version } = host.clone();
        self.host_info.get_or_create(&HostInfoLabels { id, name, version }).set(1);
    }

    /// Sets the leases that the host holds.
    pub fn set_leases(&self, leases: Vec<String>) {
        self.lease_held.clear();
        for lease in leases {
            self.lease_held.get_or_create(&LeaseLabel { lease }).set(1);
        }
    }

    /// Sets the number of events in quarantine.
    pub fn set_quarantined(&self, events: i64) {
        self.quarantined_events.set(events);
    }

    /// Counts a playbook call: `done`, `failed`, or `again` if the playbook will be called again.
    pub fn triage(&self, playbook: &str, result: &str) {
        self.triages.get_or_create(&TriageLabels { playbook: playbook.to_owned(), result: result.to_owned() }).inc();
    }

    /// Sets the number of incidents that wait for a playbook.
    pub fn set_triage_waiting(&self, incidents: i64) {
        self.triage_waiting.set(incidents);
    }

    /// Counts a delivery attempt: `delivered`, `skipped`, `retry` or `dead`.
    pub fn delivery(&self, destination: &str, result: &str) {
        let labels = DeliveryLabels { destination: destination.to_owned(), result: result.to_owned() };
        self.deliveries.get_or_create(&labels).inc();
    }

    /// Sets the number of pending deliveries of a destination.
    pub fn set_delivery_queue(&self, destination: &str, depth: i64) {
        self.delivery_queue_depth.get_or_create(&DestinationLabel { destination: destination.to_owned() }).set(depth);
    }

    /// Sets the time at which rows were last counted.
    pub fn set_counted_at(&self, unix_s: i64) {
        self.counted_at.set(unix_s);
    }

    /// Sets the number of stream readers.
    pub fn set_stream_readers(&self, readers: i64) {
        self.stream_readers.set(readers);
    }

    /// Counts a page of the stream that was read from the store for one reader that is behind the others.
    pub fn stream_page(&self) {
        self.stream_pages.inc();
    }

    /// Counts rows that retention removed.
    pub fn retention_removed(&self, kind: &str, rows: u64) {
        self.retention_removed.get_or_create(&KindLabel { kind: kind.to_owned() }).inc_by(rows);
    }

    /// Counts a look at everything that may be old enough to be removed: `done`, `failed`, or `clock` if the clock may be
    /// wrong.
    pub fn retention_pass(&self, result: &str) {
        self.retention_passes.get_or_create(&ResultLabel { result: result.to_owned() }).inc();
    }

    /// Records when a pass removed everything that was old enough.
    pub fn retention_done(&self, unix_s: i64) {
        self.retention_last_done.set(unix_s);
    }

    /// Sets the space that the store uses.
    pub fn set_storage(&self, storage: &Storage) {
        self.storage.set(storage);
    }

    /// Records one commit of the store.
    pub fn commit(&self, writes: usize, duration: Duration) {
        self.commit_batch_size.observe(writes as f64);
        self.commit_duration.observe(duration.as_secs_f64());
    }

    /// Records the newest complete backup. Its duration is not known if another process made it.
    pub fn backup(&self, unix_s: i64, duration: Option<Duration>, bytes: u64) {
        self.backup_last_success.set(unix_s);
        self.backup_size.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        if let Some(duration) = duration {
            self.backup_duration.set(duration.as_secs_f64());
        }
    }

    /// Counts a backup that failed.
    pub fn backup_failure(&self) {
        self.backup_failures.inc();
    }

    /// Counts spans that the collector of traces did not get.
    pub fn spans_dropped(&self, spans: u64) {
        self.spans_dropped.inc_by(spans);
    }

    /// Returns all metrics in Prometheus' text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(std::fmt::Error) => String::new(),
        }
    }
}
