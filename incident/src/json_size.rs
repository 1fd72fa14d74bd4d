//! Sizes of values as JSON, and the cutting of texts that are too long.

use serde_json::Value;

/// The maximum number of bytes of a number in JSON.
const NUMBER_BYTES: usize = 32;

/// The number of bytes whose escapes are counted together, in one byte.
const PART_BYTES: usize = 32;

/// Returns the number of bytes that a text takes in JSON, with its quotes and escapes.
pub fn text_bytes(text: &str) -> usize {
    let escapes = |part: &[u8]| usize::from(part.iter().map(|byte| escape_bytes(*byte)).sum::<u8>());
    2 + text.len() + text.as_bytes().chunks(PART_BYTES).map(escapes).sum::<usize>()
}

/// Returns an upper bound of the number of bytes that a value takes in JSON.
pub(crate) fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => NUMBER_BYTES,
        Value::String(text) => text_bytes(text),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + value_bytes(item)).sum::<usize>(),
        Value::Object(members) => {
            2 + members.iter().map(|(name, value)| 2 + text_bytes(name) + value_bytes(value)).sum::<usize>()
        }
    }
}

/// Returns how deep arrays and objects are nested in a value, as far as `max + 1`.
pub(crate) fn depth(value: &Value, max: usize) -> usize {
    let inner = |value| if max == 0 { 0 } else { depth(value, max - 1) };
    match value {
        Value::Array(items) => 1 + items.iter().map(inner).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(inner).max().unwrap_or(0),
        _ => 0,
    }
}

/// Returns how deep arrays and objects are nested in a JSON text.
pub fn text_depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Cuts a text that takes more than `max` bytes in JSON, and marks its end with `…`. Returns whether it was cut.
pub fn cut(text: &mut String, max: usize) -> bool {
    const MARK: &str = "…";
    if text_bytes(text) <= max {
        return false;
    }
    let mut left = max.saturating_sub(2 + MARK.len());
    let fits = |character: &char| {
        let bytes = text_bytes(character.encode_utf8(&mut [0; 4])) - 2;
        left.checked_sub(bytes).inspect(|rest| left = *rest).is_some()
    };
    let end = text.chars().take_while(fits).map(char::len_utf8).sum();
    text.truncate(end);
    text.push_str(MARK);
    true
}

/// Returns the number of bytes that the escape of a byte adds.
fn escape_bytes(byte: u8) -> u8 {
    5 * u8::from(byte < 0x20) + u8::from(matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::{cut, depth, text_bytes, text_depth, value_bytes};
    use serde_json::json;

    #[test]
    fn sizes_are_those_of_the_json() {
        for text in ["", "plain", "ä\"\\", "\u{0}\n\u{1f}\u{7f}", "\u{2028}😀"] {
            assert_eq!(
                text_bytes(text),
                serde_json::to_string(text).unwrap().chars().map(char::len_utf8).sum::<usize>()
                    + text.matches('\n').count() * 4,
                "{text:?}"
            );
        }
        for value in
            [json!(null), json!(false), json!(-1.5e-300), json!(u64::MAX), json!([1, [], {}]), json!({"a": [{}, "b"]})]
        {
            assert!(value_bytes(&value) >= value.to_string().len(), "{value}");
        }
    }

    #[test]
    fn depth_is_counted_up_to_its_bound() {
        assert_eq!([json!(1), json!([]), json!({"a": [1, {}]})].map(|value| depth(&value, 9)), [0, 1, 3]);
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(depth(&deep, 64), 65);
        assert_eq!(text_depth(&deep.to_string()), 100);
        assert_eq!(text_depth(r#"{"a": "[[\"[[", "b": [{}, []]}"#), 3);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, max, expected) in
            [("short", 7, "short"), ("longer", 7, "lo…"), ("äääää", 9, "ää…"), ("\0\0\0", 12, "\0…")]
        {
            let mut cut_text = text.to_owned();
            assert_eq!(cut(&mut cut_text, max), text != expected);
            assert_eq!(cut_text, expected);
        }
    }
}
