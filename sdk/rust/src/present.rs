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
    let is_sign = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let text = if is_sign(text.as_bytes().first()) && is_sign(text.as_bytes().last()) { text } else { text.trim() };
    // Most texts show by their first byte that they are present.
    let can_be_absent = matches!(text.as_bytes(), [] | [b'-' | b'<' | b'(' | b'N' | b'n' | b'U' | b'u', ..]);
    let is_absent = can_be_absent && text.len() <= 13 && ABSENT.iter().any(|absent| absent.eq_ignore_ascii_case(text));
    (!is_absent).then_some(text)
}
