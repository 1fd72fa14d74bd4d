//! Methods of the records that a mapper returns.

use crate::equal::is_equal;
use crate::path::excerpt;
use crate::present::present;
use crate::problems::problem;
use crate::{Incident, MappingError, Observable, Outcome, Scale, Severity, fingerprint};
use std::borrow::Cow;
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The host's limits, see `wit/plugin.wit`.
const SOURCE_REF_BYTES_MAX: usize = 512;
const TITLE_BYTES_MAX: usize = 512;
const TAG_BYTES_MAX: usize = 128;
/// The host keeps no more observables and no more tags than these. Comparing with more of them could exceed the mapper's
/// deadline.
const OBSERVABLES_COMPARED_MAX: usize = 1000;
const TAGS_COMPARED_MAX: usize = 200;

/// The most observables of all incidents of one payload. More of them would not fit into the result, which would cost all
/// incidents.
const OBSERVABLES_MAX: usize = 16_000;

thread_local! {
    static OBSERVABLES_LEFT: Cell<usize> = const { Cell::new(OBSERVABLES_MAX) };
}

/// Forgets the observables of earlier events.
pub(crate) fn reset() {
    OBSERVABLES_LEFT.set(OBSERVABLES_MAX);
}

/// The types of observables with the words that vendors use for them.
const VENDOR_TYPES: [(&str, &[&str]); 8] = [
    ("ip", &["ip", "ipv4", "ipv6"]),
    ("hash", &["hash", "md5", "sha1", "sha256"]),
    ("url", &["url", "uri"]),
    ("domain", &["domain"]),
    ("hostname", &["host", "hostname"]),
    ("mail", &["email", "mail"]),
    ("mac", &["mac"]),
    ("user-account", &["user", "username"]),
];

impl Incident {
    /// Returns an incident with the vendor's id and no other values. An id over the host's limit of 512 bytes is
    /// shortened, with a digest of the whole, and reported as a problem.
    pub fn new(source_ref: impl Into<String>) -> Self {
        let mut source_ref = source_ref.into();
        if source_ref.len() > SOURCE_REF_BYTES_MAX {
            problem(format!("the id `{}` has {} bytes and is shortened", excerpt(&source_ref), source_ref.len()));
            let digest = fingerprint([source_ref.as_str()]);
            source_ref.truncate(source_ref.floor_char_boundary(SOURCE_REF_BYTES_MAX - digest.len()));
            source_ref += &digest;
        }
        Self {
            source_ref,
            title: None,
            description: None,
            category: None,
            severity: None,
            vendor_severity: None,
            state: None,
            tlp: None,
            occurred_at: None,
            changed_at: None,
            external_link: None,
            tags: Vec::new(),
            observables: Vec::new(),
            techniques: Vec::new(),
            details: Vec::new(),
        }
    }

    /// Sets the title, truncated to the host's limit of 512 bytes. Does nothing if `title` is absent.
    pub fn set_title(&mut self, title: Option<&str>) {
        if let Some(title) = title.and_then(present) {
            self.title = Some(truncate(title, TITLE_BYTES_MAX).to_owned());
        }
    }

    /// Sets the severity as the vendor wrote it, and the severity if [`Severity::parse`] recognises the text.
    pub fn set_severity(&mut self, vendor_severity: Option<&str>) {
        self.vendor_severity = vendor_severity.map(str::to_owned);
        self.severity = vendor_severity.and_then(Severity::parse);
    }

    /// Sets the severity like [`set_severity`](Self::set_severity), also from a number on a vendor's scale.
    pub fn set_severity_on(&mut self, scale: Scale, vendor_severity: Option<&str>) {
        self.set_severity(vendor_severity);
        let number = vendor_severity.and_then(|number| number.parse().ok());
        self.severity = self.severity.or_else(|| Severity::on_scale(scale, number?));
    }

    /// Sets the severity like [`set_severity`](Self::set_severity) from a word that can be one of the vendor's own `words`,
    /// ignoring case.
    pub fn set_severity_word(&mut self, word: Option<&str>, words: &[(&str, Severity)]) {
        self.set_severity(word);
        let own = words.iter().find(|(own, _)| word.is_some_and(|word| own.eq_ignore_ascii_case(word)));
        self.severity = own.map(|(_, severity)| *severity).or(self.severity);
    }

    /// Adds an observable unless the incident has it. Returns the new or existing observable, for further changes such
    /// as [`Observable::ioc`].
    ///
    /// Returns none and adds nothing if the value is absent or meaningless: an `ip` that is not an address or is
    /// unspecified, loopback, link-local, multicast or broadcast; a `hash` that is not a hexadecimal digest or has only
    /// zeros; a `mac` of zeros; a `user-account` that is built into Windows, such as `NT AUTHORITY\SYSTEM`. Hashes are
    /// stored in lower case. An address given as `domain`, `fqdn` or `hostname` is an `ip`, and the port of an `ip` such as
    /// `192.0.2.7:443` is removed. After 16,000 observables of one payload, further ones are left out and reported as a
    /// problem.
    pub fn observe(&mut self, data_type: &str, value: Option<&str>, message: &str) -> Option<&mut Observable> {
        let value = present(value?)?;
        let is_name = matches!(data_type, "domain" | "fqdn" | "hostname");
        let data_type = if is_name && is_ip(value) { "ip" } else { data_type };
        let value = match data_type {
            "ip" => meaningful_ip(value)?,
            "hash" if !is_meaningful_hash(value) => return None,
            "user-account" if !is_meaningful_user(value) => return None,
            "mac" if !is_meaningful_mac(value) => return None,
            "hash" => Cow::Owned(value.to_ascii_lowercase()),
            _ => Cow::Borrowed(value),
        };
        let mut candidates = self.observables.iter().take(OBSERVABLES_COMPARED_MAX);
        let known = candidates.position(|known| is_same_text(&known.value, &value) && known.data_type == data_type);
        if let Some(known) = known {
            return self.observables.get_mut(known);
        }
        let Some(left) = OBSERVABLES_LEFT.get().checked_sub(1) else {
            problem(format!("there are more than {OBSERVABLES_MAX} observables; the others are left out"));
            return None;
        };
        OBSERVABLES_LEFT.set(left);
        self.observables.push(Observable {
            data_type: data_type.to_owned(),
            value: value.into_owned(),
            message: (!message.is_empty()).then(|| message.to_owned()),
            tags: Vec::new(),
            ioc: false,
        });
        self.observables.last_mut()
    }

    /// Adds an observable of which the vendor names the type, such as `IPV4_ADDRESS`, `File Hash` or `URL String`. Adds
    /// nothing if the type is another one.
    pub fn observe_named(&mut self, kind: Option<&str>, value: Option<&str>, message: &str) -> Option<&mut Observable> {
        let kind = kind?.to_ascii_lowercase();
        let words = || kind.split(|sign: char| !sign.is_ascii_alphanumeric());
        let (data_type, _) = VENDOR_TYPES.iter().find(|(_, known)| words().any(|word| known.contains(&word)))?;
        self.observe(data_type, value, message)
    }

    /// Adds a user: as `mail` if the vendor names users by their address, as `ip` if there is only the address of a host,
    /// else as `user-account`.
    pub fn observe_user(&mut self, user: Option<&str>, message: &str) -> Option<&mut Observable> {
        let data_type = match user? {
            user if user.contains('@') => "mail",
            user if is_ip(user) => "ip",
            _ => "user-account",
        };
        self.observe(data_type, user, message)
    }

    /// Adds every CVE id in `text` as an observable, at any position.
    pub fn observe_cves(&mut self, text: &str, message: &str) {
        let is_cve = |word: &&str| {
            let (year, number) = word.strip_prefix("CVE-").and_then(|rest| rest.split_once('-')).unwrap_or_default();
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            year.len() == 4 && number.len() >= 4 && is_number(year) && is_number(number)
        };
        for id in text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-').filter(is_cve) {
            self.observe("cve", Some(id), message);
        }
    }

    /// Adds a tag unless it is among the first 200, truncated to the host's limit of 128 bytes. The host keeps 200 tags.
    pub fn tag(&mut self, tag: &str) {
        add_tag(&mut self.tags, tag);
    }
}

/// Returns whether two values are the same. Addresses and names of one payload begin alike more often than they end alike.
fn is_same_text(one: &str, other: &str) -> bool {
    one.as_bytes().last() == other.as_bytes().last() && is_equal(one, other)
}

fn is_ip(text: &str) -> bool {
    // Most names show by a letter that they are not addresses.
    let is_sign = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    text.bytes().all(is_sign) && text.parse::<IpAddr>().is_ok()
}

/// Returns an address without its port, as in `192.0.2.7:443` or `[2001:db8::1]:443`. The cloud's metadata address is
/// link-local but meaningful: requests to it can be an attack.
fn meaningful_ip(value: &str) -> Option<Cow<'_, str>> {
    let (ip, value) = match value.parse() {
        Ok(ip) => (ip, Cow::Borrowed(value)),
        Err(_) => {
            let ip = value.parse::<SocketAddr>().ok()?.ip();
            (ip, Cow::Owned(ip.to_string()))
        }
    };
    let is_meaningless = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let link_local = ip.is_link_local() && ip != Ipv4Addr::new(169, 254, 169, 254);
            ip.octets()[0] == 0 || ip.is_loopback() || link_local || ip.is_multicast() || ip.is_broadcast()
        }
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_loopback() || ip.is_unicast_link_local() || ip.is_multicast(),
    };
    (!is_meaningless).then_some(value)
}

/// Requires 32 digits, the length of MD5, the shortest digest in use.
fn is_meaningful_hash(value: &str) -> bool {
    value.len() >= 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) && value.bytes().any(|byte| byte != b'0')
}

fn is_meaningful_mac(value: &str) -> bool {
    value.bytes().any(|sign| !b"0:-.".contains(&sign))
}

fn is_meaningful_user(value: &str) -> bool {
    let (domain, name) = value.rsplit_once('\\').unwrap_or(("", value));
    let built_in = ["", "SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE"].iter().any(|own| own.eq_ignore_ascii_case(name));
    !built_in && !domain.eq_ignore_ascii_case("NT AUTHORITY")
}

fn add_tag(tags: &mut Vec<String>, tag: &str) {
    if let Some(tag) = present(tag).map(|tag| truncate(tag, TAG_BYTES_MAX))
        && !tags.iter().take(TAGS_COMPARED_MAX).any(|known| known == tag)
    {
        tags.push(tag.to_owned());
    }
}

/// Returns the longest prefix of `text` with at most `bytes_max` bytes that ends at a character boundary.
fn truncate(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

impl Observable {
    /// Marks the observable as malicious itself, not only involved.
    pub fn ioc(&mut self) -> &mut Self {
        self.ioc = true;
        self
    }

    /// Returns whether the other observable has the same type and value.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.data_type, &self.value) == (&other.data_type, &other.value)
    }

    /// Adds a tag unless the observable has it, truncated to the host's limit of 128 bytes.
    pub fn tag(&mut self, tag: &str) -> &mut Self {
        add_tag(&mut self.tags, tag);
        self
    }
}

#[allow(clippy::derivable_impls, reason = "the type is generated from WIT")]
impl Default for Outcome {
    fn default() -> Self {
        Self { incidents: Vec::new(), skipped: Vec::new(), problems: Vec::new() }
    }
}

impl Outcome {
    /// Returns an outcome without incidents, with the reason why the payload is not an incident.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self { skipped: vec![reason.into()], ..Self::default() }
    }
}

impl From<Incident> for Outcome {
    fn from(incident: Incident) -> Self {
        Self { incidents: vec![incident], ..Self::default() }
    }
}

impl MappingError {
    /// Returns the error of a payload of another kind. `expected` names the payloads that the mapper knows.
    pub fn expected(expected: &str) -> Self {
        Self::Unsupported(format!("expected {expected}"))
    }

    /// Returns the text, for the problem of an item that costs no other item.
    pub fn text(&self) -> &str {
        let (Self::Malformed(text) | Self::Unsupported(text)) = self;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meaningless_values_are_not_observed() {
        let mut incident = Incident::new("x");
        for ip in ["0.0.0.0", "127.0.0.1", "224.0.0.251", "255.255.255.255", "169.254.7.7", "::1", "::ffff:127.0.0.1"] {
            incident.observe("ip", Some(ip), "");
        }
        for ip in ["fe80::1", "ff02::fb", "::", "xxx", "192.0.2.1", " 192.0.2.1 ", "169.254.169.254", "2001:db8::1"] {
            incident.observe("ip", Some(ip), "");
        }
        for ip in ["192.0.2.2:443", "[2001:db8::2]:443", "127.0.0.1:80", "192.0.2.1:443"] {
            incident.observe("ip", Some(ip), "");
        }
        for hash in ["0".repeat(40), "AB".repeat(16), "ab".repeat(16), "ab".repeat(15), "x".repeat(32)] {
            incident.observe("hash", Some(&hash), "");
        }
        for user in ["NT AUTHORITY\\SYSTEM", "system", "NT AUTHORITY\\NETWORK SERVICE", "CORP\\", "N/A", "CORP\\ann"] {
            incident.observe("user-account", Some(user), "");
        }
        for mac in ["00:00:00:00:00:00", "00-00-00-00-00-00", "0000.0000.0000"] {
            incident.observe("mac", Some(mac), "");
        }
        incident.observe("domain", Some("198.51.100.4"), "");
        let values: Vec<&str> = incident.observables.iter().map(|observable| observable.value.as_str()).collect();
        let md5 = "ab".repeat(16);
        let ips = ["192.0.2.1", "169.254.169.254", "2001:db8::1", "192.0.2.2", "2001:db8::2"];
        assert_eq!(values, [&ips[..], &[&md5, "CORP\\ann", "198.51.100.4"]].concat());
        assert_eq!(incident.observables[7].data_type, "ip");
    }

    #[test]
    fn observables_of_all_incidents_are_bounded() {
        reset();
        for number in 0..=OBSERVABLES_MAX / 100 {
            let mut incident = Incident::new("x");
            (0..100).for_each(|port| _ = incident.observe("other", Some(&format!("{number}:{port}")), ""));
            assert_eq!(incident.observables.len(), if number < OBSERVABLES_MAX / 100 { 100 } else { 0 });
        }
        reset();
        assert!(Incident::new("x").observe("other", Some("y"), "").is_some());
    }

    #[test]
    fn severities_are_words_or_numbers() {
        let cases = [("High", Some(Severity::High)), ("9", Some(Severity::Critical)), ("11", None), ("odd", None)];
        for (text, severity) in cases {
            let mut incident = Incident::new("x");
            incident.set_severity_on(Scale::Ten, Some(text));
            assert_eq!((incident.severity, incident.vendor_severity.as_deref()), (severity, Some(text)), "{text}");
        }
    }

    #[test]
    fn observables_are_named_as_vendors_do() {
        let mut incident = Incident::new("x");
        let value = |kind: &str| if kind.contains("Hash") { "ab".repeat(16) } else { "192.0.2.1".to_owned() };
        for kind in ["IPV4_ADDRESS", "File Hash", "URL String", "SCRIPT", "User Name", "EMAIL_ADDRESS"] {
            incident.observe_named(Some(kind), Some(&value(kind)), "");
        }
        let types: Vec<&str> = incident.observables.iter().map(|observable| observable.data_type.as_str()).collect();
        assert_eq!(types, ["ip", "hash", "url", "user-account", "mail"]);
    }

    #[test]
    fn users_are_addresses_of_mail_accounts_or_hosts() {
        let mut incident = Incident::new("x");
        for user in ["ann@example.com", "CORP\\ann", "192.0.2.7", "NT AUTHORITY\\SYSTEM", "N/A"] {
            incident.observe_user(Some(user), "user");
        }
        let types: Vec<&str> = incident.observables.iter().map(|observable| observable.data_type.as_str()).collect();
        assert_eq!(types, ["mail", "user-account", "ip"]);
    }

    #[test]
    fn cve_ids_are_found_in_texts() {
        let mut incident = Incident::new("x");
        incident.observe_cves("Log4Shell (CVE-2021-44228), CVE-2026-1234567: CVE-2021-44228", "title");
        incident.observe_cves("CVE-2021, CVE-21-44228, CVE-2021-442, CVE-2021-44228-x, XCVE-2021-44228", "title");
        let ids: Vec<&str> = incident.observables.iter().map(|observable| observable.value.as_str()).collect();
        assert_eq!(ids, ["CVE-2021-44228", "CVE-2026-1234567"]);
    }

    #[test]
    fn repeated_observables_are_added_once_and_can_be_marked() {
        let mut incident = Incident::new("x");
        incident.observe("url", Some("http://a.example"), "contacted");
        incident.observe("url", Some("http://a.example"), "verdict").map(Observable::ioc);
        let known = &incident.observables[0];
        assert_eq!((incident.observables.len(), known.ioc, known.message.as_deref()), (1, true, Some("contacted")));
    }

    #[test]
    fn own_words_of_a_vendor_come_before_common_ones() {
        let mut incident = Incident::new("x");
        let own = [("page", Severity::Critical), ("notice", Severity::Low)];
        for (word, severity) in [
            (Some("Page"), Some(Severity::Critical)),
            (Some("notice"), Some(Severity::Low)),
            (Some("high"), Some(Severity::High)),
            (Some("other"), None),
            (None, None),
        ] {
            incident.set_severity_word(word, &own);
            assert_eq!((incident.vendor_severity.as_deref(), incident.severity), (word, severity));
        }
    }

    #[test]
    fn long_ids_are_shortened_and_remain_different() {
        let [one, other] = ["1", "2"].map(|end| Incident::new("é".repeat(300) + end).source_ref);
        assert!(one.len() <= 512 && one != other && one.starts_with(&"é".repeat(200)));
    }

    #[test]
    fn tags_are_compared_with_those_that_the_host_keeps() {
        let mut incident = Incident::new("x");
        for number in (0..TAGS_COMPARED_MAX).chain([7, TAGS_COMPARED_MAX, TAGS_COMPARED_MAX]) {
            incident.tag(&number.to_string());
        }
        assert_eq!(incident.tags.len(), TAGS_COMPARED_MAX + 2);
    }

    #[test]
    fn titles_and_tags_are_truncated_at_character_boundaries() {
        let mut incident = Incident::new("x");
        incident.set_title(Some(&"é".repeat(300)));
        incident.set_title(Some(" "));
        incident.tag(&format!("a{}", "é".repeat(100)));
        assert_eq!(incident.title.map(|title| title.len()), Some(512));
        assert_eq!(incident.tags[0].len(), 127);
    }
}
