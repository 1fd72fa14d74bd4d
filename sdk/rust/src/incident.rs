//! Conveniences on the records that a mapper returns.

use crate::text::present;
use crate::{Field, Incident, Observable, Outcome, Severity, State, Technique};
use serde::Serialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

/// The host's limits, `wit/plugin.wit`.
const TITLE_BYTES_MAX: usize = 512;
const TAG_BYTES_MAX: usize = 128;
/// The host keeps no more than these, and finding repeats among many would cost a mapper its deadline.
const OBSERVABLES_COMPARED_MAX: usize = 1000;

impl Incident {
    /// An incident of which nothing is known but the vendor's id.
    pub fn new(source_ref: impl Into<String>) -> Self {
        Self {
            source_ref: source_ref.into(),
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

    /// Sets the title, unless there is none, and cuts it to what the host takes.
    pub fn set_title(&mut self, title: Option<&str>) {
        if let Some(title) = title.and_then(present) {
            self.title = Some(cut(title, TITLE_BYTES_MAX).to_owned());
        }
    }

    /// Adds an observable once, unless its value is absent or says nothing. Returns it, whether new or there already,
    /// for further settings, such as [`Observable::ioc`].
    ///
    /// An `ip` says nothing when it is no address, or unspecified, loopback, link-local, multicast or broadcast; a `hash`
    /// when it is no hexadecimal digest or has only zeros; a `user-account` when it is one of Windows' own, such as
    /// `NT AUTHORITY\SYSTEM`. Hashes are kept in lower case.
    pub fn observe(&mut self, data_type: &str, value: Option<&str>, message: &str) -> Option<&mut Observable> {
        let value = present(value?)?;
        let value = match data_type {
            "ip" if !is_telling_ip(value) => return None,
            "hash" if !is_telling_hash(value) => return None,
            "user-account" if !is_telling_user(value) => return None,
            "hash" => Cow::Owned(value.to_ascii_lowercase()),
            _ => Cow::Borrowed(value),
        };
        let mut candidates = self.observables.iter().take(OBSERVABLES_COMPARED_MAX);
        let known = candidates.position(|known| known.data_type == data_type && known.value == value);
        if let Some(known) = known {
            return self.observables.get_mut(known);
        }
        self.observables.push(Observable {
            data_type: data_type.to_owned(),
            value: value.into_owned(),
            message: (!message.is_empty()).then(|| message.to_owned()),
            tags: Vec::new(),
            ioc: false,
        });
        self.observables.last_mut()
    }

    /// Adds a tag once, cut to what the host takes.
    pub fn tag(&mut self, tag: &str) {
        add_tag(&mut self.tags, tag);
    }

    /// Adds every ATT&CK id in `text` once: `T1059`, `T1059.001` or `TA0002`, wherever they stand in it. Vendors' own
    /// ids, such as CrowdStrike's `CST0006`, are not ATT&CK's and are passed over.
    pub fn attack(&mut self, text: &str, tactic: Option<&str>) {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.') {
            let id = word.trim_matches('.');
            if is_attack_id(id) && !self.techniques.iter().any(|known| known.id == id) {
                self.techniques.push(Technique { id: id.to_owned(), tactic: tactic.map(str::to_owned) });
            }
        }
    }

    /// Keeps a vendor's field as text, unless it is absent. Text that could be read as JSON, such as an id with twenty
    /// digits, stays text.
    pub fn detail(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        match serde_json::from_str::<IgnoredAny>(value) {
            Ok(_) => self.detail_json(name, &value),
            Err(_) => self.details.push(Field { name: name.to_owned(), value: value.to_owned() }),
        }
    }

    /// Keeps a vendor's value of any shape.
    pub fn detail_json(&mut self, name: &str, value: &impl Serialize) {
        if let Ok(value) = serde_json::to_string(value) {
            self.details.push(Field { name: name.to_owned(), value });
        }
    }
}

/// The cloud's metadata address is link-local and telling: it matters who asks it.
fn is_telling_ip(value: &str) -> bool {
    match value.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            let link_local = ip.is_link_local() && ip != Ipv4Addr::new(169, 254, 169, 254);
            !(ip.octets()[0] == 0 || ip.is_loopback() || link_local || ip.is_multicast() || ip.is_broadcast())
        }
        Ok(IpAddr::V6(ip)) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_unicast_link_local() || ip.is_multicast())
        }
        Err(_) => false,
    }
}

/// MD5 is the shortest.
fn is_telling_hash(value: &str) -> bool {
    value.len() >= 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) && value.bytes().any(|byte| byte != b'0')
}

fn is_telling_user(value: &str) -> bool {
    let (domain, name) = value.rsplit_once('\\').unwrap_or(("", value));
    let built_in = ["", "SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE"].iter().any(|own| own.eq_ignore_ascii_case(name));
    !built_in && !domain.eq_ignore_ascii_case("NT AUTHORITY")
}

fn add_tag(tags: &mut Vec<String>, tag: &str) {
    if let Some(tag) = present(tag).map(|tag| cut(tag, TAG_BYTES_MAX))
        && !tags.iter().any(|known| known == tag)
    {
        tags.push(tag.to_owned());
    }
}

/// The longest beginning of `text` with at most `bytes_max` bytes that ends between two characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// `T` and four digits, with or without `.` and three more; or `TA` and four digits.
fn is_attack_id(id: &str) -> bool {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(tactic) = id.strip_prefix("TA") {
        return digits(tactic, 4);
    }
    match id.strip_prefix('T').map(|rest| rest.split_once('.').unwrap_or((rest, ""))) {
        Some((technique, sub)) => digits(technique, 4) && (sub.is_empty() || digits(sub, 3)),
        None => false,
    }
}

impl Observable {
    /// Marks it as malicious by itself.
    pub fn ioc(&mut self) -> &mut Self {
        self.ioc = true;
        self
    }

    /// Adds a label once, cut to what the host takes.
    pub fn tag(&mut self, tag: &str) -> &mut Self {
        add_tag(&mut self.tags, tag);
        self
    }
}

impl Severity {
    /// Reads the words that vendors use for the five steps, without case: `info`, `Low`, `WARNING`, `sev-1` is none.
    pub fn parse(word: &str) -> Option<Self> {
        let steps: [(Self, &[&str]); 5] = [
            (Self::Informational, &["informational", "information", "info", "debug", "notice"]),
            (Self::Low, &["low", "minor"]),
            (Self::Medium, &["medium", "moderate", "warning", "warn"]),
            (Self::High, &["high", "error", "major", "severe"]),
            (Self::Critical, &["critical", "crit", "emergency", "fatal"]),
        ];
        let word = word.trim();
        steps
            .iter()
            .find(|(_, words)| words.iter().any(|known| known.eq_ignore_ascii_case(word)))
            .map(|(step, _)| *step)
    }
}

impl State {
    /// Reads the words that vendors use for opened and closed matters, without case. Words for work in progress, such
    /// as `acknowledged`, are neither and read as none.
    pub fn parse(word: &str) -> Option<Self> {
        let is = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word.trim()));
        if is(&["open", "opened", "new", "reopened"]) {
            Some(Self::Open)
        } else if is(&["resolved", "closed", "fixed", "dismissed", "false_positive", "falsepositive"]) {
            Some(Self::Resolved)
        } else {
            None
        }
    }
}

#[allow(clippy::derivable_impls, reason = "the type is generated from WIT")]
impl Default for Outcome {
    fn default() -> Self {
        Self { incidents: Vec::new(), skipped: Vec::new(), problems: Vec::new() }
    }
}

impl Outcome {
    /// Nothing in the payload makes an incident, and why.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self { skipped: vec![reason.into()], ..Self::default() }
    }
}

impl From<Incident> for Outcome {
    fn from(incident: Incident) -> Self {
        Self { incidents: vec![incident], ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_ids_are_found_in_text_and_vendors_own_are_not() {
        let mut incident = Incident::new("x");
        incident.attack("Regsvr32 (T1218.010), https://attack.mitre.org/techniques/T1090/ TA0043-T1595 T1595", None);
        incident.attack("CST0006 T12 T12345 TA001 T1059.1 AT1059", None);
        let ids: Vec<&str> = incident.techniques.iter().map(|technique| technique.id.as_str()).collect();
        assert_eq!(ids, ["T1218.010", "T1090", "TA0043", "T1595"]);
    }

    #[test]
    fn values_that_say_nothing_are_not_observed() {
        let mut incident = Incident::new("x");
        for ip in ["0.0.0.0", "127.0.0.1", "224.0.0.251", "255.255.255.255", "169.254.7.7", "::1", "::ffff:127.0.0.1"] {
            incident.observe("ip", Some(ip), "");
        }
        for ip in ["fe80::1", "ff02::fb", "::", "xxx", "192.0.2.1", " 192.0.2.1 ", "169.254.169.254", "2001:db8::1"] {
            incident.observe("ip", Some(ip), "");
        }
        for hash in ["0".repeat(40), "AB".repeat(16), "ab".repeat(16), "ab".repeat(15), "x".repeat(32)] {
            incident.observe("hash", Some(&hash), "");
        }
        for user in ["NT AUTHORITY\\SYSTEM", "system", "NT AUTHORITY\\NETWORK SERVICE", "CORP\\", "N/A", "CORP\\ann"] {
            incident.observe("user-account", Some(user), "");
        }
        let values: Vec<&str> = incident.observables.iter().map(|observable| observable.value.as_str()).collect();
        let md5 = "ab".repeat(16);
        assert_eq!(values, ["192.0.2.1", "169.254.169.254", "2001:db8::1", &md5, "CORP\\ann"]);
    }

    #[test]
    fn the_same_observable_is_kept_once_and_can_still_be_marked() {
        let mut incident = Incident::new("x");
        incident.observe("url", Some("http://a.example"), "seen");
        incident.observe("url", Some("http://a.example"), "judged").map(Observable::ioc);
        let known = &incident.observables[0];
        assert_eq!((incident.observables.len(), known.ioc, known.message.as_deref()), (1, true, Some("seen")));
    }

    #[test]
    fn details_stay_what_they_were() {
        let mut incident = Incident::new("x");
        incident.detail("id", Some("12345678901234567890123"));
        incident.detail("command", Some("\"a.exe\""));
        incident.detail("words", Some("plain"));
        incident.detail_json("list", &[1, 2]);
        let values: Vec<&str> = incident.details.iter().map(|detail| detail.value.as_str()).collect();
        assert_eq!(values, [r#""12345678901234567890123""#, r#""\"a.exe\"""#, "plain", "[1,2]"]);
    }

    #[test]
    fn titles_and_tags_are_cut_between_characters() {
        let mut incident = Incident::new("x");
        incident.set_title(Some(&"é".repeat(300)));
        incident.set_title(Some(" "));
        incident.tag(&format!("a{}", "é".repeat(100)));
        assert_eq!(incident.title.map(|title| title.len()), Some(512));
        assert_eq!(incident.tags[0].len(), 127);
    }

    #[test]
    fn states_are_read_only_where_they_are_said() {
        let states = ["New", "CLOSED", "reopened", "resolved", "inProgress", "active", ""].map(State::parse);
        let (open, resolved) = (Some(State::Open), Some(State::Resolved));
        assert_eq!(states, [open, resolved, open, resolved, None, None, None]);
    }
}
