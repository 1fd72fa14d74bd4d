//! Every scheme by its name, in the words that a configuration uses for one of its own. Data, no code of any vendor.
//!
//! What the keys mean is in `hmac_rule.rs`. Formats are those of the vendors' public documentation; where a vendor
//! sends an id of its delivery that stays the same when it tries again, that tells repeats, signed or not.

/// What kind of scheme it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Hmac,
    Header,
    Basic,
    Bearer,
    UrlToken,
    Sns,
    Graph,
    None,
}

impl Family {
    /// The keys that a configuration can set.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Hmac => &[
                "algorithm",
                "encoding",
                "key_encoding",
                "key_prefix",
                "signature_header",
                "separator",
                "item_prefix",
                "ed25519_prefix",
                "timestamp_header",
                "timestamp_prefix",
                "timestamp_unit",
                "id_header",
                "template",
                "tolerance",
            ],
            Self::Header => &["header", "prefix", "id_header"],
            Self::Basic | Self::Bearer | Self::UrlToken => &["id_header"],
            Self::Sns => &["topics", "certificate", "confirm", "tolerance"],
            Self::Graph | Self::None => &[],
        }
    }
}

/// One scheme.
#[derive(Debug)]
pub(crate) struct Preset {
    pub name: &'static str,
    pub family: Family,
    pub is_vendors: bool,
    pub keys: &'static [(&'static str, &'static [&'static str])],
}

/// The names of all schemes.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|preset| preset.name)
}

const fn own(name: &'static str, family: Family, keys: &'static [(&'static str, &'static [&'static str])]) -> Preset {
    Preset { name, family, is_vendors: false, keys }
}

const fn vendor(
    name: &'static str,
    family: Family,
    keys: &'static [(&'static str, &'static [&'static str])],
) -> Preset {
    Preset { name, family, is_vendors: true, keys }
}

pub(crate) const NONE: Preset = own("none", Family::None, &[]);

pub(crate) static PRESETS: &[Preset] = &[
    own(
        "hookmill",
        Family::Hmac,
        &[
            ("signature_header", &["x-webhook-signature"]),
            ("item_prefix", &["sha256="]),
            ("timestamp_header", &["x-webhook-timestamp"]),
            ("template", &["{timestamp}.{body}"]),
        ],
    ),
    own("generic-body", Family::Hmac, &[("signature_header", &["x-signature-256"]), ("item_prefix", &["sha256=", ""])]),
    vendor(
        "github",
        Family::Hmac,
        &[
            ("signature_header", &["x-hub-signature-256"]),
            ("item_prefix", &["sha256="]),
            ("id_header", &["x-github-delivery"]),
        ],
    ),
    vendor("bitbucket", Family::Hmac, &[("signature_header", &["x-hub-signature"]), ("item_prefix", &["sha256="])]),
    vendor(
        "slack",
        Family::Hmac,
        &[
            ("signature_header", &["x-slack-signature"]),
            ("item_prefix", &["v0="]),
            ("timestamp_header", &["x-slack-request-timestamp"]),
            ("template", &["v0:{timestamp}:{body}"]),
        ],
    ),
    // Its secrets begin with `whsec_` too, and are the key as they stand.
    vendor(
        "stripe",
        Family::Hmac,
        &[
            ("signature_header", &["stripe-signature"]),
            ("separator", &[","]),
            ("item_prefix", &["v1="]),
            ("timestamp_prefix", &["t="]),
            ("template", &["{timestamp}.{body}"]),
        ],
    ),
    vendor(
        "standard-webhooks",
        Family::Hmac,
        &[
            ("encoding", &["base64"]),
            ("key_encoding", &["base64"]),
            ("key_prefix", &["whsec_"]),
            ("signature_header", &["webhook-signature", "svix-signature"]),
            ("separator", &[" "]),
            ("item_prefix", &["v1,"]),
            ("ed25519_prefix", &["v1a,"]),
            ("timestamp_header", &["webhook-timestamp", "svix-timestamp"]),
            ("id_header", &["webhook-id", "svix-id"]),
            ("template", &["{id}.{timestamp}.{body}"]),
        ],
    ),
    vendor(
        "pagerduty",
        Family::Hmac,
        &[
            ("signature_header", &["x-pagerduty-signature"]),
            ("separator", &[","]),
            ("item_prefix", &["v1="]),
            ("id_header", &["x-webhook-id"]),
        ],
    ),
    vendor(
        "crowdstrike",
        Family::Hmac,
        &[
            ("encoding", &["base64"]),
            ("signature_header", &["x-cs-primary-signature"]),
            ("timestamp_header", &["x-cs-delivery-timestamp"]),
            ("timestamp_unit", &["rfc3339"]),
            ("template", &["{body}{timestamp}"]),
        ],
    ),
    vendor(
        "box",
        Family::Hmac,
        &[
            ("encoding", &["base64"]),
            ("signature_header", &["box-signature-primary", "box-signature-secondary"]),
            ("timestamp_header", &["box-delivery-timestamp"]),
            ("timestamp_unit", &["rfc3339"]),
            ("template", &["{body}{timestamp}"]),
            ("tolerance", &["10m"]),
        ],
    ),
    vendor(
        "zoom",
        Family::Hmac,
        &[
            ("signature_header", &["x-zm-signature"]),
            ("item_prefix", &["v0="]),
            ("timestamp_header", &["x-zm-request-timestamp"]),
            ("template", &["v0:{timestamp}:{body}"]),
        ],
    ),
    vendor("sentry", Family::Hmac, &[("signature_header", &["sentry-hook-signature"])]),
    vendor(
        "splunk-observability",
        Family::Hmac,
        &[("encoding", &["base64"]), ("signature_header", &["x-sfx-signature"])],
    ),
    // Signs the time only where the contact point names a header for it; then the template is another.
    vendor(
        "grafana",
        Family::Hmac,
        &[
            ("signature_header", &["x-grafana-alerting-signature"]),
            ("template", &["{body}"]),
            ("template_with_timestamp", &["{timestamp}:{body}"]),
        ],
    ),
    // Its timestamp is not known to be signed, so that it proves nothing.
    vendor(
        "hcp-vault-radar",
        Family::Hmac,
        &[
            ("algorithm", &["sha512"]),
            ("signature_header", &["x-hcp-radar-signature"]),
            ("item_prefix", &["sha512="]),
            ("id_header", &["x-hcp-radar-message-id"]),
        ],
    ),
    own("hmac", Family::Hmac, &[]),
    vendor("gitlab", Family::Header, &[("header", &["x-gitlab-token"]), ("id_header", &["idempotency-key"])]),
    vendor("okta", Family::Header, &[("header", &["authorization"])]),
    vendor("sentinelone", Family::Header, &[("header", &["x-webhook-secret"])]),
    own("static-header", Family::Header, &[]),
    own("basic", Family::Basic, &[]),
    own("bearer", Family::Bearer, &[]),
    own("url-token", Family::UrlToken, &[]),
    vendor("aws-sns", Family::Sns, &[]),
    vendor("microsoft-graph", Family::Graph, &[]),
    NONE,
];
