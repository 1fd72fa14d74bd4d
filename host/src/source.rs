//! A registered sender: how its payloads are verified, mapped and read.

use crate::rate_limit::RateLimit;
use hookmill_incident::{Severity, words};
use hookmill_signatures::Scheme;
use hookmill_store::Tally;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One sender.
#[derive(Debug)]
pub struct Source {
    /// The name in its URL.
    pub name: Arc<str>,
    /// Who made it known.
    pub origin: SourceOrigin,
    /// How it is verified, mapped and read.
    pub settings: SourceSettings,
    /// What it has sent.
    pub tally: Arc<LiveTally>,
}

/// Who made a source known, and so where it is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceOrigin {
    /// The configuration file.
    Configured,
    /// Somebody through the API.
    Registered {
        /// When, in milliseconds since the Unix epoch.
        created_at: i64,
        /// Its secrets, the newest last.
        secrets: Vec<SecretNote>,
    },
}

/// What is shown of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretNote {
    /// Counts from 1 within the source.
    pub id: i64,
    /// When it was given, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it ends to be valid, likewise.
    pub not_after: Option<i64>,
}

/// A tally that grows.
#[derive(Debug, Default)]
pub struct LiveTally(Mutex<(Tally, bool)>);

impl LiveTally {
    /// Goes on from here.
    pub fn new(tally: Tally) -> Self {
        Self(Mutex::new((tally, false)))
    }

    /// Counts something.
    pub fn count(&self, count: impl FnOnce(&mut Tally)) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut held.0);
        held.1 = true;
    }

    /// How it stands.
    pub fn now(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// How it stands, if anything was counted since this was called last.
    pub fn news(&self) -> Option<Tally> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut held.1).then(|| held.0.clone())
    }
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
    /// How many of its payloads are taken in a second.
    pub rate_limit: RateLimit,
    /// How a payload that its mapper refuses is answered.
    pub on_unmappable: OnUnmappable,
    /// How long it may send nothing before somebody is told.
    pub silent_after: Option<Duration>,
    /// What it is.
    pub kind: SourceKind,
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
    /// How payloads of a source come to the host.
    SourceKind {
        /// It posts them.
        Webhook = "webhook",
        /// The host reads a live stream of OpenCTI.
        OpenctiStream = "opencti-stream",
        /// The host asks a GraphQL endpoint.
        GraphqlPoll = "graphql-poll",
        /// The host asks a REST endpoint.
        HttpPoll = "http-poll",
    }
);

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
    /// A sender of this name that has sent nothing yet.
    pub fn new(name: String, origin: SourceOrigin, settings: SourceSettings) -> Self {
        Self { name: name.into(), origin, settings, tally: Arc::default() }
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
            rate_limit: RateLimit::NONE,
            on_unmappable: OnUnmappable::Reject,
            silent_after: None,
            kind: SourceKind::Webhook,
        };
        Self::new(name, SourceOrigin::Configured, settings)
    }
}

impl SourceSettings {
    /// Returns whether the host reads the source, instead of waiting for its posts.
    pub fn is_pulled(&self) -> bool {
        self.kind != SourceKind::Webhook
    }

    /// Whether payloads are taken from an address, as far as it is known.
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        let is_in = |address: IpAddr| self.allow_ips.iter().any(|network| network.contains(&address));
        self.allow_ips.is_empty() || address.is_some_and(is_in)
    }
}
