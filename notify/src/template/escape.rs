//! Escaping of texts for the formats of templates.

use serde_json::Value;
use std::fmt::Write;

/// Replaces the characters for which `with` returns a text.
pub(super) fn replace(text: &str, with: impl Fn(char) -> Option<&'static str>) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match with(character) {
            Some(other) => escaped.push_str(other),
            None => escaped.push(character),
        }
    }
    escaped
}

/// Escapes a text for the inside of a JSON string.
pub(super) fn json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    replace(&quoted[1..quoted.len() - 1], script_safe)
}

/// Returns a whole JSON value.
pub(super) fn json_value(value: &Value) -> String {
    // Outside of its strings, JSON has none of the replaced characters.
    replace(&value.to_string(), script_safe)
}

/// Escapes the characters that could end a script in which the JSON is embedded.
fn script_safe(character: char) -> Option<&'static str> {
    match character {
        '<' => Some("\\u003c"),
        '>' => Some("\\u003e"),
        '&' => Some("\\u0026"),
        '\u{2028}' => Some("\\u2028"),
        '\u{2029}' => Some("\\u2029"),
        _ => None,
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// Escapes the characters that have a meaning in Markdown.
pub(super) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    let mut at_line_start = true;
    for (index, character) in text.char_indices() {
        let after = &text[index + character.len_utf8()..];
        let before = &text.as_bytes()[..index];
        let is_special = match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '<' | '>' | '#' | '|' | '~' | '!' | '&' => true,
            // Lists, rules and underlined headings.
            '-' | '+' | '=' => at_line_start,
            // Links without brackets.
            ':' => after.starts_with("//"),
            '.' => before.len() >= 3 && before[before.len() - 3..].eq_ignore_ascii_case(b"www"),
            _ => false,
        };
        if is_special {
            escaped.push('\\');
        }
        escaped.push(character);
        if character == '@' {
            // Backslashes have no effect here: chats search for mentions after removing backslashes.
            escaped.push('\u{200b}');
        }
        at_line_start = character == '\n' || (at_line_start && character.is_whitespace());
    }
    escaped
}
