//! Payloads of extreme size and shape: a mapper may refuse them, and must not exceed a limit or trap.

use super::calls::{ConformanceMapper, ConformancePayload, ORDINARY};
use super::report::{CheckKind, CheckReport};
use serde_json::{Value, json};

/// The default of `payload_mib`: a host does not pass on more.
const BYTES_MAX: usize = 1 << 20;
/// The depth of nested lists and objects. Most parsers refuse, or recurse, at less.
const DEPTH: usize = 100_000;
/// The number of payloads whose extremes are made; a mapper in an interpreter needs seconds for each.
const PAYLOADS_MAX: usize = 4;
const NESTED: &str = "@@NESTED@@";
const DIFFERENT: &str = "different items";
const ADVICE: &str = "bound what the mapper keeps and how deep it goes; work through lists item by item, and let the SDK read the payload";

type IsKind = fn(&Value) -> bool;

pub(super) async fn check(mapper: &ConformanceMapper, payloads: &[ConformancePayload]) -> CheckReport {
    let mut report = CheckReport::new(CheckKind::Limits);
    let Some(first) = payloads.first() else { return report };
    for (change, body) in without_payload() {
        let failure = first.map(&mapper.fresh, &body, ORDINARY).await.err();
        report.add(&first.name, change, failure.map(|problem| (problem, ADVICE)));
    }
    // Evenly spread, because files of one kind have names that begin alike.
    for payload in payloads.iter().step_by(payloads.len().div_ceil(PAYLOADS_MAX)) {
        for (change, body) in extremes(&payload.file.body) {
            let failure = payload.map(&mapper.fresh, &body, ORDINARY).await.err();
            // Thousands of different incidents need more memory and output than a call has, whatever the mapper does.
            let is_large =
                |problem: &String| ["output_too_large", "memory_exceeded"].iter().any(|code| problem.starts_with(code));
            let failure = failure.filter(|problem| !(change.contains(DIFFERENT) && is_large(problem)));
            report.add(&payload.name, change, failure.map(|problem| (problem, ADVICE)));
        }
    }
    report
}

/// Returns bodies that have nothing of a payload.
fn without_payload() -> [(&'static str, Vec<u8>); 9] {
    [
        ("an empty body", Vec::new()),
        ("null", b"null".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("an empty list", b"[]".to_vec()),
        ("1 MiB of spaces", vec![b' '; BYTES_MAX]),
        ("1 MiB of zeros", vec![0; BYTES_MAX]),
        ("1 MiB of bytes that are not UTF-8", vec![0xff; BYTES_MAX]),
        ("1 MiB of open brackets", vec![b'['; BYTES_MAX]),
        ("1 MiB of open objects", br#"{"a":"#.repeat(BYTES_MAX / 5)),
    ]
}

/// Returns the extremes of a payload. One that is not JSON is only repeated.
fn extremes(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return vec![("repeated up to 1 MiB".to_owned(), repeated(b"", body, b"\n", b""))];
    };
    let text = value.to_string();
    let mut extremes = vec![
        ("in a list up to 1 MiB".to_owned(), repeated(b"[", text.as_bytes(), b",", b"]")),
        ("on each line of 1 MiB".to_owned(), repeated(b"", text.as_bytes(), b"\n", b"")),
        (format!("in {DEPTH} lists"), nested(&text)),
    ];
    let room = BYTES_MAX.saturating_sub(text.len());
    if let Some(members) = value.as_object() {
        let more: String = (0..).map(|index| format!(r#","more{index}":"x""#)).take(room / 20).collect();
        let more = if members.is_empty() { more.trim_start_matches(',') } else { &more };
        extremes.push((
            "with 1 MiB of unknown members".to_owned(),
            format!("{}{more}}}", &text[..text.len() - 1]).into_bytes(),
        ));
    }
    let kinds: [(&str, IsKind); 2] = [("text", Value::is_string), ("list", Value::is_array)];
    for (kind, is_wanted) in kinds {
        let Some(path) = largest(&value, is_wanted) else { continue };
        let change = |replacement: Value| {
            let mut changed = value.clone();
            if let Some(place) = changed.pointer_mut(&path) {
                *place = replacement;
            }
            changed.to_string()
        };
        let found = value.pointer(&path).unwrap_or(&Value::Null);
        let item = found.get(0).cloned().unwrap_or_else(|| json!(7));
        let items = different(&item, room).into();
        extremes.extend([
            (
                format!("1 MiB of text at the longest {kind}, `{path}`"),
                change(json!("long ".repeat(room / 5))).into_bytes(),
            ),
            (format!("1 MiB of {DIFFERENT} at the longest {kind}, `{path}`"), change(items).into_bytes()),
            (
                format!("{DEPTH} lists at the longest {kind}, `{path}`"),
                change(json!(NESTED)).replace(&format!("\"{NESTED}\""), &nested_text(&found.to_string())).into_bytes(),
            ),
        ]);
    }
    extremes
}

/// Returns the path of the largest value of a kind.
fn largest(value: &Value, is_wanted: IsKind) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        let size = value.as_str().map_or_else(|| value.as_array().map_or(0, Vec::len), str::len);
        if !path.is_empty() && is_wanted(value) && best.as_ref().is_none_or(|(largest, _)| size > *largest) {
            best = Some((size, path.clone()));
        }
        match value {
            Value::Object(members) => open.extend(
                members
                    .iter()
                    .map(|(name, value)| (format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), value)),
            ),
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(index, value)| (format!("{path}/{index}"), value)));
            }
            _ => {}
        }
    }
    best.map(|(_, path)| path)
}

/// Returns as many items as there is room for, which differ in their numbers, so that a mapper that compares each item with
/// all others is slow.
fn different(item: &Value, room: usize) -> Vec<Value> {
    let mut size = 0;
    let numbered = (0..).map(|number| match item {
        Value::String(text) => with_number(text, number).into(),
        item => numbered(item, number),
    });
    let fits = |item: &Value| {
        size += item.to_string().len() + 1;
        size <= room
    };
    numbered.take_while(fits).collect()
}

/// Returns an item with a number in its values. Words stay as they are, because they can tell the kind of the item.
fn numbered(item: &Value, number: u64) -> Value {
    match item {
        Value::String(text) if text.contains(|letter: char| letter.is_ascii_digit()) => {
            with_number(text, number).into()
        }
        Value::Number(known) => known.as_u64().map_or_else(|| item.clone(), |known| known.wrapping_add(number).into()),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), numbered(value, number))).collect())
        }
        _ => item.clone(),
    }
}

/// Writes a number over the last digits of a text, so that a time remains a time and an address an address, and what does not
/// fit there in front of it.
fn with_number(text: &str, mut number: u64) -> String {
    let written = |letter: char| {
        if !letter.is_ascii_digit() {
            return letter;
        }
        let digit = b'0' + (number % 10) as u8;
        number /= 10;
        char::from(digit)
    };
    let backwards: Vec<char> = text.chars().rev().map(written).collect();
    let rest = if number > 0 { number.to_string() } else { String::new() };
    rest.chars().chain(backwards.into_iter().rev()).collect()
}

fn repeated(start: &[u8], body: &[u8], between: &[u8], end: &[u8]) -> Vec<u8> {
    let count = (BYTES_MAX / (body.len() + between.len())).max(1);
    [start, &vec![body; count].join(between), end].concat()
}

fn nested(text: &str) -> Vec<u8> {
    nested_text(text).into_bytes()
}

fn nested_text(text: &str) -> String {
    format!("{}{text}{}", "[".repeat(DEPTH), "]".repeat(DEPTH))
}
