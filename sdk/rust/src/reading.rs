//! Reading of payloads in two passes: strictly, which is fast, and again with repairs if the first pass met a fault.
//!
//! The rule: a part of a payload that is wrong costs that part and is reported in the outcome's `problems`. It never
//! costs the payload or another part.

use crate::document::{is_part, wrong_part};
use crate::fault::{fault, forget_faults, has_fault};
use crate::object::ByName;
use crate::path::excerpt;
use crate::problems::{add_problem, are_too_many, bound, problem, take_problems};
use crate::{Event, Mapper, MappingError, Outcome, details, document, incident, repair};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::Cell;
use std::collections::VecDeque;

/// The most JSON values of one payload that are mapped: more than the host takes incidents.
const PARTS_MAX: usize = 2000;

thread_local! {
    static IS_LENIENT: Cell<bool> = const { Cell::new(false) };
}

/// Maps an event as the host does: calls [`Mapper::map`] and, if a part of the payload could not be read, calls it again
/// for each JSON value of the repaired payload. Adds the problems of both kinds to the outcome.
///
/// # Errors
/// Returns the mapper's error if it has one for every value of the payload.
pub fn map<M: Mapper>(event: &Event) -> Result<Outcome, MappingError> {
    IS_LENIENT.set(false);
    forget_faults();
    take_problems();
    details::reset();
    incident::reset();
    let strict = M::map(event);
    if !has_fault() {
        return strict.map(with_problems);
    }
    let documents = repair::documents(&event.body);
    if documents.list.is_empty() {
        return strict.map(with_problems);
    }
    IS_LENIENT.set(true);
    details::reset();
    incident::reset();
    let lenient = map_documents::<M>(event, documents);
    IS_LENIENT.set(false);
    lenient
}

fn map_documents<M: Mapper>(event: &Event, documents: repair::Documents) -> Result<Outcome, MappingError> {
    let (mut outcome, mut errors, mut count) = (Outcome::default(), Vec::new(), 0);
    let mut parts = VecDeque::from(documents.list);
    while let Some(part) = parts.pop_front() {
        if count == PARTS_MAX {
            let more = parts.len() + 1;
            let all = count + more;
            outcome.problems.push(format!("{more} of {all} JSON values are not read: at most {PARTS_MAX} are"));
            break;
        }
        match (map_document::<M>(event, &part), elements(&part)) {
            // A mapper that does not know a list of its payloads gets each of them.
            (Err(_), Some(elements)) => {
                elements.into_iter().rev().for_each(|element| parts.push_front(element));
                continue;
            }
            (Ok(part), _) => {
                outcome.incidents.extend(part.incidents);
                outcome.skipped.extend(part.skipped);
                outcome.problems.extend(part.problems);
            }
            (Err(error), None) => errors.push((count + 1, error)),
        }
        count += 1;
    }
    if errors.len() == count {
        return Err(errors.swap_remove(0).1);
    }
    let errors = errors.into_iter().map(|(number, error)| format!("JSON value {number} of {count}: {}", error.text()));
    outcome.problems.extend(errors.chain(documents.problems));
    bound(&mut outcome.problems, 0);
    Ok(outcome)
}

fn map_document<M: Mapper>(event: &Event, json: &str) -> Result<Outcome, MappingError> {
    let event = event.with_body(json);
    document::set(&event.body, json);
    take_problems();
    M::map(&event).map(with_problems)
}

/// Returns the elements of a list that contains objects, or the values in a text that contains JSON.
fn elements(json: &str) -> Option<Vec<String>> {
    if let Ok(text) = serde_json::from_str::<String>(json) {
        let list = if text.trim_start().starts_with(['{', '[']) {
            repair::documents(text.as_bytes()).list
        } else {
            Vec::new()
        };
        return (!list.is_empty()).then_some(list);
    }
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let has_objects = elements.iter().any(|element| element.get().starts_with('{'));
    has_objects.then(|| elements.into_iter().map(|element| element.get().to_owned()).collect())
}

/// Adds the problems of this call. A kind that cannot be read is not one that is rightly skipped: a reason to skip that
/// quotes a broken character is a problem.
fn with_problems(mut outcome: Outcome) -> Outcome {
    let is_broken = |reason: &mut String| reason.contains(char::REPLACEMENT_CHARACTER);
    let broken: Vec<String> = outcome.skipped.extract_if(.., is_broken).collect();
    outcome.problems.extend(broken.into_iter().map(|reason| format!("{reason}; a character of it is broken")));
    let (problems, more) = take_problems();
    outcome.problems.extend(problems);
    bound(&mut outcome.problems, more);
    outcome
}

/// Reads JSON that a payload contains in a text or as a raw value. Reports a problem and returns none if the text is not
/// JSON of this shape.
///
/// A repaired text is never freed, like all memory of an instance.
pub fn json<'t, T: Deserialize<'t>>(text: &'t str) -> Option<T> {
    if is_pointless() {
        return None;
    }
    match serde_json::from_str(text) {
        Ok(ByName(value)) => Some(value),
        Err(_) if !is_lenient() => {
            fault();
            None
        }
        // Raw values of the repaired payload need no repair.
        Err(_) if is_part(text) => value(text),
        Err(_) => {
            let list: Vec<T> = json_list(text);
            list.into_iter().next()
        }
    }
}

/// Reads all JSON values in a text: `{…}{…}`, `{…},{…}`, one per line, or the elements of an array. Reports a problem
/// for each value that cannot be read, also for one that is cut off at the end of the text.
pub fn json_list<'t, T: Deserialize<'t>>(text: &str) -> Vec<T> {
    let documents = repair::documents(text.as_bytes());
    documents.problems.into_iter().for_each(|fault| problem(format!("{fault}, in `{}`", excerpt(text))));
    let mut list = Vec::new();
    for json in documents.list {
        let json: &'t str = json.leak();
        match serde_json::from_str::<Vec<&'t RawValue>>(json) {
            Ok(elements) => list.extend(elements.into_iter().filter_map(part)),
            Err(_) => list.extend(value(json)),
        }
    }
    list
}

/// Returns whether this is the second pass, in which parts are read one by one.
pub(crate) fn is_lenient() -> bool {
    IS_LENIENT.get()
}

/// Returns whether a part need not be read: the first pass met a fault, so that its result is not used, or the payload has
/// too many wrong parts. The latter is a problem.
fn is_pointless() -> bool {
    if !is_lenient() {
        return has_fault();
    }
    are_too_many()
}

/// Reads a part in the second pass; reports a problem and returns none if it has another shape.
pub(crate) fn part<'t, T: Deserialize<'t>>(raw: &'t RawValue) -> Option<T> {
    value(raw.get())
}

fn value<'t, T: Deserialize<'t>>(json: &'t str) -> Option<T> {
    if is_pointless() {
        return None;
    }
    match serde_json::from_str(json) {
        Ok(ByName(value)) => Some(value),
        Err(error) => {
            let inner = json.starts_with('"').then(|| unfolded(json)).flatten();
            let inner = inner.and_then(|inner| serde_json::from_str(inner).ok());
            if let Some(ByName(value)) = inner {
                return Some(value);
            }
            add_problem(|| wrong_part(json, &reason_of(&error)));
            None
        }
    }
}

/// Returns the object or array in a text, in place of which it stands.
///
/// It is never freed, like all memory of an instance.
pub(crate) fn unfolded<'t>(json: &str) -> Option<&'t str> {
    let text: String = serde_json::from_str(json).ok()?;
    let text = Some(text).filter(|text| text.trim_start().starts_with(['{', '[']))?;
    let documents = repair::documents(text.as_bytes());
    match (documents.list.len(), documents.problems.is_empty()) {
        (1, true) => documents.list.into_iter().next().map(|inner| &*inner.leak()),
        _ => None,
    }
}

/// Returns the text of an error without the position, and without the name of a type, which says nothing to the reader.
pub(crate) fn reason_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    match reason.split_once(", expected struct ") {
        Some((found, _name)) => format!("{found}, expected an object"),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{json_list, map};
    use crate::testing::outcome_json;
    use crate::{Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Part, Text};
    use serde::Deserialize;
    use serde_json::{Value, json};

    /// A mapper that does nothing about faults.
    struct Plain;

    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        id: Text<'a>,
        name: Text<'a>,
        at: Text<'a>,
        host: Part<Host<'a>>,
        files: List<Fields<'a>>,
        inner: Text<'a>,
    }

    #[derive(Deserialize)]
    struct Host<'a> {
        #[serde(borrow)]
        name: Text<'a>,
    }

    impl Mapper for Plain {
        fn describe() -> Description {
            crate::description!("Plain", "For tests")
        }

        fn map(event: &Event) -> Result<Outcome, MappingError> {
            let payload: Payload = event.json("a payload with `id`")?;
            if payload.name.get().is_some_and(|name| name.starts_with("routine")) {
                return Ok(Outcome::skip(format!("`{}` is not an incident", payload.name.get().unwrap_or_default())));
            }
            let id = payload.id.get().ok_or_else(|| MappingError::Malformed("`id` is absent".into()))?;
            let mut incident = Incident::new(id);
            incident.set_title(payload.name.get());
            incident.occurred_at = payload.at.time();
            incident.observe("hostname", payload.host.get().and_then(|host| host.name.get()), "");
            for file in &payload.files {
                incident.observe("filename", file.first(&["name"]), "");
            }
            for inner in payload.inner.get().map(json_list::<Fields>).unwrap_or_default() {
                incident.observe("url", inner.first(&["url"]), "");
            }
            Ok(incident.into())
        }
    }

    fn mapped(body: impl Into<Vec<u8>>) -> Value {
        outcome_json(&map::<Plain>(&Event::new(body)))
    }

    #[test]
    fn a_clean_payload_has_no_problems() {
        let outcome =
            mapped(r#"{"id": 7, "name": "n", "at": 1705320000, "host": {"name": "h"}, "files": {"name": "f"}}"#);
        assert_eq!(outcome["problems"], json!([]));
        assert_eq!(outcome["incidents"][0]["observables"][1]["value"], "f");
    }

    #[test]
    fn a_part_of_another_type_costs_that_part() {
        let outcome =
            mapped(r#"{"id": ["a", "b"], "name": {"x": [1]}, "host": 7, "files": [{"name": "f"}, 8, {"name": "g"}]}"#);
        let names: Vec<&Value> = outcome["incidents"][0]["observables"].as_array().unwrap().iter().collect();
        assert_eq!((names.len(), &names[1]["value"]), (2, &json!("g")));
        assert_eq!(
            outcome["problems"],
            json!([
                "of the 2 values in `id`, only the first is read",
                "`name` is left out: expected a text, found an object",
                "`host` is left out: invalid type: integer `7`, expected an object",
                "`files[1]` is left out: invalid type: integer `8`, expected a JSON object",
            ])
        );
    }

    #[test]
    fn every_object_of_several_lists_is_mapped() {
        for (body, ids, problems) in [
            (
                r#"[{"id": 1}, {"id": 2}]
[{"id": 3}]"#,
                3,
                0,
            ),
            (r#"[{"id": 1}, {}]{"id": 3}"#, 2, 1),
        ] {
            let outcome = mapped(body);
            let count = |name: &str| outcome[name].as_array().unwrap().len();
            assert_eq!((count("incidents"), count("problems")), (ids, problems), "{outcome}");
        }
    }

    #[test]
    fn faults_of_the_text_are_repaired() {
        let cases = [
            (r#"{"id": "a", "name": "cut \ud83d"}"#, "cut \u{fffd}"),
            (r#"{"id": "a", "name": "first", "name": "last"}"#, "last"),
            (r#"{"id": "a", "name": 123456789012345678901234567890}"#, "123456789012345678901234567890"),
            (r#"{"id": "a", "name": 9007199254740993}"#, "9007199254740993"),
            ("\u{feff}{\"id\": \"a\", \"name\": \"x\ty\"}", "x\ty"),
        ];
        for (body, name) in cases {
            let outcome = mapped(body);
            assert_eq!((&outcome["incidents"][0]["title"], &outcome["problems"]), (&json!(name), &json!([])), "{body}");
        }
        let deep = format!(r#"{{"id": "a", "name": "deep", "files": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(mapped(deep)["incidents"][0]["title"], "deep");
    }

    #[test]
    fn every_json_value_of_a_body_is_mapped() {
        let ids = |outcome: &Value| -> Vec<Value> {
            outcome["incidents"].as_array().unwrap().iter().map(|incident| incident["source_ref"].clone()).collect()
        };
        for body in [
            r#"{"id": "a"}{"id": "b"}"#,
            "{\"id\": \"a\"}\n{\"id\": \"b\"}\n",
            r#"[{"id": "a"}, {"id": "b"}]"#,
            r#"{"id": "a"}, {"id": "b"}"#,
        ] {
            let outcome = mapped(body);
            assert_eq!((ids(&outcome), &outcome["problems"]), (vec![json!("a"), json!("b")], &json!([])), "{body}");
        }
        assert_eq!(ids(&mapped(r#"[{"id": "a"}, 7, {"id": "b"}]"#)), ["a", "b"]);
        assert_eq!(ids(&mapped(r#""[{\"id\": \"a\"}, {\"id\": \"b\"}]""#)), ["a", "b"]);
        let outcome = mapped("{\"id\": \"a\"}\n{\"name\": \"no id\"}\n{broken}\n{\"id\": \"d\"}\n{\"id\": \"cut");
        assert_eq!(ids(&outcome), ["a", "d"]);
        assert_eq!(
            outcome["problems"],
            json!([
                "JSON value 2 of 3: `id` is absent",
                "JSON value 3 is not JSON: unexpected `b` at byte 31",
                "JSON value 5 is cut off at the end",
            ])
        );
        let outcome = mapped("{\"id\": \"a\"}\n".repeat(2001));
        let problem = "1 of 2001 JSON values are not read: at most 2000 are";
        assert_eq!((ids(&outcome).len(), &outcome["problems"][0]), (2000, &json!(problem)));
        assert!(mapped("[[1]]")["error"]["unsupported"].is_string());
        assert!(mapped("{\"id\": \"a")["error"]["malformed"].is_string());
    }

    #[test]
    fn a_kind_that_cannot_be_read_is_not_skipped() {
        for (body, skipped) in [(r#"{"id": 1, "name": "routine"}"#, 1), (r#"{"id": 1, "name": "routine \udfff"}"#, 0)] {
            let outcome = mapped(body);
            let count = |name: &str| outcome[name].as_array().unwrap().len();
            assert_eq!((count("skipped"), count("problems")), (skipped, 1 - skipped), "{outcome}");
        }
    }

    #[test]
    fn an_impossible_time_costs_the_time() {
        let outcome = mapped(
            r#"[{"id": "a", "at": "2026-02-30T10:00:00Z"}, {"id": "b", "at": "2026-02-28"}, {"id": "c", "at": "unknown"}]"#,
        );
        assert_eq!(outcome["incidents"][1]["occurred_at"], "2026-02-28T00:00:00Z");
        assert_eq!(
            outcome["problems"],
            json!(["the time `2026-02-30T10:00:00Z` is left out: there is no such day or time of day"])
        );
    }

    #[test]
    fn json_in_a_text_stands_for_the_object_or_list() {
        let outcome =
            mapped(r#"{"id": "a", "host": "{\"name\": \"h\"}", "files": "[{\"name\": \"f\"}, {\"name\": \"g\"}]"}"#);
        assert_eq!(outcome["incidents"][0]["observables"].as_array().map(Vec::len), Some(3), "{outcome}");
        assert_eq!(outcome["problems"], json!([]));
        assert_eq!(mapped(r#"{"id": "a", "host": "{h}"}"#)["problems"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn json_in_texts_is_read_as_far_as_it_goes() {
        let inner = r#"[{\"url\": \"u1\"}, {\"url\": \"u2\", \"a\": 1, \"a\": 2}]"#;
        let outcome = mapped(format!(r#"{{"id": "a", "inner": "{inner}"}}"#));
        assert_eq!(outcome["incidents"][0]["observables"].as_array().unwrap().len(), 2);
        let outcome = mapped(r#"{"id": "a", "inner": "{\"url\": \"u1\"},{\"url\": \"u"}"#);
        assert_eq!(outcome["incidents"][0]["observables"].as_array().unwrap().len(), 1);
        assert_eq!(outcome["problems"].as_array().unwrap().len(), 1);
    }
}
