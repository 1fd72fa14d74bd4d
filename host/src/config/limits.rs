//! Limits: of the host as a whole, and of one call of a plugin.

use super::scalar::{EventsPerInstance, MIB, MemoryMib, Mib, Period};
use super::value::Interpolated;
use anyhow::{Result, ensure};
use hookmill_sandbox::PluginLimits;
use hookmill_store::Dedup;
use serde::Deserialize;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// Every limit that does not belong to a single source or destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The limits of one call of a plugin, unless the plugin has its own.
    pub call: PluginLimits,
    /// The times within which a payload counts as a repeat. A source may not accept a signature for longer than
    /// signatures are remembered.
    pub dedup: Dedup,
    /// The largest payload of a source that does not set its own limit.
    pub payload_bytes: usize,
    /// The number of plugin instances that may exist at once.
    pub instances: u32,
    /// The number of writes that may wait for the store before events are answered `store_busy`.
    pub store_queue: usize,
    /// The number of connections that may be open at once.
    pub connections: u32,
    /// The time a connection may take to send the whole head of a request, or to accept any part of an answer.
    pub head_timeout: Duration,
    /// The time the body of a request may take.
    pub body_timeout: Duration,
    /// The memory that the bodies of all requests may use together.
    pub body_memory_bytes: usize,
    /// The host is not ready while less space is free on the disk of the data folder.
    pub free_disk_bytes: u64,
    /// The time for which the disk of the data folder should have enough free space.
    pub disk_forecast: Duration,
    /// The number of payloads that all sources together may send in a second.
    pub requests_per_second: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call: PluginLimits::default(),
            dedup: Dedup { retention: Duration::from_secs(7 * 24 * 60 * 60), window: Duration::from_secs(300) },
            payload_bytes: MIB,
            instances: 16,
            store_queue: 4096,
            connections: 10_000,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            body_memory_bytes: 256 * MIB,
            free_disk_bytes: 64 * MIB as u64,
            disk_forecast: Duration::from_secs(7 * 24 * 60 * 60),
            requests_per_second: None,
        }
    }
}

/// `limits` as declared.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsDeclaration {
    payload_mib: Option<Interpolated<Mib>>,
    instances: Option<Interpolated<NonZeroU32>>,
    store_queue: Option<Interpolated<NonZeroUsize>>,
    connections: Option<Interpolated<NonZeroU32>>,
    head_timeout: Option<Interpolated<Period>>,
    body_timeout: Option<Interpolated<Period>>,
    body_memory_mib: Option<Interpolated<Mib>>,
    free_disk_mib: Option<Interpolated<NonZeroU32>>,
    disk_forecast: Option<Interpolated<Period>>,
    requests_per_second: Option<Interpolated<NonZeroU32>>,
    deadline_ms: Option<Interpolated<NonZeroU32>>,
    memory_mib: Option<Interpolated<MemoryMib>>,
    output_mib: Option<Interpolated<Mib>>,
    incidents: Option<Interpolated<NonZeroUsize>>,
}

/// The limits of one plugin as declared.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PluginLimitsDeclaration {
    deadline_ms: Option<Interpolated<NonZeroU32>>,
    memory_mib: Option<Interpolated<MemoryMib>>,
    output_mib: Option<Interpolated<Mib>>,
    incidents: Option<Interpolated<NonZeroUsize>>,
    instances: Option<Interpolated<EventsPerInstance>>,
}

impl LimitsDeclaration {
    /// Returns the limits, with defaults for absent keys. `dedup_retention` and `dedup_window` are keys of the file
    /// itself.
    ///
    /// # Errors
    /// Returns an error if the largest payload does not fit into the memory for bodies.
    pub fn into_limits(
        self,
        dedup_retention: Option<Interpolated<Period>>,
        dedup_window: Option<Interpolated<Period>>,
    ) -> Result<Limits> {
        let default = Limits::default();
        let call = PluginLimitsDeclaration {
            deadline_ms: self.deadline_ms,
            memory_mib: self.memory_mib,
            output_mib: self.output_mib,
            incidents: self.incidents,
            instances: None,
        };
        let limits = Limits {
            call: call.over(&default.call),
            dedup: Dedup {
                retention: dedup_retention.map_or(default.dedup.retention, |time| time.0.into()),
                window: dedup_window.map_or(default.dedup.window, |time| time.0.into()),
            },
            payload_bytes: self.payload_mib.map_or(default.payload_bytes, |mib| mib.0.bytes()),
            instances: self.instances.map_or(default.instances, |count| count.0.get()),
            store_queue: self.store_queue.map_or(default.store_queue, |count| count.0.get()),
            connections: self.connections.map_or(default.connections, |count| count.0.get()),
            head_timeout: self.head_timeout.map_or(default.head_timeout, |time| time.0.into()),
            body_timeout: self.body_timeout.map_or(default.body_timeout, |time| time.0.into()),
            body_memory_bytes: self.body_memory_mib.map_or(default.body_memory_bytes, |mib| mib.0.bytes()),
            free_disk_bytes: self
                .free_disk_mib
                .map_or(default.free_disk_bytes, |mib| u64::from(mib.0.get()) * MIB as u64),
            disk_forecast: self.disk_forecast.map_or(default.disk_forecast, |time| time.0.into()),
            requests_per_second: self.requests_per_second.map(|count| count.0),
        };
        ensure!(
            limits.payload_bytes <= limits.body_memory_bytes,
            "`limits.body_memory_mib` is {}, which is less than one payload of `payload_mib` {}; raise `body_memory_mib` or \
             lower `payload_mib`",
            limits.body_memory_bytes / MIB,
            limits.payload_bytes / MIB
        );
        Ok(limits)
    }
}

impl PluginLimitsDeclaration {
    /// Returns the declared limits, with the values of `base` for absent keys.
    pub fn over(&self, base: &PluginLimits) -> PluginLimits {
        PluginLimits {
            deadline: self.deadline_ms.as_ref().map_or(base.deadline, |ms| Duration::from_millis(ms.0.get().into())),
            memory_bytes: self.memory_mib.as_ref().map(|mib| mib.0.bytes()).or(base.memory_bytes),
            output_bytes: self.output_mib.as_ref().map_or(base.output_bytes, |mib| mib.0.bytes()),
            incidents: self.incidents.as_ref().map_or(base.incidents, |count| count.0.get()),
            events_per_instance: self.instances.as_ref().map_or(base.events_per_instance, |events| events.0.get()),
        }
    }
}
