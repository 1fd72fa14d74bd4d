//! A source that was declared elsewhere, as it stands in the configuration file.

use super::source::SourceDeclaration;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Returns the section of the configuration file that declares a source. Values are written as JSON, which is YAML too, or
/// without quotes if they are words. In place of a secret stands a reference to a variable of the environment.
pub fn source_yaml(name: &str, declaration: &Map<String, Value>) -> String {
    let mut text = format!("sources:\n  {name}:\n");
    let (first, others): (Vec<_>, Vec<_>) =
        declaration.iter().partition(|(key, _)| ["kind", "plugin"].contains(&key.as_str()));
    for (key, value) in first.into_iter().chain(others) {
        let _ = writeln!(text, "    {key}: {}", scalar(value));
    }
    if has_secret(declaration) {
        let variable: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let _ = writeln!(text, "    secret: \"${{{}_SECRET}}\"", variable.to_uppercase());
    }
    text
}

fn scalar(value: &Value) -> String {
    match value.as_str() {
        Some(text) if is_word(text) => text.to_owned(),
        _ => value.to_string(),
    }
}

/// Returns whether a text needs no quotes. Every value of a source is read as text, so that `true` is not another type.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
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
            "plugin": "generic",
            "settings": {"team": "a: \"b\" # c", "price": "$${x}"},
            "requests_per_second": "10",
        });
        let text = source_yaml("my.lab", declaration.as_object().unwrap());
        assert_eq!(
            text,
            r##"sources:
  my.lab:
    plugin: generic
    requests_per_second: "10"
    scheme: {"header":"X-Key","type":"static-header"}
    settings: {"price":"$${x}","team":"a: \"b\" # c"}
    secret: "${MY_LAB_SECRET}"
"##
        );
        let text = text.replace("${MY_LAB_SECRET}", "only-an-example-of-a-secret");
        let config = crate::config::Config::parse(&text, std::path::Path::new("/")).unwrap();
        let settings = &config.sources[0].settings;
        assert_eq!(settings.settings[0], ("price".to_owned(), "${x}".to_owned()));
        assert_eq!(settings.settings[1], ("team".to_owned(), "a: \"b\" # c".to_owned()));
        let unsigned = json!({"scheme": "none", "plugin": "none"});
        assert!(!source_yaml("lab", unsigned.as_object().unwrap()).contains("secret"));
    }
}
