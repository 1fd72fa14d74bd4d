//! A source that was declared elsewhere, as it stands in the configuration file.

use super::source::SourceDeclaration;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Words that YAML reads as values of other types than text.
const OTHER_TYPES: [&str; 7] = ["null", "true", "false", "yes", "no", "on", "off"];

/// Returns the section of the configuration file that declares a source. In place of a secret stands a reference to a
/// variable of the environment.
pub fn source_yaml(name: &str, declaration: &Map<String, Value>) -> String {
    let mut text = format!("sources:\n  {name}:\n");
    let (first, others): (Vec<_>, Vec<_>) =
        declaration.iter().partition(|(key, _)| ["kind", "plugin"].contains(&key.as_str()));
    for (key, value) in first.into_iter().chain(others) {
        let _ = writeln!(text, "    {key}: {}", flow(value));
    }
    if has_secret(declaration) {
        let variable: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let _ = writeln!(text, "    secret: \"${{{}_SECRET}}\"", variable.to_uppercase());
    }
    text
}

/// Returns a value in YAML on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_word(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("{}: {}", flow(&key.as_str().into()), flow(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        // JSON is YAML, too.
        value => value.to_string(),
    }
}

/// Returns whether a text needs no quotes.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        && !OTHER_TYPES.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Returns whether the source posts with a scheme that has a secret. Only such a declaration can be read from JSON.
fn has_secret(declaration: &Map<String, Value>) -> bool {
    let declared = SourceDeclaration::from_json(Value::Object(declaration.clone()));
    declared.and_then(|declared| declared.new_secret()).is_ok_and(|secret| secret.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_section_has_the_values_of_the_declaration() {
        let declaration = json!({
            "scheme": {"type": "static-header", "header": "X-Key"},
            "plugin": ["generic", "splunk"],
            "settings": {"team": "a: \"b\" # c", "price": "$${x}", "word": "null", "a key": "[1"},
            "requests_per_second": "10",
        });
        let text = source_yaml("my.lab", declaration.as_object().unwrap());
        assert_eq!(
            text,
            r##"sources:
  my.lab:
    plugin: [generic, splunk]
    requests_per_second: "10"
    scheme: { header: X-Key, type: static-header }
    settings: { "a key": "[1", price: "$${x}", team: "a: \"b\" # c", word: "null" }
    secret: "${MY_LAB_SECRET}"
"##
        );
        let text = text.replace("${MY_LAB_SECRET}", "only-an-example-of-a-secret");
        let config = crate::config::Config::parse(&text, std::path::Path::new("/")).unwrap();
        let expected = [("a key", "[1"), ("price", "${x}"), ("team", "a: \"b\" # c"), ("word", "null")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(config.sources[0].settings.settings, expected);
        let unsigned = json!({"scheme": "none", "plugin": "none"});
        assert!(!source_yaml("lab", unsigned.as_object().unwrap()).contains("secret"));
    }
}
