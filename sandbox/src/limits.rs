//! The limits of plugins and of their calls.

use std::num::NonZeroU32;
use std::time::Duration;
use uuid::Uuid;

const MIB: usize = 1024 * 1024;

/// The limits of one plugin's calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// The wall time from instantiation to the end of the call.
    pub deadline: Duration,
    /// The linear memory of an instance, in bytes. `None` decides by the imports and the initial memory of the plugin.
    pub memory_bytes: Option<usize>,
    /// The size of the result of one call, in bytes.
    pub output_bytes: usize,
    /// The number of incidents in the result of a mapper.
    pub incidents: usize,
    /// The number of events that one instance may take, one after the other.
    pub events_per_instance: NonZeroU32,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(1000),
            memory_bytes: None,
            output_bytes: 4 * MIB,
            incidents: 1000,
            events_per_instance: NonZeroU32::MIN,
        }
    }
}

/// The time and the random numbers that one call sees, and the limits of its instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallSetup {
    /// The clock that the instance sees, in milliseconds since the Unix epoch.
    pub clock_ms: i64,
    /// The seed of the instance's random numbers.
    pub seed: Uuid,
    /// The linear memory of all memories together, in bytes.
    pub memory_bytes: usize,
    /// The bytes that one call from the guest or to the guest may pass to the host.
    pub output_bytes: usize,
}
