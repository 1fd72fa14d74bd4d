//! The values of details.

use serde_json::Value;

/// Returns the value of a detail: JSON if the text is JSON, else the text. A number that JSON would write differently
/// stays a text: `7.10` is a version, not 7.1.
pub(crate) fn detail(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(Value::Number(number)) if number.to_string() != text => Value::String(text),
        Ok(value) => value,
        Err(_) => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use super::detail;
    use serde_json::json;

    #[test]
    fn details_are_json_unless_a_number_would_change() {
        let cases =
            [("7.10", json!("7.10")), ("7.1", json!(7.1)), ("{\"a\":[1]}", json!({"a": [1]})), ("x", json!("x"))];
        for (text, expected) in cases {
            assert_eq!(detail(text.to_owned()), expected, "{text}");
        }
    }
}
