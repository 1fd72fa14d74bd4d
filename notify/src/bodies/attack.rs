//! The tactics of MITRE ATT&CK.

/// The tactics of ATT&CK for Enterprise: ids and names.
const TACTICS: [(&str, &str); 14] = [
    ("TA0043", "Reconnaissance"),
    ("TA0042", "Resource Development"),
    ("TA0001", "Initial Access"),
    ("TA0002", "Execution"),
    ("TA0003", "Persistence"),
    ("TA0004", "Privilege Escalation"),
    ("TA0005", "Defense Evasion"),
    ("TA0006", "Credential Access"),
    ("TA0007", "Discovery"),
    ("TA0008", "Lateral Movement"),
    ("TA0009", "Collection"),
    ("TA0011", "Command and Control"),
    ("TA0010", "Exfiltration"),
    ("TA0040", "Impact"),
];

/// Returns the id and the name of a tactic, found by either. Case and separators of the name do not matter.
pub(super) fn tactic(text: &str) -> Option<(&'static str, &'static str)> {
    TACTICS.into_iter().find(|(id, name)| *id == text || letters(name).eq(letters(text)))
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase())
}
