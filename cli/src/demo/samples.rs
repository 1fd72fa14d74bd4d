//! The payloads that the demo sends. The tests of the mappers use the same payloads; the README in each folder names
//! their sources.

use super::sender::Signing;
use hookmill_host::api::shapes::AcceptedStatus;
use std::fmt;

/// A payload that the host should accept.
pub(super) struct DemoSample {
    /// The name of the source and of the vendor's plugin.
    pub vendor: &'static str,
    /// The name of the file without `.json`.
    pub name: &'static str,
    pub body: &'static str,
    pub expect: Expect,
}

/// The expected result of a sample.
#[derive(Clone, Copy)]
pub(super) enum Expect {
    Creates(usize),
    Updates(usize),
    Ignored,
}

impl Expect {
    /// Returns the expected status, the number of new incidents and the number of changed ones.
    pub fn answer(self) -> (AcceptedStatus, usize, usize) {
        match self {
            Self::Creates(count) => (AcceptedStatus::Accepted, count, 0),
            Self::Updates(count) => (AcceptedStatus::Accepted, 0, count),
            Self::Ignored => (AcceptedStatus::Ignored, 0, 0),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Creates(1) => formatter.write_str("a new incident"),
            Self::Creates(count) => write!(formatter, "{count} new incidents"),
            Self::Updates(1) => formatter.write_str("an incident changed"),
            Self::Updates(count) => write!(formatter, "{count} incidents changed"),
            Self::Ignored => formatter.write_str("no incident"),
        }
    }
}

macro_rules! payload {
    ($vendor:literal, $name:literal) => {
        include_str!(concat!("../../../plugins/", $vendor, "/payloads/", $name, ".json"))
    };
}

macro_rules! samples {
    ($($vendor:literal $name:literal $expect:expr;)*) => {
        &[$(DemoSample { vendor: $vendor, name: $name, body: payload!($vendor, $name), expect: $expect }),*]
    };
}

pub(super) const SAMPLES: &[DemoSample] = samples![
    "generic" "seed" Expect::Creates(1);
    "generic" "observables" Expect::Creates(1);
    "defender-office365" "seed" Expect::Creates(1);
    "defender-office365" "graph_alerts_v2_hidden_file_low" Expect::Creates(1);
    "defender-office365" "graph_alerts_v2_anonymous_ip" Expect::Creates(1);
    "crowdstrike" "seed" Expect::Creates(1);
    "crowdstrike" "fdr_external_api_epp_detection" Expect::Creates(1);
    "crowdstrike" "legacy-high-4" Expect::Creates(1);
    "crowdstrike" "audit-detection-closed" Expect::Updates(1);
    "crowdstrike" "auth-audit" Expect::Ignored;
    "splunk" "seed" Expect::Creates(1);
    "splunk" "webhook_real_sanitized" Expect::Creates(1);
    "splunk" "notable-as-raw-text" Expect::Creates(1);
    "splunk" "notable-closed" Expect::Updates(1);
    "elastic" "seed" Expect::Creates(1);
    "elastic" "template-array" Expect::Creates(2);
    "thehive" "seed" Expect::Creates(1);
    "thehive" "seed-update" Expect::Updates(1);
    "thehive" "v5-alert-created" Expect::Creates(1);
    "thehive" "v5-case-shared-elsewhere" Expect::Ignored;
    "opencti" "incident" Expect::Creates(1);
    "opencti" "stix_indicator_string_booleans" Expect::Creates(1);
    "opencti" "incident-deleted" Expect::Updates(1);
    "opencti" "event_create_init_dependency_identity" Expect::Ignored;
    "okta" "two-events" Expect::Creates(1);
    "okta" "bypass-and-grant" Expect::Creates(2);
    "guardduty" "eventbridge-port-probe" Expect::Creates(1);
    "guardduty" "archived-credential-exfiltration" Expect::Creates(1);
    "abnormal" "threat" Expect::Creates(1);
    "alertmanager" "firing" Expect::Creates(1);
    "carbon-black" "cb-analytics" Expect::Creates(1);
    "cloudflare" "network-attack" Expect::Creates(1);
    "cortex-xdr" "incident-new" Expect::Creates(1);
    "darktrace" "breach" Expect::Creates(1);
    "defender-xdr" "older-incident" Expect::Creates(1);
    "falco" "sensitive-file" Expect::Creates(1);
    "gitguardian" "incident" Expect::Creates(1);
    "github" "secret-reopened-without-header" Expect::Creates(1);
    "google-scc" "notification-new" Expect::Creates(1);
    "grafana" "firing" Expect::Creates(1);
    "insightidr" "investigation" Expect::Creates(1);
    "misp" "event" Expect::Creates(1);
    "netskope" "policy-block" Expect::Creates(1);
    "orca" "vm" Expect::Creates(1);
    "proofpoint-tap" "click-of-a-forwarder" Expect::Creates(1);
    "qradar" "username" Expect::Creates(1);
    "recorded-future" "classic-alert" Expect::Creates(1);
    "security-hub" "eventbridge-new" Expect::Creates(1);
    "sentinel" "incident-new" Expect::Creates(1);
    "sentinelone" "uam-alert" Expect::Creates(1);
    "sentry" "issue-created" Expect::Creates(1);
    "snyk" "package-issue" Expect::Creates(1);
    "sophos-central" "alert" Expect::Creates(1);
    "thinkst-canary" "webhook-file-opened" Expect::Creates(1);
    "vision-one" "workbench-new" Expect::Creates(1);
    "wazuh" "sshd-level-10" Expect::Creates(1);
    "wiz" "webhook-issue-created" Expect::Creates(1);
    "zerofox" "dark-web" Expect::Creates(1);
    "cybereason" "detection-malop" Expect::Creates(1);
    "extrahop" "detection" Expect::Creates(1);
    "google-workspace" "suspicious-login" Expect::Creates(1);
    "mimecast" "siem-virus" Expect::Creates(1);
    "prisma-cloud" "alert" Expect::Creates(1);
    "vectra" "rux-detection" Expect::Creates(1);
];

/// The bundled vendors, each once.
pub(super) fn vendors() -> Vec<&'static str> {
    let mut vendors: Vec<_> = SAMPLES.iter().map(|sample| sample.vendor).collect();
    vendors.dedup();
    vendors
}

/// A request that should be refused.
pub(super) struct Hostile {
    pub name: &'static str,
    pub source: &'static str,
    pub body: &'static str,
    pub signing: Signing,
    pub status: u16,
    pub code: &'static str,
}

const SIGNED_BODY: &str = payload!("crowdstrike", "seed");

pub(super) const HOSTILE: &[Hostile] = &[
    Hostile {
        name: "a payload without a signature",
        source: "crowdstrike",
        body: SIGNED_BODY,
        signing: Signing::Missing,
        status: 401,
        code: "invalid_signature",
    },
    Hostile {
        name: "a payload signed with another secret",
        source: "crowdstrike",
        body: SIGNED_BODY,
        signing: Signing::Wrong,
        status: 401,
        code: "invalid_signature",
    },
    Hostile {
        name: "a payload signed ten minutes ago",
        source: "crowdstrike",
        body: SIGNED_BODY,
        signing: Signing::Old,
        status: 401,
        code: "timestamp_expired",
    },
    Hostile {
        name: "a payload for an unknown source",
        source: "nobody",
        body: SIGNED_BODY,
        signing: Signing::Wrong,
        status: 404,
        code: "unknown_source",
    },
    Hostile {
        name: "text that is not JSON",
        source: "crowdstrike",
        body: "Mischief managed \u{1b}[31m",
        signing: Signing::Right,
        status: 422,
        code: "unmappable_payload",
    },
    Hostile {
        name: "truncated JSON",
        source: "splunk",
        body: payload!("splunk", "truncated"),
        signing: Signing::Right,
        status: 422,
        code: "unmappable_payload",
    },
    Hostile {
        name: "Elastic's payload, sent as CrowdStrike",
        source: "crowdstrike",
        body: payload!("elastic", "seed"),
        signing: Signing::Right,
        status: 422,
        code: "unmappable_payload",
    },
];

/// The vendor of the load: each request sends a small event with an added field that makes the payload unique.
pub(super) const LOAD_VENDOR: &str = "crowdstrike";
const LOAD_BODY: &str = payload!("crowdstrike", "small");

/// Returns the body of one request of the load.
pub(super) fn load_body(number: u64) -> String {
    LOAD_BODY.trim().replacen('{', &format!("{{\"demo_request\":{number},"), 1)
}
