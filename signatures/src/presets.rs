//! The table of all schemes, with the keys that a configuration uses for a custom one. The table contains only data: no
//! vendor has code of its own.
//!
//! The keys are explained in `hmac_format.rs`. The formats come from the vendors' public documentation. If a vendor
//! sends a delivery id that stays the same when it retries, the id identifies repeats. An id that is not signed does not
//! make a repeat new: the body, with the signing time if there is one, identifies repeats as well.

/// The kind of a scheme, which decides its keys and its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Hmac,
    Header,
    Basic,
    Bearer,
    UrlToken,
    Sns,
    Graph,
    BodySecret,
    SignatureOrToken,
    Jwt,
    None,
}

impl Family {
    /// Returns whether sender and host share no secret.
    pub fn is_keyless(self) -> bool {
        matches!(self, Self::None | Self::Sns | Self::Jwt)
    }

    /// Returns the keys that a configuration can set.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Hmac => &[
                "algorithm",
                "encoding",
                "key_encoding",
                "key_prefix",
                "key_template",
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
            Self::Header => &["header", "prefix", "id_header", "origins"],
            Self::SignatureOrToken => &["header", "prefix", "id_header"],
            Self::BodySecret => &["pointer", "id_header"],
            Self::Basic | Self::Bearer | Self::UrlToken => &["id_header", "origins"],
            Self::Sns => &["topics", "certificate", "confirm", "tolerance"],
            Self::Jwt => &[
                "issuer",
                "audience",
                "email",
                "claims",
                "jwks_url",
                "jwks",
                "algorithms",
                "envelope",
                "tolerance",
                "origins",
            ],
            Self::Graph | Self::None => &[],
        }
    }
}

/// One scheme by its name, with the values of its keys.
#[derive(Debug)]
pub(crate) struct Preset {
    pub name: &'static str,
    pub family: Family,
    pub is_vendor_preset: bool,
    pub keys: &'static [(&'static str, &'static [&'static str])],
}

/// Returns the names of all schemes.
pub fn scheme_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|preset| preset.name)
}

/// Returns whether the URL of a source with the scheme of this name ends with the secret.
pub fn has_secret_in_url(scheme: &str) -> bool {
    PRESETS.iter().any(|preset| preset.name == scheme && preset.family == Family::UrlToken)
}

/// Schemes whose secret the vendor makes and shows, so that one of the host's own proves nothing.
const WITH_SECRET_OF_VENDOR: [&str; 8] =
    ["box", "gitguardian", "pagerduty", "sentry", "slack", "standard-webhooks", "stripe", "zoom"];

/// Returns whether the vendor makes the secret of the scheme of this name.
pub fn has_secret_of_vendor(scheme: &str) -> bool {
    WITH_SECRET_OF_VENDOR.contains(&scheme)
}

const fn generic(
    name: &'static str,
    family: Family,
    keys: &'static [(&'static str, &'static [&'static str])],
) -> Preset {
    Preset { name, family, is_vendor_preset: false, keys }
}

const fn vendor(
    name: &'static str,
    family: Family,
    keys: &'static [(&'static str, &'static [&'static str])],
) -> Preset {
    Preset { name, family, is_vendor_preset: true, keys }
}

pub(crate) const NONE: Preset = generic("none", Family::None, &[]);

pub(crate) static PRESETS: &[Preset] = &[
    generic(
        "hookmill",
        Family::Hmac,
        &[
            ("signature_header", &["x-webhook-signature"]),
            ("item_prefix", &["sha256="]),
            ("timestamp_header", &["x-webhook-timestamp"]),
            ("template", &["{timestamp}.{body}"]),
        ],
    ),
    generic(
        "generic-body",
        Family::Hmac,
        &[("signature_header", &["x-signature-256"]), ("item_prefix", &["sha256=", ""])],
    ),
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
        "snyk",
        Family::Hmac,
        &[
            ("signature_header", &["x-hub-signature"]),
            ("item_prefix", &["sha256="]),
            ("id_header", &["x-snyk-transport-id"]),
        ],
    ),
    // The documentation does not state the format of the time.
    vendor(
        "gitguardian",
        Family::Hmac,
        &[
            ("signature_header", &["gitguardian-signature"]),
            ("item_prefix", &["sha256="]),
            ("timestamp_header", &["timestamp"]),
            ("timestamp_unit", &["any"]),
            ("key_template", &["{timestamp}{secret}"]),
        ],
    ),
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
    // Secrets begin with `whsec_` too, but the whole text is the key.
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
    // The time is signed only if the contact point names a header for it; then the template differs.
    vendor(
        "grafana",
        Family::Hmac,
        &[
            ("signature_header", &["x-grafana-alerting-signature"]),
            ("template", &["{body}"]),
            ("template_with_timestamp", &["{timestamp}:{body}"]),
        ],
    ),
    // The documentation does not state that the timestamp is signed, so an attacker could change it.
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
    generic("hmac", Family::Hmac, &[]),
    vendor("gitlab", Family::SignatureOrToken, &[("header", &["x-gitlab-token"]), ("id_header", &["idempotency-key"])]),
    vendor("okta", Family::Header, &[("header", &["authorization"])]),
    vendor("cloudflare", Family::Header, &[("header", &["cf-webhook-auth"])]),
    vendor("sentinelone", Family::Header, &[("header", &["x-webhook-secret"])]),
    generic("static-header", Family::Header, &[]),
    generic("basic", Family::Basic, &[]),
    generic("bearer", Family::Bearer, &[]),
    generic("url-token", Family::UrlToken, &[]),
    vendor("azure-event-grid", Family::UrlToken, &[("origins", &["eventgrid.azure.net"])]),
    generic("jwt", Family::Jwt, &[]),
    vendor(
        "google-pubsub",
        Family::Jwt,
        &[
            ("issuer", &["https://accounts.google.com", "accounts.google.com"]),
            ("jwks_url", &["https://www.googleapis.com/oauth2/v3/certs"]),
            ("algorithms", &["RS256"]),
            ("envelope", &["google-pubsub"]),
        ],
    ),
    generic("body-secret", Family::BodySecret, &[]),
    vendor("aws-sns", Family::Sns, &[]),
    vendor("microsoft-graph", Family::Graph, &[]),
    NONE,
];
