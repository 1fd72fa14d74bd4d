//! The limits of one listener, and the file descriptors that listeners may use.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use tracing::warn;

/// File descriptors that are reserved for other uses than connections: the database, plugins, deliveries.
const DESCRIPTORS_RESERVED: u64 = 256;
/// With few descriptors, one in this many is reserved for other uses.
const DESCRIPTORS_PER_RESERVED: u64 = 4;

/// The limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The number of connections that may be open at the same time.
    pub connections: u32,
    /// The time within which a client has to send the whole head of a request, counted from the start of the connection
    /// or from the last answer. Also the time within which a client has to read some part of its answer.
    pub head_timeout: Duration,
}

/// The number of connections for which the process has file descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    limit: u64,
    connections: u64,
}

impl Descriptors {
    /// Raises the process's limit of file descriptors as far as the system allows, and reserves some descriptors for
    /// other uses than connections.
    pub fn raise_limit() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let is_raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok();
        // Without a limit, any number of connections is available.
        Self::of((if is_raised { limit.maximum } else { limit.current }).unwrap_or(u64::MAX))
    }

    fn of(limit: u64) -> Self {
        let reserved = DESCRIPTORS_RESERVED.min(limit / DESCRIPTORS_PER_RESERVED);
        Self { limit, connections: limit - reserved }
    }

    /// Takes the connections of a listener, at most one in `share` of all.
    pub fn take(&mut self, connections: u32, share: u32) -> u32 {
        let taken = u64::from(connections).min(self.connections / u64::from(share)).max(1);
        self.connections = self.connections.saturating_sub(taken);
        taken as u32
    }

    /// Takes `limits.connections`, or as many as are left, and warns if these are fewer.
    pub fn take_configured(&mut self, connections: u32) -> u32 {
        let taken = self.take(connections, 1);
        if taken < connections {
            warn!(
                "`limits.connections` is {connections}, but this process may open only {} files: it takes {taken} \
                 connections; raise the limit (`ulimit -Hn`, `LimitNOFILE=` in systemd) or lower the key",
                self.limit
            );
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::Descriptors;

    #[test]
    fn most_descriptors_are_for_connections() {
        for (limit, admin, connections) in
            [(u64::MAX, 256, 10_000), (20_000, 256, 10_000), (1024, 192, 576), (300, 56, 169), (64, 12, 36), (2, 1, 1)]
        {
            let mut descriptors = Descriptors::of(limit);
            let taken = (descriptors.take(256, 4), descriptors.take_configured(10_000));
            assert_eq!(taken, (admin, connections), "{limit}");
        }
    }
}
