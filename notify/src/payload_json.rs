//! Reads the JSON of payloads. A broken character costs that character, not the payload.

use serde_json::Value;
use std::borrow::Cow;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Returns the value of a payload; `None` if the payload is not JSON.
pub(crate) fn payload_json(payload: &[u8]) -> Option<Value> {
    let payload = payload.strip_prefix(BOM).unwrap_or(payload);
    if let Ok(value) = serde_json::from_slice(payload) {
        return Some(value);
    }
    serde_json::from_str(&without_lone_surrogates(&String::from_utf8_lossy(payload))).ok()
}

/// Replaces escapes of half a character, which a sender leaves when it cuts a text, by that of U+FFFD.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let mut mended = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let start = at + found;
        at = match (surrogate(text, start), surrogate(text, start + ESCAPE_BYTES)) {
            (Some(Half::High), Some(Half::Low)) => start + 2 * ESCAPE_BYTES,
            (Some(_), _) => {
                mended.to_mut().replace_range(start..start + ESCAPE_BYTES, "\\ufffd");
                start + ESCAPE_BYTES
            }
            // The escaped character may be a backslash itself.
            (None, _) => start + 1 + text[start + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    mended
}

/// The length of `\ud83d`.
const ESCAPE_BYTES: usize = 6;

enum Half {
    High,
    Low,
}

/// Returns which half of a character is escaped at a position.
fn surrogate(text: &str, at: usize) -> Option<Half> {
    let digits = text.get(at..at + ESCAPE_BYTES)?.strip_prefix("\\u")?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::payload_json;
    use serde_json::json;

    #[test]
    fn broken_characters_cost_themselves_only() {
        let cases: [(&[u8], _); 9] = [
            (b"{\"a\": 1}", Some(json!({"a": 1}))),
            (b"\xef\xbb\xbf[1]", Some(json!([1]))),
            (br#"{"a": "x\ud83d", "b": "\ud83d\ude00"}"#, Some(json!({"a": "x\u{fffd}", "b": "\u{1f600}"}))),
            (br#"["\ude00\ud83d\ud83d\ude00"]"#, Some(json!(["\u{fffd}\u{fffd}\u{1f600}"]))),
            (br#"["\\ud83d", "\ud83d\n"]"#, Some(json!(["\\ud83d", "\u{fffd}\n"]))),
            (b"[\"\xff\", \"\\\\\"]", Some(json!(["\u{fffd}", "\\"]))),
            ("[\"\\ud83dä\"]".as_bytes(), Some(json!(["\u{fffd}ä"]))),
            (b"plain \\", None),
            (b"[\"\\ud83", None),
        ];
        for (payload, expected) in cases {
            assert_eq!(payload_json(payload), expected, "{}", String::from_utf8_lossy(payload));
        }
    }
}
