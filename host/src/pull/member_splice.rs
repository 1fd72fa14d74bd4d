//! Puts a value into a document. All other bytes stay as they are, so that numbers keep their digits.

use super::pointer::Pointer;
use anyhow::{Context, Result};
use serde_json::Value;
use serde_json::value::RawValue;
use std::ops::Range;

/// Returns the document with a value at a position: in place of the value that is there, or as a new member.
///
/// # Errors
/// Returns an error if the document is not JSON, or has no object for the new member.
pub(super) fn with_member(document: &[u8], at: &Pointer, value: &str) -> Result<Vec<u8>> {
    if let Some(old) = at.value(document)? {
        let Range { start, end } = range(document, old);
        return Ok([&document[..start], value.as_bytes(), &document[end..]].concat());
    }
    let (outer, name) = at.split_last().context("the document is empty")?;
    let object = outer.find(document)?.filter(|object| object.get().starts_with('{'));
    let object = object.with_context(|| format!("the item has no object for `into`, {at}"))?;
    let end = range(document, object).end - 1;
    let is_empty = object.get()[1..].trim_start().starts_with('}');
    let separator = if is_empty { "" } else { "," };
    let member = format!("{separator}{}:{value}", Value::from(name));
    Ok([&document[..end], member.as_bytes(), &document[end..]].concat())
}

/// Returns the position of a part of the document.
fn range(document: &[u8], part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr().addr() - document.as_ptr().addr();
    start..start + part.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_in_and_everything_else_stays() {
        for (document, at, expected) in [
            (r#"{"id":12345678901234567890, "n":1.50 }"#, "/a", r#"{"id":12345678901234567890, "n":1.50 ,"a":[1.0]}"#),
            ("{ }", "/a", r#"{ "a":[1.0]}"#),
            (r#"{"a":null,"b":2}"#, "/a", r#"{"a":[1.0],"b":2}"#),
            (r#"{"p":{"x":"}"}}"#, "/p/a~1\"b", r#"{"p":{"x":"}","a/\"b":[1.0]}}"#),
            (r#"{"p":[{},{"a":3}]}"#, "/p/-1/a", r#"{"p":[{},{"a":[1.0]}]}"#),
        ] {
            let whole = with_member(document.as_bytes(), &at.parse().unwrap(), "[1.0]").unwrap();
            assert_eq!(String::from_utf8(whole).unwrap(), expected, "{document}");
        }
        for (document, at) in [("[1]", "/a"), (r#"{"p":null}"#, "/p/a"), ("{}", "/p/a"), (r#""a""#, "/a"), ("<", "/a")]
        {
            assert!(with_member(document.as_bytes(), &at.parse().unwrap(), "1").is_err(), "{document}");
        }
    }
}
