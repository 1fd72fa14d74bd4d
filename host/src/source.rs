//! A registered sender: how its payloads are verified, mapped and read.

use crate::incident::Severity;
use crate::words::words;
use hookmill_signatures::Scheme;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// One sender.
#[derive(Debug)]
pub struct Source {
    /// The name in its URL.
    pub name: Arc<str>,
    /// Everything else.
    pub settings: SourceSettings,
}

/// What is known of a sender.
#[derive(Debug)]
pub struct SourceSettings {
    /// How its payloads are signed.
    pub scheme: Scheme,
    /// The networks that it may send from; all where there is none.
    pub allow_ips: Vec<IpNet>,
    /// Which mapper reads them.
    pub plugin: PluginChoice,
    /// Whether the playbook runs on its incidents.
    pub auto_triage: bool,
    /// The playbook's name.
    pub playbook: Option<String>,
    /// The vendor's severity words, in lower case, and what they mean here.
    pub severity_mapping: BTreeMap<String, Severity>,
    /// What its mapper is told besides the payload.
    pub settings: Vec<(String, String)>,
    /// The largest body it may send.
    pub payload_bytes_max: usize,
    /// How a payload that its mapper refuses is answered.
    pub on_unmappable: OnUnmappable,
}

/// Which mapper reads a source's payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginChoice {
    /// The plugin named like the source, else every loaded mapper by name with `generic` last.
    Auto,
    /// None: events are stored and ignored.
    None,
    /// These in order; what one does not support goes to the next.
    Named(Vec<String>),
}

words!(
    /// How a payload that its mapper refuses is answered.
    OnUnmappable {
        /// 422, so that the sender knows.
        Reject = "reject",
        /// 202, for senders that disable an endpoint which refuses.
        Accept = "accept",
    }
);

impl Source {
    /// A sender of this name.
    pub fn new(name: String, settings: SourceSettings) -> Self {
        Self { name: name.into(), settings }
    }

    /// A sender that nobody registered, for trying a plugin.
    pub fn unregistered(name: String) -> Self {
        let settings = SourceSettings {
            scheme: Scheme::none(),
            allow_ips: Vec::new(),
            plugin: PluginChoice::Auto,
            auto_triage: false,
            playbook: None,
            severity_mapping: BTreeMap::new(),
            settings: Vec::new(),
            payload_bytes_max: usize::MAX,
            on_unmappable: OnUnmappable::Reject,
        };
        Self::new(name, settings)
    }
}

impl SourceSettings {
    /// Whether payloads are taken from an address, as far as it is known.
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        let is_in = |address: IpAddr| self.allow_ips.iter().any(|network| network.contains(&address));
        self.allow_ips.is_empty() || address.is_some_and(is_in)
    }
}

/// Whether `text` can name a source, a plugin or a destination: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes.len(), 1..=64)
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
