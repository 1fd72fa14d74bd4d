//! Reading of payloads in two passes: strictly, which is fast, and again with repairs if the first pass met a fault.
//!
//! The rule: a part of a payload that is wrong costs that part and is reported in the outcome's `problems`. It never
//! costs the payload or another part.

use crate::{Event, Mapper, MappingError, Outcome, details, repair};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};

/// The most problems that one payload reports one by one.
const PROBLEMS_MAX: usize = 50;
/// The most characters of a payload in a problem.
const EXCERPT_CHARS_MAX: usize = 60;

thread_local! {
    static IS_LENIENT: Cell<bool> = const { Cell::new(false) };
    /// Whether the strict pass met a fault.
    static HAS_FAULT: Cell<bool> = const { Cell::new(false) };
    static PROBLEMS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// The document of the second pass: its address, and a copy in which to find the path of a part.
    static DOCUMENT: RefCell<(usize, String)> = const { RefCell::new((0, String::new())) };
}

/// Maps an event as the host does: calls [`Mapper::map`] and, if a part of the payload could not be read, calls it again
/// for each JSON value of the repaired payload. Adds the problems of both kinds to the outcome.
///
/// # Errors
/// Returns the mapper's error if it has one for every value of the payload.
pub fn map<M: Mapper>(event: &Event) -> Result<Outcome, MappingError> {
    IS_LENIENT.set(false);
    HAS_FAULT.set(false);
    PROBLEMS.take();
    details::reset();
    let strict = M::map(event);
    if !HAS_FAULT.get() {
        return strict.map(with_problems);
    }
    let documents = repair::documents(&event.body);
    if documents.list.is_empty() {
        return strict.map(with_problems);
    }
    IS_LENIENT.set(true);
    details::reset();
    let lenient = map_documents::<M>(event, documents);
    IS_LENIENT.set(false);
    lenient
}

fn map_documents<M: Mapper>(event: &Event, documents: repair::Documents) -> Result<Outcome, MappingError> {
    let mut parts = documents.list;
    if let [list] = parts.as_slice() {
        let whole = map_document::<M>(event, list);
        match elements(list) {
            // A mapper that does not know a list of its payloads gets each of them.
            Some(elements) if whole.is_err() => parts = elements,
            _ if documents.problems.is_empty() => return whole,
            _ => {}
        }
    }
    let (mut outcome, mut errors) = (Outcome::default(), Vec::new());
    let count = parts.len();
    for (number, part) in (1..).zip(&parts) {
        match map_document::<M>(event, part) {
            Ok(part) => {
                outcome.incidents.extend(part.incidents);
                outcome.skipped.extend(part.skipped);
                outcome.problems.extend(part.problems);
            }
            Err(error) => errors.push((number, error)),
        }
    }
    if errors.len() == count {
        return Err(errors.swap_remove(0).1);
    }
    let errors = errors.into_iter().map(|(number, error)| {
        let (MappingError::Malformed(text) | MappingError::Unsupported(text)) = error;
        format!("JSON value {number} of {count}: {text}")
    });
    outcome.problems.extend(errors.chain(documents.problems));
    bound(&mut outcome.problems);
    Ok(outcome)
}

fn map_document<M: Mapper>(event: &Event, json: &str) -> Result<Outcome, MappingError> {
    let event = Event { body: json.into(), ..event.clone() };
    DOCUMENT.set((event.body.as_ptr().addr(), json.to_owned()));
    PROBLEMS.take();
    M::map(&event).map(with_problems)
}

/// Returns the elements of a list of objects.
fn elements(json: &str) -> Option<Vec<String>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let is_list = !elements.is_empty() && elements.iter().all(|element| element.get().starts_with('{'));
    is_list.then(|| elements.into_iter().map(|element| element.get().to_owned()).collect())
}

fn with_problems(mut outcome: Outcome) -> Outcome {
    outcome.problems.extend(PROBLEMS.take());
    bound(&mut outcome.problems);
    outcome
}

fn bound(problems: &mut Vec<String>) {
    if problems.len() > PROBLEMS_MAX {
        let more = problems.len() - PROBLEMS_MAX;
        problems.truncate(PROBLEMS_MAX);
        problems.push(format!("{more} further problems"));
    }
}

/// Reports a part of the payload that could not be mapped. The event is stored as `partial`.
pub fn problem(text: impl Into<String>) {
    PROBLEMS.with_borrow_mut(|problems| {
        let text = text.into();
        if !problems.contains(&text) {
            problems.push(text);
        }
    });
}

/// Reads JSON that a payload contains in a text or as a raw value. Reports a problem and returns none if the text is not
/// JSON of this shape.
///
/// A repaired text is never freed, like all memory of an instance.
pub fn json<'t, T: Deserialize<'t>>(text: &'t str) -> Option<T> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(_) if !is_lenient() => fault(),
        // Raw values of the repaired payload need no repair.
        Err(_) if path_of(text).is_some() => value(text),
        Err(_) => {
            let list: Vec<T> = json_list(text);
            list.into_iter().next()
        }
    }
}

/// Reads all JSON values in a text: `{…}{…}`, `{…},{…}`, one per line, or the elements of an array. Reports a problem
/// for each value that cannot be read, also for one that is cut off at the end of the text.
pub fn json_list<'t, T: Deserialize<'t>>(text: &'t str) -> Vec<T> {
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

/// Asks for the second pass.
pub(crate) fn fault<T>() -> Option<T> {
    HAS_FAULT.set(true);
    None
}

/// Reads a part in the second pass; reports a problem and returns none if it has another shape.
pub(crate) fn part<'t, T: Deserialize<'t>>(raw: &'t RawValue) -> Option<T> {
    value(raw.get())
}

fn value<'t, T: Deserialize<'t>>(json: &'t str) -> Option<T> {
    match serde_json::from_str(json) {
        Ok(value) => Some(value),
        Err(error) => {
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            match reason.split_once(", expected struct ") {
                // The name of the type says nothing to the reader.
                Some((found, _name)) => wrong_part(json, &format!("{found}, expected an object")),
                None => wrong_part(json, reason),
            }
            None
        }
    }
}

/// Reports a part that has another shape than expected.
pub(crate) fn wrong_part(json: &str, reason: &str) {
    match path_of(json) {
        Some(path) => problem(format!("`{path}` is left out: {reason}")),
        None => problem(format!("`{}` is left out: {reason}", excerpt(json))),
    }
}

/// Returns the path of a part of the repaired payload.
fn path_of(json: &str) -> Option<String> {
    DOCUMENT.with_borrow(|(address, document)| {
        let offset = json.as_ptr().addr().checked_sub(*address)?;
        (offset < document.len()).then(|| path_at(document, offset))
    })
}

/// Returns the beginning of a text.
pub(crate) fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(EXCERPT_CHARS_MAX).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

/// Returns the path of the value at an offset in valid JSON, such as `event.Hosts[2].Name`.
fn path_at(json: &str, offset: usize) -> String {
    enum Step<'j> {
        Member(&'j str),
        Element(usize),
    }
    let mut steps: Vec<Step> = Vec::new();
    let (mut at, mut last) = (0, "");
    while at < offset {
        match json.as_bytes()[at] {
            b'{' => steps.push(Step::Member("")),
            b'[' => steps.push(Step::Element(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => {
                if let Some(Step::Element(index)) = steps.last_mut() {
                    *index += 1;
                }
            }
            b':' => {
                if let Some(Step::Member(name)) = steps.last_mut() {
                    *name = last;
                }
            }
            b'"' => {
                let start = at + 1;
                at = start;
                while json.as_bytes()[at] != b'"' {
                    at += if json.as_bytes()[at] == b'\\' { 2 } else { 1 };
                }
                last = &json[start..at];
            }
            _ => {}
        }
        at += 1;
    }
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Member(name) if path.is_empty() => (*name).to_owned(),
        Step::Member(name) => format!("{path}.{name}"),
        Step::Element(index) => format!("{path}[{index}]"),
    })
}

#[cfg(test)]
mod tests;
