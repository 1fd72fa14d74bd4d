//! MITRE ATT&CK: the ids of tactics and techniques, and their names.

use crate::{Incident, Technique, is_same_name};

/// Sorted lines of a technique's name, as letters and digits, and its id, after comments that begin with `#`.
const TECHNIQUES: &str = include_str!("attack/techniques.txt");

/// The starts of the lines of [`TECHNIQUES`], which has less than 64 KiB.
static LINES: [u16; line_ends(TECHNIQUES.as_bytes())] = line_starts(TECHNIQUES.as_bytes());

/// The host keeps no more techniques than these. Comparing with more of them could exceed the mapper's deadline.
const TECHNIQUES_COMPARED_MAX: usize = 100;

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
    TACTICS.iter().find(|(known, _)| is_same_name(known, name)).map(|(_, id)| *id)
}

/// Returns the id of a technique by name, ignoring case and separators: `PowerShell`, `Command and Scripting Interpreter:
/// PowerShell` and `power-shell` are `T1059.001`. Returns none for other text and for names that several techniques
/// share, such as `Local Account`.
pub fn technique_id(name: &str) -> Option<&'static str> {
    let name = name.rsplit(": ").next().unwrap_or(name);
    let is_sign = |letter: &char| letter.is_ascii_alphanumeric();
    // With the space after it, a name is not the beginning of another one.
    let mut key: String = name.chars().filter(is_sign).map(|letter| letter.to_ascii_lowercase()).collect();
    key.push(' ');
    let beginning = |start: usize| &TECHNIQUES.as_bytes()[start..TECHNIQUES.len().min(start + key.len())];
    let line = LINES.binary_search_by(|start| beginning(usize::from(*start)).cmp(key.as_bytes())).ok()?;
    TECHNIQUES[usize::from(LINES[line]) + key.len()..].lines().next()
}

/// Returns the starts of the first lines of a text.
const fn line_starts<const COUNT: usize>(text: &[u8]) -> [u16; COUNT] {
    let (mut starts, mut line, mut at) = ([0; COUNT], 1, 0);
    while line < COUNT {
        if text[at] == b'\n' {
            starts[line] = at as u16 + 1;
            line += 1;
        }
        at += 1;
    }
    starts
}

/// Returns the number of line ends in a text.
const fn line_ends(text: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < text.len() {
        count += (text[at] == b'\n') as usize;
        at += 1;
    }
    count
}

impl Incident {
    /// Adds every ATT&CK id in `text` once: `T1059`, `T1059.001` or `TA0002`, at any position. Other ids, such as
    /// CrowdStrike's `CST0006`, are ignored.
    pub fn attack(&mut self, text: &str, tactic: Option<&str>) {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.') {
            let id = word.trim_matches('.');
            if is_attack_id(id) && !self.has_technique(|known| known.id == id) {
                self.techniques.push(Technique { id: id.to_owned(), tactic: tactic.map(str::to_owned) });
            }
        }
    }

    /// Returns whether one of the techniques that the host keeps is as wanted.
    pub fn has_technique(&self, is_wanted: impl Fn(&Technique) -> bool) -> bool {
        self.techniques.iter().take(TECHNIQUES_COMPARED_MAX).any(is_wanted)
    }

    /// Adds techniques with the tactics in a list beside theirs. If the lists differ in length, the tactics of the techniques
    /// are unknown.
    pub fn attack_lists<'t>(&mut self, ids: impl Iterator<Item = &'t str>, tactics: impl Iterator<Item = &'t str>) {
        let (ids, tactics): (Vec<&str>, Vec<&str>) = (ids.collect(), tactics.collect());
        for (number, id) in ids.iter().enumerate() {
            self.attack(id, tactics.get(number).copied().filter(|_| tactics.len() == ids.len()));
        }
    }

    /// Adds the ATT&CK ids of a technique: those in `id` or, if there is none, the one of `name`. If neither is known,
    /// adds the id of the tactic, unless the incident has a technique of this tactic.
    pub fn attack_named(&mut self, id: Option<&str>, name: Option<&str>, tactic: Option<&str>) {
        if let Some(id) = id.filter(|id| has_attack_id(id)).or_else(|| technique_id(name?)) {
            return self.attack(id, tactic);
        }
        if !self.has_technique(|known| known.tactic.as_deref() == tactic) {
            self.attack(tactic.and_then(tactic_id).unwrap_or_default(), None);
        }
    }
}

fn has_attack_id(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').any(|word| is_attack_id(word.trim_matches('.')))
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
    fn tactics_of_parallel_lists_are_those_of_the_techniques() {
        for (tactics, expected) in [(&["a", "b"][..], [Some("a"), Some("b")]), (&["a"], [None, None])] {
            let mut incident = Incident::new("x");
            incident.attack_lists(["T1059", "T1090"].into_iter(), tactics.iter().copied());
            let seen = [0, 1].map(|number: usize| incident.techniques[number].tactic.as_deref());
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn names_of_techniques_are_found_in_any_spelling() {
        for name in ["PowerShell", "Command and Scripting Interpreter: PowerShell", "power-shell"] {
            assert_eq!(technique_id(name), Some("T1059.001"), "{name}");
        }
        assert_eq!((technique_id("Local Account"), technique_id("#"), technique_id("")), (None, None, None));
        for (name, id) in
            TECHNIQUES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
        {
            assert_eq!(technique_id(name), Some(id), "{name}");
        }
    }

    #[test]
    fn techniques_without_an_id_are_found_by_name_and_others_by_tactic() {
        let mut incident = Incident::new("x");
        incident.attack_named(Some("T1204"), Some("PowerShell"), Some("Execution"));
        incident.attack_named(Some("CST0007"), Some("Kerberoasting"), Some("Credential Access"));
        incident.attack_named(None, Some("Sensor-based ML"), Some("Impact"));
        incident.attack_named(None, Some("Intelligence Indicator"), Some("Execution"));
        let ids: Vec<&str> = incident.techniques.iter().map(|technique| technique.id.as_str()).collect();
        assert_eq!(ids, ["T1204", "T1558.003", "TA0040"]);
    }

    #[test]
    fn tactics_are_found_in_any_spelling() {
        for name in ["initial-access", "InitialAccess", "Initial Access", "INITIAL_ACCESS"] {
            assert_eq!(tactic_id(name), Some("TA0001"), "{name}");
        }
        assert_eq!((tactic_id("SuspiciousActivity"), tactic_id("")), (None, None));
    }
}
