//! A source: how its payloads are received, verified and mapped.

use crate::rate_limit::RateLimit;
use anyhow::Result;
use hookmill_connection::{CertificateFile, Connection, ConnectionOptions};
use hookmill_incident::{Severity, words};
use hookmill_signatures::Scheme;
use hookmill_store::Tally;
use ipnet::IpNet;
use reqwest::Url;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One source.
#[derive(Debug)]
pub struct Source {
    /// The name, which is part of the source's URL.
    pub name: Arc<str>,
    /// The place where the source is declared.
    pub origin: SourceOrigin,
    /// The settings.
    pub settings: SourceSettings,
    /// The counts of its payloads.
    pub tally: Arc<LiveTally>,
}

/// The place where a source is declared, and where it can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceOrigin {
    /// The configuration file.
    Configured,
    /// The API.
    Registered {
        /// The time of registration, in milliseconds since the Unix epoch.
        created_at: i64,
        /// The secrets, the newest last.
        secrets: Vec<SecretNote>,
        /// The keys with which the source was registered.
        declaration: Map<String, Value>,
    },
}

/// The facts about a secret that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretNote {
    /// The number of the secret within the source, from 1.
    pub id: i64,
    /// The time when the secret was set, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// The time when the secret ceases to be valid, in milliseconds since the Unix epoch.
    pub not_after: Option<i64>,
}

/// The counts of a source in memory.
#[derive(Debug, Default)]
pub struct LiveTally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// The counts of all hosts, as they were stored.
    stored: Tally,
    /// The counts that are being added to them.
    adding: Tally,
    /// The counts of this host since.
    new: Tally,
}

impl LiveTally {
    /// Continues with stored counts.
    pub fn new(stored: Tally) -> Self {
        Self(Mutex::new(Counts { stored, ..Counts::default() }))
    }

    /// Counts something new.
    pub fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.counts().new);
    }

    /// Returns the present counts.
    pub fn now(&self) -> Tally {
        let counts = self.counts();
        let mut now = counts.stored.clone();
        now.merge(&counts.adding);
        now.merge(&counts.new);
        now
    }

    /// Returns what was counted since the last call of this function, to add it to the stored counts.
    pub fn take_new(&self) -> Option<Tally> {
        let mut counts = self.counts();
        counts.adding = std::mem::take(&mut counts.new);
        (counts.adding != Tally::default()).then(|| counts.adding.clone())
    }

    /// Takes over the counts after the new ones were added to them.
    pub fn added(&self, stored: Tally) {
        let mut counts = self.counts();
        (counts.stored, counts.adding) = (stored, Tally::default());
    }

    /// Takes back what was not added.
    pub fn not_added(&self) {
        let mut counts = self.counts();
        let mut new = std::mem::take(&mut counts.adding);
        new.merge(&counts.new);
        counts.new = new;
    }

    /// Takes over counts that were read, unless new ones are being added to them.
    pub fn refresh(&self, stored: Tally) {
        let mut counts = self.counts();
        if counts.adding == Tally::default() {
            counts.stored = stored;
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings of a source.
#[derive(Debug)]
pub struct SourceSettings {
    /// The scheme that its payloads are signed with.
    pub scheme: Scheme,
    /// The time after which none of its secrets is valid, in milliseconds since the Unix epoch.
    pub secrets_end: Option<i64>,
    /// The networks that the source may send from; all networks if the list is empty.
    pub allow_ips: Vec<IpNet>,
    /// The mapper of its payloads.
    pub plugin: PluginChoice,
    /// Whether a playbook is called on its incidents.
    pub auto_triage: bool,
    /// The name of the playbook.
    pub playbook: Option<String>,
    /// The vendor's names of severities, in lower case, and the severities that they mean.
    pub severity_mapping: BTreeMap<String, Severity>,
    /// Values that its mapper gets with every payload.
    pub settings: Vec<(String, String)>,
    /// The largest body that the source may send.
    pub payload_bytes_max: usize,
    /// The number of its payloads that are accepted in a second.
    pub rate_limit: RateLimit,
    /// The answer to a payload that its mapper refuses.
    pub on_unmappable: OnUnmappable,
    /// The time without payloads after which the source counts as silent.
    pub silent_after: Option<Duration>,
    /// The kind of source.
    pub kind: SourceKind,
    /// The place of the keys that its scheme needs.
    pub key_server: Option<KeyServer>,
}

/// The place from which the host fetches the public keys of an issuer of tokens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyServer {
    /// The URL of the keys.
    pub url: Url,
    /// Networks that are not globally routable and may be reached nevertheless.
    pub allow_networks: Vec<IpNet>,
    /// The proxy on the way there, with its password.
    pub proxy: Option<Url>,
    /// Certificate authorities that are trusted in addition to those of the system, with a digest of their file: another
    /// content is another server.
    pub ca: Option<(CertificateFile, [u8; 32])>,
}

impl KeyServer {
    /// The limit for one request.
    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Sets up the connection. Nothing is connected to yet.
    ///
    /// # Errors
    /// Returns an error if the proxy or the file of the authorities cannot be used.
    pub fn connection(&self) -> Result<Connection> {
        let options = ConnectionOptions {
            allow_networks: self.allow_networks.clone(),
            proxy: self.proxy.clone(),
            ca: self.ca.as_ref().map(|(file, _)| file.clone()),
            timeout: Some(Self::TIMEOUT),
            ..ConnectionOptions::default()
        };
        options.build()
    }
}

impl SourceSettings {
    /// Returns the files that the settings name.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let server = self.key_server.iter();
        server.filter_map(|server| server.ca.as_ref()).map(|(file, _)| file.path.as_path())
    }
}

impl fmt::Debug for KeyServer {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "KeyServer({})", self.url)
    }
}

/// The choice of the mapper for a source's payloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PluginChoice {
    /// The plugin with the name of the source; without one every loaded mapper by name, `generic` last.
    Auto,
    /// No mapper: events are stored and ignored.
    None,
    /// These mappers in order; payloads that one does not support go to the next.
    Named(Vec<String>),
}

words!(
    /// The way in which payloads of a source reach the host.
    SourceKind {
        /// The source posts them.
        Webhook = "webhook",
        /// The host reads a live stream of OpenCTI.
        OpenctiStream = "opencti-stream",
        /// The host polls a GraphQL endpoint.
        GraphqlPoll = "graphql-poll",
        /// The host polls a REST endpoint.
        HttpPoll = "http-poll",
    }
);

words!(
    /// The answer to a payload that its mapper refuses.
    OnUnmappable {
        /// 422, so that the sender learns about the refusal.
        Reject = "reject",
        /// 202, for senders that disable endpoints which refuse payloads.
        Accept = "accept",
    }
);

impl Source {
    /// Returns a source that has sent nothing yet.
    pub fn new(name: String, origin: SourceOrigin, settings: SourceSettings) -> Self {
        Self { name: name.into(), origin, settings, tally: Arc::default() }
    }

    /// Returns a source that is not registered, for dry runs and proofs of plugins.
    pub fn unregistered(name: String) -> Self {
        let settings = SourceSettings {
            scheme: Scheme::none(),
            secrets_end: None,
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
            key_server: None,
        };
        Self::new(name, SourceOrigin::Configured, settings)
    }
}

impl SourceSettings {
    /// Returns whether the host reads the source, instead of waiting for its posts.
    pub fn is_pulled(&self) -> bool {
        self.kind != SourceKind::Webhook
    }

    /// Returns whether the source may send from an address. An unknown address is refused if there is a list of
    /// networks.
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        let is_in = |address: IpAddr| self.allow_ips.iter().any(|network| network.contains(&address));
        self.allow_ips.is_empty() || address.is_some_and(is_in)
    }
}
