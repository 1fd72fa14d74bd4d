//! Observables and techniques of incidents.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Something seen that can be looked up or blocked, such as an address, a hash or a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observable {
    /// The type of the value: `ip`, `hash`, ….
    pub data_type: String,
    /// The value.
    pub value: String,
    /// The connection with the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Labels of this observable.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether the observable is an indicator of compromise: malicious by itself.
    #[serde(default)]
    pub ioc: bool,
}

impl Observable {
    /// Returns whether the value is an address that many networks use: a private, a loopback or a link-local one, or the
    /// unspecified one.
    pub fn is_local_address(&self) -> bool {
        match self.value.parse().map(|address: IpAddr| address.to_canonical()) {
            Ok(IpAddr::V4(v4)) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
            Ok(IpAddr::V6(v6)) => {
                v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified()
            }
            Err(_) => false,
        }
    }
}

/// A MITRE ATT&CK technique or tactic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Technique {
    /// The id: `T1059.001`, `TA0002`.
    pub id: String,
    /// The tactic that the technique serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tactic: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::Observable;

    #[test]
    fn local_addresses_are_recognised() {
        let is_local = |value: &str| {
            let (data_type, value) = ("ip".to_owned(), value.to_owned());
            Observable { data_type, value, message: None, tags: Vec::new(), ioc: false }.is_local_address()
        };
        let local = [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.7.7",
            "127.0.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ];
        let others =
            ["192.0.2.7", "8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:192.0.2.7", "10.1.2", "localhost", ""];
        assert!(local.into_iter().all(is_local));
        assert!(!others.into_iter().any(is_local));
    }
}
