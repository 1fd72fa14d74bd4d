//! The JSON body of a request, with placeholders in its texts or in place of its values.

use super::request_text::{Placeholder, RequestText, RequestValues, TimeFormat, leading_placeholder};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

/// The first character of a text that is a placeholder in place of a value. No text of a configuration begins with it.
const BARE: char = '\u{1}';

/// A JSON document with placeholders.
#[derive(Debug)]
pub struct RequestBody(Part);

#[derive(Debug)]
enum Part {
    Fixed(Value),
    /// A text in which placeholders stand.
    Text(RequestText),
    /// A placeholder that stands for the value itself.
    Bare(RequestText),
    List(Vec<Part>),
    Object(Vec<(String, Part)>),
}

impl RequestBody {
    /// Parses a text, which may have the placeholders in `allowed`.
    ///
    /// # Errors
    /// Returns an error if the text is not JSON with placeholders, or one of these cannot stand where it does.
    pub fn parse(text: &str, format: TimeFormat, allowed: &[Placeholder]) -> Result<Self> {
        let document = serde_json::from_str(&with_quotes(text)).context("not JSON")?;
        Part::parse(document, format, allowed).map(Self)
    }

    /// Returns whether the body has a placeholder.
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.0.has(placeholder)
    }

    /// Returns the texts without placeholders, which may be secrets.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        self.0.add_texts(&mut texts);
        texts
    }

    /// Returns the body with these values. Members and elements with `NEXT_CURSOR` are left out before there is a cursor.
    pub(super) fn written(&self, values: &RequestValues<'_>) -> String {
        self.0.value(values).unwrap_or_default().to_string()
    }
}

impl Part {
    fn parse(value: Value, format: TimeFormat, allowed: &[Placeholder]) -> Result<Self> {
        Ok(match value {
            Value::String(text) => match text.strip_prefix(BARE) {
                Some(name) => {
                    let bare = RequestText::parse(name, format, allowed)?;
                    let is_text = !matches!(format, TimeFormat::UnixMs | TimeFormat::UnixS);
                    ensure!(
                        !(is_text && (bare.has(Placeholder::Time) || bare.has(Placeholder::Until))),
                        "`{name}` is a text in this `time_format`; put it into quotes, or set `time_format`"
                    );
                    Self::Bare(bare)
                }
                None => {
                    let text = RequestText::parse(&text, format, allowed)?;
                    ensure!(!text.has(Placeholder::Ids), "`ITEM_IDS` is a list; write it without quotes");
                    Self::Text(text)
                }
            },
            Value::Array(items) => {
                Self::List(items.into_iter().map(|item| Self::parse(item, format, allowed)).collect::<Result<_>>()?)
            }
            Value::Object(members) => {
                let parts = members.into_iter().map(|(name, value)| Ok((name, Self::parse(value, format, allowed)?)));
                Self::Object(parts.collect::<Result<_>>()?)
            }
            other => Self::Fixed(other),
        })
    }

    fn has(&self, placeholder: Placeholder) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Text(text) | Self::Bare(text) => text.has(placeholder),
            Self::List(parts) => parts.iter().any(|part| part.has(placeholder)),
            Self::Object(members) => members.iter().any(|(_, part)| part.has(placeholder)),
        }
    }

    fn add_texts(&self, texts: &mut Vec<String>) {
        match self {
            Self::Text(text) => texts.extend(text.fixed().map(str::to_owned)),
            Self::List(parts) => parts.iter().for_each(|part| part.add_texts(texts)),
            Self::Object(members) => members.iter().for_each(|(_, part)| part.add_texts(texts)),
            Self::Fixed(_) | Self::Bare(_) => {}
        }
    }

    fn value(&self, values: &RequestValues<'_>) -> Option<Value> {
        Some(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(text) if values.cursor.is_none() && text.has(Placeholder::Cursor) => return None,
            Self::Text(text) => text.text(values).into(),
            Self::Bare(text) => return text.value(values),
            Self::List(parts) => parts.iter().filter_map(|part| part.value(values)).collect(),
            Self::Object(members) => {
                let written = members.iter().filter_map(|(name, part)| Some((name.clone(), part.value(values)?)));
                Value::Object(written.collect::<Map<_, _>>())
            }
        })
    }
}

/// Puts the placeholders outside of texts into quotes, and marks them.
fn with_quotes(text: &str) -> String {
    let (mut written, mut rest) = (String::with_capacity(text.len()), text);
    let (mut is_in_text, mut is_escaped) = (false, false);
    while let Some(char) = rest.chars().next() {
        if let Some((name, after)) = leading_placeholder(rest).filter(|_| !is_in_text) {
            written.push_str(&Value::String(format!("{BARE}{name}")).to_string());
            rest = after;
            continue;
        }
        is_in_text ^= char == '"' && !is_escaped;
        is_escaped = char == '\\' && !is_escaped;
        written.push(char);
        rest = &rest[char.len_utf8()..];
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_json() {
        let cursor = json!("a \"quoted\\\" cursor");
        let ids = [json!("ldt:1:2"), json!(12_345_678_901_234_567_890_u64)];
        let first = RequestValues {
            since_ms: 1_700_000_000_123,
            until_ms: 0,
            offset: 100,
            page: 2,
            cursor: None,
            operation: "next",
            ids: &ids,
        };
        let next = RequestValues { cursor: Some(&cursor), ..first };
        for (text, at_first, then) in [
            (
                r#"{"a": LAST_POLL_TIME - 123, "b": "\"LAST_POLL_TIME"}"#,
                json!({"a": 1_700_000_000_000_u64, "b": "\"1700000000123"}),
                None,
            ),
            (
                r#"{"from": NEXT_OFFSET+1, "to": NEXT_OFFSET+100, "page": NEXT_PAGE}"#,
                json!({"from": 101, "to": 200, "page": 2}),
                None,
            ),
            (r#"{"a": 1, "after": NEXT_CURSOR}"#, json!({"a": 1}), Some(json!({"a": 1, "after": cursor}))),
            (
                r#"{"a": [{"after": "x NEXT_CURSOR"}]}"#,
                json!({"a": [{}]}),
                Some(json!({"a": [{"after": "x a \"quoted\\\" cursor"}]})),
            ),
            (
                r#"{"ids": ITEM_IDS, "id": ITEM_ID, "text": "ITEM_ID"}"#,
                json!({"ids": ids, "id": "ldt:1:2", "text": "ldt:1:2"}),
                None,
            ),
            (r#"{"a": NEXT_OPERATION, "b": "NEXT_OPERATION"}"#, json!({"a": "next", "b": "next"}), None),
            (r#"["\\", ITEM_ID]"#, json!(["\\", "ldt:1:2"]), None),
        ] {
            let body = RequestBody::parse(text, TimeFormat::UnixMs, Placeholder::ALL).unwrap();
            let written = |values| serde_json::from_str::<Value>(&body.written(values)).unwrap();
            assert_eq!(written(&first), at_first, "{text}");
            assert_eq!(written(&next), then.unwrap_or(at_first), "{text}");
        }
    }

    #[test]
    fn other_bodies_are_refused() {
        for (text, expected) in [
            ("a=b", "not JSON"),
            (r#"{"a": LAST_POLL_TIME x}"#, "not JSON"),
            (r#"{"a": LAST_POLL_TIME}"#, "put it into quotes"),
            (r#"{"a": "ITEM_IDS"}"#, "without quotes"),
        ] {
            let error = RequestBody::parse(text, TimeFormat::Rfc3339, Placeholder::ALL).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{text}: {error:#}");
        }
    }
}
