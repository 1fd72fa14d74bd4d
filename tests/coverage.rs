//! `coverage.md` beside each mapper: the documented kinds of payloads of its vendor, and how its payload files show that
//! they are read. `UPDATE_EXPECTED=1` writes the files.

use crate::guest::project;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// A kind of payload that the vendor documents, from `kinds.json` beside the mapper.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    kind: String,
    what: String,
    /// Payloads of this kind match one of these. Each is a list of JSON pointers with the expected value; `true` stands
    /// for any value, `false` for none, and `"text"` also for any text.
    when: Vec<BTreeMap<String, Value>>,
}

#[test]
fn coverage_files_show_the_kinds_in_the_payload_files() {
    let mut count = 0;
    for folder in std::fs::read_dir(project("plugins")).unwrap() {
        let folder = folder.unwrap().path();
        let Ok(kinds) = std::fs::read(folder.join("kinds.json")) else { continue };
        let kinds: Vec<Kind> = serde_json::from_slice(&kinds).unwrap();
        let text = coverage(&folder, &kinds);
        let file = folder.join("coverage.md");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == text, "{} is out of date: run this test with UPDATE_EXPECTED=1", file.display());
        count += 1;
    }
    assert!(count > 6, "{count}");
}

fn coverage(folder: &Path, kinds: &[Kind]) -> String {
    let name = folder.file_name().unwrap().display();
    let mut text = format!(
        "# Coverage of `{name}`\n\nGenerated from `kinds.json` and `payloads/` by `tests/coverage.rs`. DO NOT EDIT!\n\n\
         | kind | what it is | read as | payloads |\n|---|---|---|---|\n"
    );
    let payloads = payloads(folder);
    for kind in kinds {
        let matching: Vec<_> = payloads.iter().filter(|(_, payload, _)| kind.matches(payload)).collect();
        let mut read: Vec<&str> = matching.iter().map(|(_, _, outcome)| read_as(outcome)).collect();
        read.sort_unstable();
        read.dedup();
        let read = if read.is_empty() { "no payload".to_owned() } else { read.join(", ") };
        let files: Vec<&str> = matching.iter().map(|(name, _, _)| name.as_str()).collect();
        writeln!(text, "| {} | {} | {read} | {} |", kind.kind, kind.what, files.join(", ")).unwrap();
    }
    text
}

/// Returns the names, the first JSON values and the expected outcomes of the payload files.
fn payloads(folder: &Path) -> Vec<(String, Value, Value)> {
    let mut payloads = Vec::new();
    for file in std::fs::read_dir(folder.join("payloads")).unwrap() {
        let file = file.unwrap().path();
        let Some(name) = file.to_str().and_then(|path| path.strip_suffix(".expected.json")) else { continue };
        let body = std::fs::read_to_string(format!("{name}.json")).unwrap();
        let mut values = serde_json::Deserializer::from_str(&body).into_iter::<Value>();
        let Some(Ok(payload)) = values.next() else { continue };
        let outcome = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        payloads.push((Path::new(name).file_name().unwrap().to_str().unwrap().to_owned(), payload, outcome));
    }
    payloads.sort_by(|one, other| one.0.cmp(&other.0));
    payloads
}

impl Kind {
    fn matches(&self, payload: &Value) -> bool {
        self.when.iter().any(|when| {
            when.iter().all(|(pointer, expected)| match (payload.pointer(pointer), expected) {
                (found, Value::Bool(is_there)) => found.is_some_and(|value| !value.is_null()) == *is_there,
                (Some(found), expected) => found == expected || (expected == "text" && found.is_string()),
                (None, _) => false,
            })
        })
    }
}

fn read_as(outcome: &Value) -> &'static str {
    let is_empty = |name: &str| outcome[name].as_array().is_none_or(Vec::is_empty);
    match outcome["error"].is_object() {
        true => "refused",
        false if is_empty("incidents") => "skipped",
        false if is_empty("problems") => "incident",
        false => "incident with problems",
    }
}
