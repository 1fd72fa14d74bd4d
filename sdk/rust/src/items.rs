//! Payloads that are a list of items.

use crate::problems::PROBLEMS_MAX;
use crate::reading::json;
use crate::{List, MappingError, Outcome};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Maps every element of a list of the payload, such as `value` in an answer of Microsoft Graph. An element that cannot
/// be mapped is a problem of the outcome and costs no other element. An empty list is skipped.
///
/// # Errors
/// Returns [`MappingError::Unsupported`] if the value is not a list of items, with the text of the first element's error
/// if no element could be mapped.
pub fn map_list<'a, T: Deserialize<'a>>(
    list: &'a RawValue,
    expected: &str,
    mut map: impl FnMut(&T, &mut Outcome) -> Result<(), MappingError>,
) -> Result<Outcome, MappingError> {
    let mut outcome = Outcome::default();
    let items: List<T> = json(list.get()).unwrap_or_default();
    let mut more = 0;
    for (number, item) in (1..).zip(&items) {
        match map(item, &mut outcome) {
            Ok(()) => {}
            Err(_) if outcome.problems.len() >= PROBLEMS_MAX => more += 1,
            Err(MappingError::Malformed(text) | MappingError::Unsupported(text)) => {
                outcome.problems.push(format!("item {number}: {text}"));
            }
        }
    }
    if more > 0 {
        outcome.problems.push(format!("{more} further items cannot be mapped"));
    }
    let is_empty_list = || list.get()[1..].trim_start() == "]";
    match outcome.problems.first() {
        Some(text) if outcome.incidents.is_empty() && outcome.skipped.is_empty() => {
            Err(MappingError::Unsupported(text.clone()))
        }
        None if is_empty_list() => Ok(Outcome::skip("an empty list")),
        None if items.is_empty() => Err(MappingError::Unsupported(format!("expected {expected}"))),
        _ => Ok(outcome),
    }
}

/// Returns whether a value of the payload is a list, or a text that contains one.
pub fn is_list(value: &RawValue) -> bool {
    let value = value.get();
    value.starts_with('[')
        || (value.starts_with('"') && json::<String>(value).is_some_and(|text| text.trim_start().starts_with('[')))
}

/// Returns whether a value of the payload is a list with objects. Use it in place of [`is_list`] if the member, such as
/// `data`, does not tell the vendor: an empty list could be of another one.
pub fn has_objects(value: &RawValue) -> bool {
    is_list(value) && value.get().contains('{')
}

#[cfg(test)]
mod tests {
    use super::{has_objects, is_list, map_list};
    use crate::{Incident, MappingError, Text};
    use serde_json::value::RawValue;

    #[test]
    fn an_item_that_cannot_be_mapped_costs_only_itself() {
        let cases = [
            (r#"["a", "b"]"#, Ok((2, 0, 0))),
            (r#"["a", "bad", "b"]"#, Ok((2, 0, 1))),
            (r#"["bad"]"#, Err("item 1: bad")),
            ("[ ]", Ok((0, 1, 0))),
            (r#""""#, Err("expected letters")),
        ];
        for (list, expected) in cases {
            let raw: Box<RawValue> = serde_json::from_str(list).unwrap();
            let outcome = map_list(&raw, "letters", |item: &Text, outcome| match item.get().unwrap_or_default() {
                "bad" => Err(MappingError::Malformed("bad".into())),
                id => {
                    outcome.incidents.push(Incident::new(id));
                    Ok(())
                }
            });
            let counts =
                outcome.map(|outcome| (outcome.incidents.len(), outcome.skipped.len(), outcome.problems.len()));
            let expected = expected.map_err(|text| MappingError::Unsupported(text.into()));
            assert_eq!(format!("{counts:?}"), format!("{expected:?}"), "{list}");
        }
    }

    #[test]
    fn a_list_may_be_in_a_text() {
        for (value, expected) in [("[]", true), (r#"" [1]""#, true), (r#""a""#, false), ("{}", false), ("7", false)] {
            let raw: Box<RawValue> = serde_json::from_str(value).unwrap();
            assert_eq!(is_list(&raw), expected, "{value}");
        }
        for (value, expected) in [("[{}]", true), (r#""[{}]""#, true), ("[]", false), ("[1]", false), ("{}", false)] {
            let raw: Box<RawValue> = serde_json::from_str(value).unwrap();
            assert_eq!(has_objects(&raw), expected, "{value}");
        }
    }
}
