//! Words that vendors write for an absent value.

/// The words for absent values, in lower case.
const ABSENT: [&str; 14] = [
    "",
    "-",
    "--",
    "---",
    "n/a",
    "<na>",
    "null",
    "(null)",
    "none",
    "nil",
    "unknown",
    "undefined",
    "not available",
    "notavailable",
];

/// Returns `text` without surrounding white space, or none if it stands for an absent value.
pub fn present(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_absent = text.len() <= 13 && ABSENT.iter().any(|absent| absent.eq_ignore_ascii_case(text));
    (!is_absent).then_some(text)
}
