//! Bodies for `guests/returns.wat`: the mapper's result in the memory layout of the canonical ABI.
//!
//! A test describes the result in JSON, including results that only a broken mapper could return.

use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// The address at which the guest stores the body.
const BASE: usize = 0x20_0000;

const SEVERITIES: &[&str] = &["informational", "low", "medium", "high", "critical"];
const STATES: &[&str] = &["open", "resolved"];
const TLPS: &[&str] = &["clear", "green", "amber", "amber-strict", "red"];
const STATUSES: &[&str] = &["new", "triaged", "in-progress", "escalated", "resolved", "false-positive", "closed"];

/// Returns the body for `{"incidents": […], "skipped": […], "problems": […]}`, `{"malformed": "…"}` or
/// `{"unsupported": "…"}`.
///
/// Members of an incident have the names of wit/plugin.wit; `details` is an object of strings; missing members are none
/// or empty. A number instead of an enum's name is its discriminant; `[pointer, length]` instead of a string is written
/// unchanged. All bodies are different, and small ones are valid UTF-8.
pub fn returns(outcome: &Value) -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut image = Image(vec![0; 28]);
    match ["malformed", "unsupported"].iter().position(|word| outcome.get(word).is_some()) {
        Some(kind) => {
            image.0[0] = 1;
            image.0[4] = kind as u8;
            image.text(8, &outcome[["malformed", "unsupported"][kind]]);
        }
        None => {
            image.list(4, &outcome["incidents"], INCIDENT_BYTES, Image::incident);
            image.list(12, &outcome["skipped"], 8, Image::text);
            image.list(20, &outcome["problems"], 8, Image::text);
        }
    }
    // Bytes behind the result are never read.
    image.0.extend_from_slice(COUNT.fetch_add(1, Ordering::Relaxed).to_string().as_bytes());
    image.0
}

/// Returns the description that makes `guests/judges.wat` return these actions. Each is an object with one member,
/// named as in wit/plugin.wit. A text instead of the list is the playbook's error.
pub fn judgement(actions: &Value) -> String {
    const ACTIONS: [&str; 8] = [
        "set-severity",
        "set-status",
        "set-category",
        "set-assignee",
        "add-tag",
        "add-observable",
        "add-note",
        "notify",
    ];
    let mut image = Image(vec![0; 12]);
    if actions.is_string() {
        image.0[0] = 1;
        image.text(4, actions);
        return image.letters();
    }
    image.list(4, actions, 44, |image, at, action| {
        let (name, value) = action.as_object().unwrap().iter().next().unwrap();
        image.0[at] = ACTIONS.iter().position(|known| known == name).unwrap() as u8;
        match name.as_str() {
            "set-severity" => image.0[at + 4] = image.word(value, SEVERITIES),
            "set-status" => image.0[at + 4] = image.word(value, STATUSES),
            "add-observable" => image.observable(at + 4, value),
            _ => image.text(at + 4, value),
        }
    });
    image.letters()
}

/// Returns the description that makes `guests/renders.wat` return this request. Null means no request; a text is the
/// notifier's error. `headers` is an object of strings.
pub fn request(request: &Value) -> String {
    let mut image = Image(vec![0; 44]);
    match request {
        Value::String(_) => {
            image.0[0] = 1;
            image.text(4, request);
        }
        Value::Null => {}
        request => {
            image.0[4] = 1;
            image.text(8, &request["method"]);
            image.optional_text(16, &request["url"]);
            image.pairs(28, &request["headers"]);
            image.text(36, &request["body"]);
        }
    }
    image.letters()
}

/// Returns the body for one incident.
pub fn incident(incident: Value) -> Vec<u8> {
    returns(&json!({"incidents": [incident]}))
}

/// The sizes of the records in bytes.
const INCIDENT_BYTES: usize = 132;
const OBSERVABLE_BYTES: usize = 40;

struct Image(Vec<u8>);

impl Image {
    fn incident(&mut self, at: usize, value: &Value) {
        let mut layout = Layout { image: self, value, at };
        layout.field("source-ref", 4, 8, Self::text);
        for name in ["title", "description", "category"] {
            layout.field(name, 4, 12, Self::optional_text);
        }
        layout.field("severity", 1, 2, |image, at, word| image.optional_word(at, word, SEVERITIES));
        layout.field("vendor-severity", 4, 12, Self::optional_text);
        layout.field("state", 1, 2, |image, at, word| image.optional_word(at, word, STATES));
        layout.field("tlp", 1, 2, |image, at, word| image.optional_word(at, word, TLPS));
        for name in ["occurred-at", "changed-at", "external-link"] {
            layout.field(name, 4, 12, Self::optional_text);
        }
        layout.field("tags", 4, 8, |image, at, tags| image.list(at, tags, 8, Self::text));
        layout.field("observables", 4, 8, |image, at, all| image.list(at, all, OBSERVABLE_BYTES, Self::observable));
        layout.field("techniques", 4, 8, |image, at, all| image.list(at, all, 20, Self::technique));
        layout.field("details", 4, 8, Self::pairs);
        assert_eq!(layout.at, at + INCIDENT_BYTES);
    }

    /// Writes an object of strings as a list of fields.
    fn pairs(&mut self, at: usize, object: &Value) {
        let pairs = object.as_object().map(|all| all.iter().map(|(name, value)| json!([name, value])).collect());
        self.list(at, &pairs.unwrap_or(Value::Null), 16, |image, at, pair| {
            image.text(at, &pair[0]);
            image.text(at + 8, &pair[1]);
        });
    }

    /// Encodes each byte as two letters.
    fn letters(&self) -> String {
        self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(b'a' + nibble)).collect()
    }

    fn observable(&mut self, at: usize, value: &Value) {
        let mut layout = Layout { image: self, value, at };
        layout.field("data-type", 4, 8, Self::text);
        layout.field("value", 4, 8, Self::text);
        layout.field("message", 4, 12, Self::optional_text);
        layout.field("tags", 4, 8, |image, at, tags| image.list(at, tags, 8, Self::text));
        layout.field("ioc", 1, 1, |image, at, ioc| image.0[at] = u8::from(ioc == true));
    }

    fn technique(&mut self, at: usize, value: &Value) {
        self.text(at, &value["id"]);
        self.optional_text(at + 8, &value["tactic"]);
    }

    fn optional_text(&mut self, at: usize, text: &Value) {
        if !text.is_null() {
            self.0[at] = 1;
            self.text(at + 4, text);
        }
    }

    fn optional_word(&mut self, at: usize, word: &Value, words: &[&str]) {
        if !word.is_null() {
            self.0[at] = 1;
            self.0[at + 1] = self.word(word, words);
        }
    }

    fn word(&self, word: &Value, words: &[&str]) -> u8 {
        let place = |word| words.iter().position(|known| *known == word).unwrap() as u8;
        word.as_str().map_or_else(|| word.as_u64().unwrap() as u8, place)
    }

    fn text(&mut self, at: usize, text: &Value) {
        let (pointer, length) = match text {
            Value::Array(raw) => (raw[0].as_u64().unwrap() as usize, raw[1].as_u64().unwrap() as usize),
            text => {
                let bytes = text.as_str().unwrap_or_else(|| panic!("{text} is not a text")).as_bytes();
                (BASE + self.append(bytes.len()), bytes.len())
            }
        };
        if let Some(text) = text.as_str() {
            self.0[pointer - BASE..][..length].copy_from_slice(text.as_bytes());
        }
        self.pair(at, pointer, length);
    }

    fn list(&mut self, at: usize, items: &Value, item_bytes: usize, put: impl Fn(&mut Self, usize, &Value)) {
        let items = items.as_array().map_or(&[][..], Vec::as_slice);
        let start = self.append(items.len() * item_bytes);
        for (index, item) in items.iter().enumerate() {
            put(self, start + index * item_bytes, item);
        }
        self.pair(at, BASE + start, items.len());
    }

    fn pair(&mut self, at: usize, pointer: usize, length: usize) {
        self.0[at..at + 4].copy_from_slice(&(pointer as u32).to_le_bytes());
        self.0[at + 4..at + 8].copy_from_slice(&(length as u32).to_le_bytes());
    }

    fn append(&mut self, bytes: usize) -> usize {
        let start = self.0.len().next_multiple_of(8);
        self.0.resize(start + bytes, 0);
        start
    }
}

/// Writes the fields of a record one after the other.
struct Layout<'a> {
    image: &'a mut Image,
    value: &'a Value,
    at: usize,
}

impl Layout<'_> {
    fn field(&mut self, name: &str, align: usize, bytes: usize, put: impl Fn(&mut Image, usize, &Value)) {
        self.at = self.at.next_multiple_of(align);
        put(self.image, self.at, &self.value[name]);
        self.at += bytes;
    }
}
