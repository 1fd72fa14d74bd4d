//! The values of details.

use serde_json::Value;

/// The depth of JSON in a detail. A record that holds details is nested deeper than a detail itself, and every reader
/// of JSON has a limit: that of the store is 128.
const DEPTH_MAX: usize = 64;

/// Returns the value of a detail: JSON if the text is JSON, else the text. A number that JSON would write differently
/// stays a text: `7.10` is a version, not 7.1. So does JSON that is nested too deep.
pub(crate) fn detail(text: String) -> Value {
    // Most texts show by their first byte that they are not JSON.
    let can_be_json = |byte: &u8| b"{[\"-0123456789ntf \n\r\t".contains(byte);
    if !text.as_bytes().first().is_some_and(can_be_json) {
        return Value::String(text);
    }
    match serde_json::from_str(&text) {
        Ok(Value::Number(number)) if number.to_string() != text => Value::String(text),
        Ok(value) if is_deeper(&value, DEPTH_MAX) => Value::String(text),
        Ok(value) => value,
        Err(_) => Value::String(text),
    }
}

/// Returns whether lists and objects are nested deeper than `levels`.
fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|member| is_deeper(member, levels - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, detail};
    use serde_json::json;

    #[test]
    fn details_are_json_unless_a_number_would_change() {
        let cases =
            [("7.10", json!("7.10")), ("7.1", json!(7.1)), ("{\"a\":[1]}", json!({"a": [1]})), ("x", json!("x"))];
        for (text, expected) in cases {
            assert_eq!(detail(text.to_owned()), expected, "{text}");
        }
    }

    #[test]
    fn json_that_is_nested_too_deep_stays_text() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(detail(nested(DEPTH_MAX)).is_array());
        for levels in [DEPTH_MAX + 1, 126, 200] {
            assert_eq!(detail(nested(levels)), json!(nested(levels)));
        }
    }
}
