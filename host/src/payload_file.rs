//! Payloads in files: `NAME.json` with the body, and optionally `NAME.event.json` with headers and context.

use anyhow::{Context, Result};
use hookmill_incident::NamedValue;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A payload with its headers and context.
#[derive(Debug)]
pub struct PayloadFile {
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The headers, with names in lower case; `content-type` is `application/json` by default.
    pub headers: Vec<NamedValue>,
    /// Further values that mappers see, such as query parameters.
    pub context: Vec<NamedValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventFile {
    headers: BTreeMap<String, String>,
    context: BTreeMap<String, String>,
}

/// Returns whether a file is a payload, and not an expected result or the headers and context of a payload.
pub fn is_payload(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".json") && !name.ends_with(".expected.json") && !name.ends_with(".event.json")
}

/// Returns the file that may have the headers and the context of a payload.
pub fn beside(payload: &Path) -> PathBuf {
    payload.with_extension("event.json")
}

impl PayloadFile {
    /// Reads `file` and the file beside it.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or the file beside the payload is not
    /// `{"headers": {NAME: VALUE}, "context": {NAME: VALUE}}`.
    pub fn read(file: &Path) -> Result<Self> {
        let body = std::fs::read(file).with_context(|| format!("cannot read the payload {}", file.display()))?;
        let beside = beside(file);
        let event = match std::fs::read(&beside) {
            Ok(json) => Some(json),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", beside.display())),
        };
        Self::new(file, body, event.as_deref())
    }

    /// Puts a payload together from the content of `file` and that of the file beside it.
    ///
    /// # Errors
    /// Returns an error if the latter is not `{"headers": {NAME: VALUE}, "context": {NAME: VALUE}}`.
    pub fn new(file: &Path, body: Vec<u8>, event: Option<&[u8]>) -> Result<Self> {
        let event = match event {
            Some(json) => serde_json::from_slice(json).with_context(|| {
                format!("{} does not contain headers and context of a payload", beside(file).display())
            })?,
            None => EventFile::default(),
        };
        let mut headers: BTreeMap<String, String> =
            event.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
        Ok(Self { body, headers: headers.into_iter().collect(), context: event.context.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_context_are_in_the_file_beside_a_payload() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let read = |name: &str| PayloadFile::read(&folder.path().join(name));
        write("left.json", "{}");
        write("left.event.json", r#"{"headers": {"Content-Type": "text/plain"}, "context": {"sse.event": "delete"}}"#);
        write("alone.json", "[]");
        write("odd.json", "{}");
        write("odd.event.json", r#"{"contexts": {}}"#);
        let left = read("left.json").unwrap();
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!((left.headers, left.context), (pair("content-type", "text/plain"), pair("sse.event", "delete")));
        let alone = read("alone.json").unwrap();
        assert_eq!((&*alone.body, alone.headers), (&b"[]"[..], pair("content-type", "application/json")));
        assert!(alone.context.is_empty());
        let refused = format!("{:#}", read("odd.json").unwrap_err());
        assert!(refused.contains("odd.event.json") && refused.contains("unknown field `contexts`"), "{refused}");
        let names = ["a.json", "a.event.json", "a.expected.json", "a.txt"];
        assert_eq!(names.map(|name| is_payload(Path::new(name))), [true, false, false, false]);
    }
}
