//! STIX 2.1, the format of threat intelligence platforms: patterns, observable types and TLP markings.

use crate::{Incident, Observable, Tlp};
use std::str::Chars;

impl Incident {
    /// Adds the values of a STIX pattern as observables, each with its path as the message: the texts that are compared as
    /// equal, however the comparisons are combined. Those of another type than [`data_type`] knows, and ranges of
    /// addresses, are `other`. A text that is not a pattern has none.
    pub fn observe_pattern(&mut self, pattern: &str, is_malicious: bool) {
        for (path, value) in comparisons(pattern) {
            let data_type = data_type(&path).filter(|kind| *kind != "ip" || !value.contains('/')).unwrap_or("other");
            let observable = self.observe(data_type, Some(&value), &path);
            if is_malicious {
                observable.map(Observable::ioc);
            }
        }
    }
}

/// Returns the comparisons of a STIX pattern that compare a path with a text as equal, as pairs of path and text:
/// `[file:name = 'a' OR url:value IN ('b', 'c')]`.
fn comparisons(pattern: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut path, mut word) = (String::new(), String::new());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter.is_alphanumeric() || "-_.:".contains(letter) {
            word.push(letter);
            continue;
        }
        // `file:hashes.'SHA-256'`
        if letter == '\'' && word.ends_with('.') {
            word += &quoted(&mut letters).unwrap_or_default();
            continue;
        }
        path = path_after(path, std::mem::take(&mut word));
        match letter {
            '!' | '<' | '>' => path.clear(),
            '\'' => {
                let text = quoted(&mut letters).filter(|_| !path.is_empty());
                found.extend(text.map(|text| (path.clone(), text)));
            }
            _ => {}
        }
    }
    found
}

/// Returns the path that a text after `word` is compared with; empty if the comparison is not for equality.
fn path_after(path: String, word: String) -> String {
    match word.as_str() {
        "" | "IN" => path,
        _ if word.contains(':') => word,
        // `NOT`, `LIKE`, `OR`
        _ => String::new(),
    }
}

/// Returns the text before the next quote. A backslash escapes the next character.
fn quoted(letters: &mut Chars) -> Option<String> {
    let mut text = String::new();
    loop {
        match letters.next()? {
            '\'' => return Some(text),
            '\\' => text.push(letters.next()?),
            letter => text.push(letter),
        }
    }
}

/// Returns the observable type of a path in a STIX pattern, such as `ipv4-addr:value` or `file:hashes.SHA-256`.
pub fn data_type(path: &str) -> Option<&'static str> {
    Some(match path.split_once(':')? {
        ("ipv4-addr" | "ipv6-addr", "value") => "ip",
        ("network-traffic", "src_ref.value" | "dst_ref.value") => "ip",
        ("domain-name", "value") => "domain",
        ("hostname", "value") => "hostname",
        ("url", "value") => "url",
        ("email-addr", "value") => "mail",
        ("email-message", "from_ref.value" | "sender_ref.value") => "mail",
        ("email-message", "subject") => "mail-subject",
        ("mac-addr", "value") => "mac",
        ("user-agent", "value") => "user-agent",
        ("user-account", "account_login" | "user_id") => "user-account",
        ("windows-registry-key", "key") => "registry",
        ("file", "name") => "filename",
        (_, property) if property.starts_with("hashes.") => "hash",
        _ => return None,
    })
}

/// Returns the TLP marking with this STIX id: the ids of TLP 1 in STIX 2.1, of TLP 2.0 in its extension, and OpenCTI's
/// id of TLP:AMBER+STRICT.
pub fn tlp(id: &str) -> Option<Tlp> {
    match id.strip_prefix("marking-definition--")? {
        "613f2e26-407d-48c7-9eca-b8e91df99dc9" | "94868c89-83c2-464b-929b-a1a8aa3c8487" => Some(Tlp::Clear),
        "34098fce-860f-48ae-8e50-ebd3cc5e41da" | "bab4a63c-aed9-4cf5-a766-dfca5abac2bb" => Some(Tlp::Green),
        "f88d31f6-486f-44da-b317-01333bde0b82" | "55d920b0-5e8b-4f79-9ee9-91f868d9b421" => Some(Tlp::Amber),
        "826578e1-40ad-459f-bc73-ede076f81f37" | "939a9414-2ddd-4d32-a0cd-375ea402b003" => Some(Tlp::AmberStrict),
        "5e57c739-391a-4eb3-b6be-7d15ca92d5ed" | "e828b379-4e03-4974-9ac4-e53a884c97c1" => Some(Tlp::Red),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::comparisons;
    use crate::Incident;

    #[test]
    fn values_of_patterns_are_observed() {
        let mut incident = Incident::new("x");
        incident.observe_pattern("[ipv4-addr:value IN ('192.0.2.7', '192.0.2.0/24') OR a:b = 'c']", true);
        let seen = incident.observables.iter().map(|seen| (&*seen.data_type, &*seen.value, seen.ioc));
        assert_eq!(
            seen.collect::<Vec<_>>(),
            [("ip", "192.0.2.7", true), ("other", "192.0.2.0/24", true), ("other", "c", true)]
        );
    }

    #[test]
    fn comparisons_for_equality_are_found() {
        let cases: [(&str, &[(&str, &str)]); 12] = [
            ("[ipv4-addr:value = '192.0.2.7']", &[("ipv4-addr:value", "192.0.2.7")]),
            ("[a:b='1' OR (c:d = '2' AND e:f = '3')]", &[("a:b", "1"), ("c:d", "2"), ("e:f", "3")]),
            ("[a:b IN ('1', '2')] FOLLOWEDBY [c:d = '3']", &[("a:b", "1"), ("a:b", "2"), ("c:d", "3")]),
            (
                "[file:hashes.'SHA-256' = 'ab' OR file:hashes.MD5='cd']",
                &[("file:hashes.SHA-256", "ab"), ("file:hashes.MD5", "cd")],
            ),
            (r"[a:b = 'C:\\it\'s']", &[("a:b", r"C:\it's")]),
            ("[a:b != '1' OR a:b NOT = '2' OR a:b LIKE '3%' OR a:b NOT IN ('4') OR a:b > '5']", &[]),
            ("[a:b ISSUBSET '192.0.2.0/24' AND c:d = '6']", &[("c:d", "6")]),
            ("[a:b = '1'] START t'2026-01-01T00:00:00Z' STOP t'2026-02-01T00:00:00Z'", &[("a:b", "1")]),
            ("[a:values[0].data = '1' OR c:d = 7]", &[]),
            ("[a:b = 'never ends", &[]),
            ("''' [ = 'x' '\\", &[]),
            ("", &[]),
        ];
        for (pattern, expected) in cases {
            let found = comparisons(pattern);
            let found: Vec<_> = found.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
