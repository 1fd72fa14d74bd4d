//! MITRE ATT&CK: the ids of tactics and techniques.

use crate::{Incident, Technique};

/// The tactics of ATT&CK for Enterprise with their ids.
const TACTICS: [(&str, &str); 14] = [
    ("reconnaissance", "TA0043"),
    ("resource-development", "TA0042"),
    ("initial-access", "TA0001"),
    ("execution", "TA0002"),
    ("persistence", "TA0003"),
    ("privilege-escalation", "TA0004"),
    ("defense-evasion", "TA0005"),
    ("credential-access", "TA0006"),
    ("discovery", "TA0007"),
    ("lateral-movement", "TA0008"),
    ("collection", "TA0009"),
    ("command-and-control", "TA0011"),
    ("exfiltration", "TA0010"),
    ("impact", "TA0040"),
];

/// Returns the id of a tactic by name, ignoring case and separators: `initial-access`, `InitialAccess` and `Initial
/// Access` are `TA0001`. Returns none for other text.
pub fn tactic_id(name: &str) -> Option<&'static str> {
    let is = |known: &str| letters(known).eq(letters(name));
    TACTICS.iter().find(|(known, _)| is(known)).map(|(_, id)| *id)
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|letter| !"-_ ".contains(*letter)).map(|letter| letter.to_ascii_lowercase())
}

impl Incident {
    /// Adds every ATT&CK id in `text` once: `T1059`, `T1059.001` or `TA0002`, at any position. Other ids, such as
    /// CrowdStrike's `CST0006`, are ignored.
    pub fn attack(&mut self, text: &str, tactic: Option<&str>) {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.') {
            let id = word.trim_matches('.');
            if is_attack_id(id) && !self.techniques.iter().any(|known| known.id == id) {
                self.techniques.push(Technique { id: id.to_owned(), tactic: tactic.map(str::to_owned) });
            }
        }
    }
}

/// Returns whether `id` is `T` and four digits, with or without `.` and three more, or `TA` and four digits.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_ids_are_found_and_other_ids_are_ignored() {
        let mut incident = Incident::new("x");
        incident.attack("Regsvr32 (T1218.010), https://attack.mitre.org/techniques/T1090/ TA0043-T1595 T1595", None);
        incident.attack("CST0006 T12 T12345 TA001 T1059.1 AT1059", None);
        let ids: Vec<&str> = incident.techniques.iter().map(|technique| technique.id.as_str()).collect();
        assert_eq!(ids, ["T1218.010", "T1090", "TA0043", "T1595"]);
    }

    #[test]
    fn tactics_are_found_in_any_spelling() {
        for name in ["initial-access", "InitialAccess", "Initial Access", "INITIAL_ACCESS"] {
            assert_eq!(tactic_id(name), Some("TA0001"), "{name}");
        }
        assert_eq!((tactic_id("SuspiciousActivity"), tactic_id("")), (None, None));
    }
}
