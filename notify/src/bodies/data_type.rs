//! The types of observables.

/// The types of observables that every TheHive has, which mappers use, with the names that others give them.
const STOCK_TYPES: [(&str, &[&str]); 11] = [
    ("ip", &["ip-address", "ip_address", "ip-addr", "ipv4", "ipv6", "ipv4-addr", "ipv6-addr"]),
    ("domain", &["domain-name", "domain_name"]),
    ("hostname", &["host", "host-name", "host_name"]),
    ("url", &["uri"]),
    ("hash", &["md5", "sha1", "sha256", "sha512", "file-hash", "file_hash"]),
    ("filename", &["file-name", "file_name"]),
    ("mail", &["email", "e-mail", "email-addr", "email-address", "email_address", "mail-address"]),
    ("mail-subject", &["email-subject", "email_subject", "mail_subject"]),
    ("user-agent", &["user_agent", "useragent"]),
    ("registry", &["registry-key", "registry_key", "windows-registry-key"]),
    ("autonomous-system", &["asn", "as", "autonomous_system"]),
];

/// Returns TheHive's own name of a type that others name otherwise.
pub(super) fn stock_type(data_type: &str) -> &str {
    STOCK_TYPES.iter().find(|(_, others)| others.contains(&data_type)).map_or(data_type, |(name, _)| name)
}
