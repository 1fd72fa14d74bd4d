//! What plugins may use.

use hookmill_incident::timestamp::unix_ms;
use std::num::NonZeroU32;
use std::time::Duration;
use uuid::Uuid;

const MIB: usize = 1024 * 1024;

/// The limits of one plugin's calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Wall time from instantiation to the end of the call.
    pub deadline: Duration,
    /// Linear memory of an instance, in bytes. `None` chooses by what the plugin imports and starts with.
    pub memory_bytes: Option<usize>,
    /// What one call may return, in bytes.
    pub output_bytes: usize,
    /// Incidents in one outcome.
    pub incidents: usize,
    /// How many events one instance may take, one after the other.
    pub events_per_instance: NonZeroU32,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(1000),
            memory_bytes: None,
            output_bytes: MIB,
            incidents: 100,
            events_per_instance: NonZeroU32::MIN,
        }
    }
}

/// What one call sees of time and chance, and what its instance may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallSetup {
    /// The clock that the instance sees, in milliseconds since the Unix epoch.
    pub clock_ms: i64,
    /// The seed of the instance's random numbers.
    pub seed: Uuid,
    /// Linear memory, all memories together.
    pub memory_bytes: usize,
    /// What one call across the boundary may carry to the host.
    pub output_bytes: usize,
}

impl CallSetup {
    /// Returns the setup of a call that is not about an event.
    pub fn without_event(memory_bytes: usize, output_bytes: usize) -> Self {
        Self { clock_ms: unix_ms(), seed: Uuid::nil(), memory_bytes, output_bytes }
    }
}
