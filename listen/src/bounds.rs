//! The limits of one listener.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use tracing::warn;

/// File descriptors that are reserved for other uses than connections: the database, plugins, deliveries.
const DESCRIPTORS_RESERVED: u64 = 256;

/// The limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The number of connections that may be open at the same time.
    pub connections: u32,
    /// The time within which a client has to send the whole head of a request, counted from the start of the connection
    /// or from the last answer. Also the time within which a client has to read some part of its answer.
    pub head_timeout: Duration,
}

impl Bounds {
    /// Reduces the number of connections to what the process can open beside `others`. First raises the process's limit
    /// of file descriptors as far as the system allows.
    #[must_use]
    pub fn within_descriptors(self, others: u32) -> Self {
        let limit = getrlimit(Resource::Nofile);
        let is_raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok();
        let Some(descriptors) = (if is_raised { limit.maximum } else { limit.current }) else { return self };
        let available = descriptors.saturating_sub(DESCRIPTORS_RESERVED + u64::from(others)).max(1);
        if available >= u64::from(self.connections) {
            return self;
        }
        warn!(
            "`limits.connections` is {}, but this process may open only {descriptors} files: it takes {available} \
             connections; raise the limit (`ulimit -Hn`, `LimitNOFILE=` in systemd) or lower the key",
            self.connections
        );
        Self { connections: available as u32, ..self }
    }
}
