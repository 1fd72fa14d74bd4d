//! Joins the pages of one document: the elements of a list in further pages are added to the list in the first. All other
//! bytes stay as they are, so that numbers keep their digits.

use super::pointer::Pointer;
use anyhow::{Context, Result};

/// Returns the document with the elements of the same list in another document.
///
/// # Errors
/// Returns an error if one of the two is not JSON or has no such list.
pub(super) fn joined(document: &[u8], at: &Pointer, further: &[u8]) -> Result<Vec<u8>> {
    let list = |document| {
        let found = at.find(document)?.map(serde_json::value::RawValue::get);
        found.filter(|text| text.starts_with('[')).with_context(|| format!("there is no list at `list`, {at}"))
    };
    let (first, more) = (list(document)?, list(further)?);
    let is_empty = |list: &str| list[1..list.len() - 1].trim().is_empty();
    // The list is a part of the document.
    let end = first.as_ptr().addr() - document.as_ptr().addr() + first.len() - 1;
    let separator = if is_empty(first) || is_empty(more) { "" } else { "," };
    Ok([&document[..end], separator.as_bytes(), &more.as_bytes()[1..more.len() - 1], &document[end..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_and_everything_else_stays() {
        for (first, further, expected) in [
            (
                r#"{"id":12345678901234567890, "m":[1.50], "n":2}"#,
                r#"{"m":[2,"]"],"n":3}"#,
                r#"{"id":12345678901234567890, "m":[1.50,2,"]"], "n":2}"#,
            ),
            (r#"{"m":[ ]}"#, r#"{"m":[1]}"#, r#"{"m":[ 1]}"#),
            (r#"{"m":[1]}"#, r#"{"m":[]}"#, r#"{"m":[1]}"#),
            ("\u{feff}{\"m\":[1]}", r#"{"m":[2]}"#, "\u{feff}{\"m\":[1,2]}"),
        ] {
            let joined = joined(first.as_bytes(), &"/m".parse().unwrap(), further.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(joined).unwrap(), expected);
        }
        for (first, further) in [(r#"{"m":[1]}"#, "{}"), ("{}", r#"{"m":[1]}"#), (r#"{"m":{}}"#, r#"{"m":[1]}"#)] {
            assert!(joined(first.as_bytes(), &"/m".parse().unwrap(), further.as_bytes()).is_err());
        }
    }
}
