//! The state of the host.

use serde::{Deserialize, Serialize};

/// The answer of `/healthz` and `/readyz`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostState {
    /// `ok` or `ready`, or the reason why the host is not ready.
    pub status: String,
}
