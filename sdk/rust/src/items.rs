//! Payloads that are a list of items.

use crate::problems::PROBLEMS_MAX;
use crate::reading::json;
use crate::{Event, Fields, List, MappingError, Outcome};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most envelopes around an item.
const ENVELOPES_MAX: usize = 6;

/// The members of a vendor's payloads that contain items.
pub struct Envelopes<'e> {
    /// The names of the members, such as `data`, `edges` and `node`. Of several in one object, the first is read.
    pub members: &'e [&'e str],
    /// The members of an answer that show beside an empty list that it is of the vendor, such as `pagination`.
    pub answer: &'e [&'e str],
}

type MapItem<'m, 'a> = dyn FnMut(&Fields<'a>, &mut Outcome) -> Option<Result<(), MappingError>> + 'm;

impl Envelopes<'_> {
    /// Maps the items of a payload, each of which may be in an object, a list, or a text with JSON, several times over.
    ///
    /// `map` returns none for an object that is not an item: then its envelope is read. An element of a list that cannot be
    /// mapped is a problem of the outcome and costs no other element. An empty list is skipped if it is in two envelopes
    /// or beside a member of `answer`; else it could be of another vendor.
    ///
    /// # Errors
    /// Returns [`MappingError::Unsupported`] if the payload has no items, and the error of `map` for an item that is not
    /// in a list.
    pub fn map<'a>(
        &self,
        event: &'a Event,
        expected: &str,
        mut map: impl FnMut(&Fields<'a>, &mut Outcome) -> Option<Result<(), MappingError>>,
    ) -> Result<Outcome, MappingError> {
        let mut outcome = Outcome::default();
        self.map_object(&event.json(expected)?, expected, &mut map, &mut outcome, 0)?;
        Ok(outcome)
    }

    fn map_object<'a>(
        &self,
        object: &Fields<'a>,
        expected: &str,
        map: &mut MapItem<'_, 'a>,
        outcome: &mut Outcome,
        envelopes: usize,
    ) -> Result<(), MappingError> {
        if let Some(result) = map(object, outcome) {
            return result;
        }
        let unsupported = || MappingError::Unsupported(format!("expected {expected}"));
        let inner =
            self.members.iter().find_map(|name| object.json_of(name).next()).filter(|_| envelopes < ENVELOPES_MAX);
        let inner = unquoted(inner.ok_or_else(unsupported)?);
        if !inner.starts_with('[') {
            let inner = json(inner).ok_or_else(unsupported)?;
            return self.map_object(&inner, expected, map, outcome, envelopes + 1);
        }
        let is_own = envelopes > 1 || self.answer.iter().any(|name| object.has(name));
        if !is_own && !inner.contains('{') {
            return Err(unsupported());
        }
        let more = map_elements(inner, expected, |item, outcome| {
            self.map_object(item, expected, map, outcome, envelopes + 1)
        })?;
        outcome.incidents.extend(more.incidents);
        outcome.skipped.extend(more.skipped);
        outcome.problems.extend(more.problems);
        Ok(())
    }
}

/// Returns the JSON in a text, in place of which it stands.
///
/// It is never freed, like all memory of an instance.
fn unquoted(value: &str) -> &str {
    let text = value.starts_with('"').then(|| json::<String>(value)).flatten();
    match text.filter(|text| text.trim_start().starts_with(['{', '['])) {
        Some(text) => text.leak().trim_start(),
        None => value,
    }
}

/// Maps every element of a list of the payload, such as `value` in an answer of Microsoft Graph. An element that cannot
/// be mapped is a problem of the outcome and costs no other element. An empty list is skipped.
///
/// # Errors
/// Returns [`MappingError::Unsupported`] if the value is not a list of items, with the text of the first element's error
/// if no element could be mapped.
pub fn map_list<'a, T: Deserialize<'a>>(
    list: &'a RawValue,
    expected: &str,
    map: impl FnMut(&T, &mut Outcome) -> Result<(), MappingError>,
) -> Result<Outcome, MappingError> {
    map_elements(list.get(), expected, map)
}

fn map_elements<'a, T: Deserialize<'a>>(
    list: &'a str,
    expected: &str,
    mut map: impl FnMut(&T, &mut Outcome) -> Result<(), MappingError>,
) -> Result<Outcome, MappingError> {
    let mut outcome = Outcome::default();
    let items: List<T> = json(list).unwrap_or_default();
    let mut more = 0;
    for (number, item) in (1..).zip(&items) {
        match map(item, &mut outcome) {
            Ok(()) => {}
            Err(_) if outcome.problems.len() >= PROBLEMS_MAX => more += 1,
            Err(error) => outcome.problems.push(format!("item {number}: {}", error.text())),
        }
    }
    if more > 0 {
        outcome.problems.push(format!("{more} further items cannot be mapped"));
    }
    let is_empty_list = || list[1..].trim_start() == "]";
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
    use super::{Envelopes, has_objects, is_list, map_list};
    use crate::{Event, Incident, MappingError, Text};
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
    fn items_are_found_in_their_envelopes() {
        let envelopes = Envelopes { members: &["data", "nodes", "node"], answer: &["page"] };
        let unsupported = Err("expected letters");
        let cases = [
            (r#"{"id": "a"}"#, Ok("a")),
            (r#"{"data": {"nodes": [{"node": {"id": "a"}}, {"node": {"x": 1}}, {"id": "b"}]}}"#, Ok("ab")),
            (r#"{"data": "[{\"id\": \"a\"}]"}"#, Ok("a")),
            (r#"{"data": "{\"id\": \"a\"}"}"#, Ok("a")),
            (r#"{"data": [], "page": 1}"#, Ok("")),
            (r#"{"data": {"node": {"nodes": []}}}"#, Ok("")),
            (r#"{"data": []}"#, unsupported),
            (r#"{"data": 7}"#, unsupported),
            (r#"{"x": {"id": "a"}}"#, unsupported),
        ];
        for (body, expected) in cases {
            let event = Event::new(body);
            let outcome = envelopes.map(&event, "letters", |item, outcome| {
                outcome.incidents.push(Incident::new(item.first(&["id"])?));
                Some(Ok(()))
            });
            let ids = outcome.map(|outcome| -> String {
                outcome.incidents.into_iter().map(|incident| incident.source_ref).collect()
            });
            let expected = expected.map(str::to_owned).map_err(|text| MappingError::Unsupported(text.into()));
            assert_eq!(format!("{ids:?}"), format!("{expected:?}"), "{body}");
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
