//! The details of an incident: fields that the mapper names, and those that it did not read.

use crate::equal::is_equal;
use crate::present::present;
use crate::{Field, Fields, Incident, WithRest, repair};
use serde::Serialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

/// The bounds of the fields that are kept although the mapper did not read them, for each incident.
const UNREAD_MAX: usize = 64;
const UNREAD_BYTES_MAX: usize = 16 * 1024;
/// The bound of all of them together, so that the incidents of a long list fit into the result.
const UNREAD_TOTAL_BYTES_MAX: usize = 512 * 1024;
/// The greatest length of one of them. A longer text is truncated, a longer list or object is left out.
const UNREAD_VALUE_BYTES_MAX: usize = 2 * 1024;
/// The greatest length of a text, so that the quotes and some escapes of its JSON fit into the value.
const TEXT_BYTES_MAX: usize = 1024;
/// The largest number of objects in one list of details.
const LIST_OBJECTS_MAX: usize = 64;
/// The name of the detail that counts the fields that are not kept.
const NOT_KEPT: &str = "fields_not_kept";
/// Parts of names of fields that can contain secrets, ignoring case, with their pairs of letters. Such fields are not kept.
const SECRET: [(&[u8], u64); 7] = [
    secret(b"passw"),
    secret(b"secret"),
    secret(b"token"),
    secret(b"apikey"),
    secret(b"api_key"),
    secret(b"authorization"),
    secret(b"cookie"),
];

thread_local! {
    /// The bytes that are left of [`UNREAD_TOTAL_BYTES_MAX`].
    static BYTES_LEFT: Cell<usize> = const { Cell::new(UNREAD_TOTAL_BYTES_MAX) };
}

/// Forgets the fields that were kept for earlier events.
pub(crate) fn reset() {
    BYTES_LEFT.set(UNREAD_TOTAL_BYTES_MAX);
}

impl Incident {
    /// Adds a vendor's field as text unless the value is absent. Text that parses as JSON, such as an id of twenty
    /// digits, remains text.
    pub fn detail(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        // Most texts show by their first byte that they are not JSON.
        let can_be_json = |byte: &u8| b"{[\"-0123456789ntf \n\r\t".contains(byte);
        if value.as_bytes().first().is_some_and(can_be_json) && serde_json::from_str::<IgnoredAny>(value).is_ok() {
            return self.detail_json(name, &value);
        }
        self.details.push(Field { name: name.to_owned(), value: value.to_owned() });
    }

    /// Adds a vendor's field of any type, as JSON. Values nested deeper than 64 levels become text.
    pub fn detail_json(&mut self, name: &str, value: &impl Serialize) {
        if let Ok(value) = serde_json::to_string(value) {
            self.details.push(Field { name: name.to_owned(), value: storable(value).into_owned() });
        }
    }

    /// Adds fields as details, by their paths.
    pub fn detail_fields(&mut self, fields: &Fields, paths: &[&str]) {
        for path in paths {
            self.detail(path, fields.first(&[path]));
        }
    }

    /// Adds a list as a detail unless it is empty.
    pub fn detail_list(&mut self, name: &str, values: &[impl Serialize]) {
        if !values.is_empty() {
            self.detail_json(name, &values);
        }
    }

    /// Adds members of an object with their types, like [`keep_members`](Self::keep_members), also those that were read.
    pub fn detail_members(&mut self, fields: &Fields, names: &[&str]) {
        let mut kept = Kept::new(self);
        fields.members().filter(|(name, _)| names.contains(name)).for_each(|(name, json)| kept.add_member(name, json));
        kept.finish();
    }

    /// Adds these fields of the objects at `path` as one list, with the last parts of their names, and marks them as read: what
    /// an analyst reads of each member of a group. Adds nothing if no object has one of them, and at most 64 objects.
    pub fn detail_objects(&mut self, fields: &Fields, path: &str, names: &[&str]) {
        let text = |object: &Fields, name: &str| object.all(name).next().map(|text| truncated(text).to_owned());
        let of_object = |object: &Fields| -> BTreeMap<String, String> {
            let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
            names.iter().filter_map(|name| Some((last(name), text(object, name)?))).collect()
        };
        let objects = fields.objects(path);
        let list: Vec<_> =
            objects.iter().take(LIST_OBJECTS_MAX).map(of_object).filter(|object| !object.is_empty()).collect();
        if !list.is_empty() {
            self.detail_json(path, &list);
        }
        names.iter().for_each(|name| fields.all(format!("{path}.{name}")).for_each(drop));
    }

    /// Adds the fields that the mapper did not read, so that nothing of a vendor's payload is lost without notice. Call
    /// it last. Several values of one path become a list; `prefix` is removed from the paths.
    ///
    /// Keeps 64 fields and 16 KiB, no names that contain `password`, `secret`, `token` and the like; the detail
    /// `fields_not_kept` counts the others.
    pub fn keep_unread(&mut self, fields: &Fields, prefix: &str) {
        fields.report_objects();
        let unread: Vec<(&str, &str)> = fields.unread().filter(|(_, value)| !is_empty(value)).collect();
        let mut kept = Kept::new(self);
        // Values of one path follow each other, or the path is not worth a list.
        for list in unread.chunk_by(|(one, _), (other, _)| is_equal(one, other)) {
            // The memory of an instance is never freed, so that no value is made in vain.
            if kept.is_full() {
                kept.not_kept += 1;
                continue;
            }
            let value = match list {
                [(_, value)] => serde_json::to_string(truncated(value)),
                list => serde_json::to_string(&list.iter().map(|(_, value)| value).collect::<Vec<_>>()),
            };
            let path = list[0].0;
            kept.add(path.strip_prefix(prefix).unwrap_or(path), value.unwrap_or_default().into());
        }
        kept.not_kept += fields.left_out();
        kept.finish();
    }

    /// Adds the members of an object that the mapper did not read, like [`keep_unread`](Self::keep_unread), but with their
    /// types: a list or an object of which nothing was read is kept whole. Members of which an object was read by
    /// [`Fields::objects`], and those that `is_read` names, are read.
    pub fn keep_members(&mut self, fields: &Fields, is_read: impl Fn(&str) -> bool) {
        fields.report_objects();
        // The values of one path become a list, which has the place of the first of them.
        let (mut members, mut places) = (Vec::<(&str, Vec<&str>)>::new(), BTreeMap::new());
        for (number, name, json) in fields.numbered_unread_members().filter(|(_, name, _)| !is_read(name)) {
            let new = members.len();
            match number.map_or(new, |number| *places.entry(number).or_insert(new)) {
                known if known < new => members[known].1.push(json),
                _ => members.push((name, vec![json])),
            }
        }
        let mut kept = Kept::new(self);
        for (name, values) in members {
            match values[..] {
                [json] => kept.add_member(name, json),
                _ => kept.add_member(name, &json_list(&values)),
            }
        }
        kept.not_kept += fields.left_out();
        kept.finish();
    }

    /// Adds the members of an object that the mapper's type does not declare, like [`keep_unread`](Self::keep_unread),
    /// without those that `is_read` names.
    pub fn keep_rest<T>(&mut self, object: &WithRest<T>, is_read: impl Fn(&str) -> bool) {
        let mut kept = Kept::new(self);
        for (name, value) in object.rest().filter(|(name, _)| !is_read(name)) {
            kept.add_member(name, value.get());
        }
        kept.finish();
    }
}

/// Returns a list of these values, as JSON.
fn json_list(values: &[&str]) -> String {
    ["[", &values.join(","), "]"].concat()
}

/// Returns JSON that the host stores as JSON.
fn storable<'j>(json: impl Into<Cow<'j, str>>) -> Cow<'j, str> {
    let json = json.into();
    if !repair::is_suspect(&json) {
        return json;
    }
    repair::documents(json.as_bytes()).list.into_iter().next().map_or(json, Cow::Owned)
}

/// Returns whether JSON, which may be in a text, is a list or an object without contents.
fn is_empty(json: &str) -> bool {
    matches!(json, "[]" | "{}")
}

fn truncated(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

const fn secret(word: &[u8]) -> (&[u8], u64) {
    (word, pairs(word))
}

/// Returns whether a name contains one of the words in [`SECRET`].
fn is_secret(name: &str) -> bool {
    let name = name.as_bytes();
    let pairs = pairs(name);
    let is_word = |word: &[u8], part: &[u8]| part[0] | 0x20 == word[0] && part.eq_ignore_ascii_case(word);
    let is_in_name = |word: &[u8]| name.windows(word.len()).any(|part| is_word(word, part));
    SECRET.iter().any(|(word, own)| own & pairs == *own && is_in_name(word))
}

/// Returns a set with a bit for each pair of neighbouring letters, ignoring case. Different pairs can have the same bit.
const fn pairs(text: &[u8]) -> u64 {
    let (mut pairs, mut rest) = (0, text);
    while let [one, other, ..] = rest {
        pairs |= 1 << (((*one << 1) ^ (*other & 31)) & 63);
        (_, rest) = rest.split_at(1);
    }
    pairs
}

/// The bounded fields of one call.
struct Kept<'i> {
    incident: &'i mut Incident,
    fields: usize,
    bytes: usize,
    bytes_max: usize,
    not_kept: usize,
}

impl<'i> Kept<'i> {
    fn new(incident: &'i mut Incident) -> Self {
        Self { incident, fields: 0, bytes: 0, bytes_max: BYTES_LEFT.get().min(UNREAD_BYTES_MAX), not_kept: 0 }
    }

    fn add_member(&mut self, name: &str, json: &str) {
        match json.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            None if json == "null" || is_empty(json) => {}
            None => self.add(name, storable(json)),
            Some(text) if present(text).is_none() || is_empty(text) => {}
            Some(text) if text.len() <= TEXT_BYTES_MAX => self.add(name, storable(json)),
            Some(_) => {
                let text: String = serde_json::from_str(json).unwrap_or_default();
                self.add(name, serde_json::to_string(truncated(&text)).unwrap_or_default().into());
            }
        }
    }

    fn is_full(&self) -> bool {
        self.fields == UNREAD_MAX
    }

    fn add(&mut self, name: &str, value: Cow<str>) {
        let bytes = self.bytes + name.len() + value.len();
        let is_kept =
            !self.is_full() && bytes <= self.bytes_max && value.len() <= UNREAD_VALUE_BYTES_MAX && !is_secret(name);
        if !is_kept {
            self.not_kept += 1;
            return;
        }
        self.fields += 1;
        self.bytes = bytes;
        if !self.incident.details.iter().any(|known| is_equal(&known.name, name)) {
            self.incident.details.push(Field { name: name.to_owned(), value: value.into_owned() });
        }
    }

    fn finish(self) {
        BYTES_LEFT.set(BYTES_LEFT.get() - self.bytes);
        if self.not_kept > 0 {
            self.incident.detail_json(NOT_KEPT, &self.not_kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    fn values(incident: &Incident) -> Vec<(&str, Value)> {
        let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        incident.details.iter().map(|detail| (detail.name.as_str(), value(&detail.value))).collect()
    }

    #[test]
    fn details_keep_their_type() {
        let mut incident = Incident::new("x");
        incident.detail("id", Some("12345678901234567890123"));
        incident.detail("command", Some("\"a.exe\""));
        incident.detail("words", Some("plain"));
        incident.detail_list("list", &[1, 2]);
        incident.detail_list("empty", &[0; 0]);
        let values: Vec<&str> = incident.details.iter().map(|detail| detail.value.as_str()).collect();
        assert_eq!(values, [r#""12345678901234567890123""#, r#""\"a.exe\"""#, "plain", "[1,2]"]);
    }

    #[test]
    fn objects_are_kept_as_one_list() {
        let json = r#"{"of": [{"id": 7, "a": {"name": "x"}, "b": 1}, {"b": 2}, {"id": "y"}], "none": []}"#;
        let fields: Fields = serde_json::from_str(json).unwrap();
        let mut incident = Incident::new("x");
        incident.detail_objects(&fields, "of", &["id", "a.name"]);
        incident.detail_objects(&fields, "none", &["id"]);
        incident.keep_unread(&fields, "");
        let expected = json!([{"id": "7", "name": "x"}, {"id": "y"}]);
        assert_eq!(values(&incident)[0], ("of", expected));
        let names: Vec<&str> = incident.details.iter().map(|detail| detail.name.as_str()).collect();
        assert!(!names.contains(&"of.id") && names.contains(&"of.b"), "{names:?}");

        let many: Vec<String> = (0..=LIST_OBJECTS_MAX).map(|id| format!("{{\"id\": {id}}}")).collect();
        let json = format!("{{\"of\": [{}]}}", many.join(","));
        let fields: Fields = serde_json::from_str(&json).unwrap();
        let mut incident = Incident::new("x");
        incident.detail_objects(&fields, "of", &["id"]);
        assert_eq!(values(&incident)[0].1.as_array().unwrap().len(), LIST_OBJECTS_MAX);
    }

    #[test]
    fn unread_fields_are_kept_within_bounds() {
        let fields: Fields = serde_json::from_str(
            r#"{"read": 1, "a": {"b": "4625"}, "list": ["x", "y"], "none": "N/A", "empty": "{}", "apiToken": "s3cret"}"#,
        )
        .unwrap();
        fields.first(&["read"]);
        let mut incident = Incident::new("x");
        incident.detail("a.b", Some("known"));
        incident.keep_unread(&fields, "");
        assert_eq!(
            values(&incident),
            [("a.b", json!("known")), ("list", json!(["x", "y"])), ("fields_not_kept", json!(1))]
        );

        let many: String = (0..100).map(|number| format!(r#","f{number}":1"#)).collect();
        let json = format!(r#"{{"long":"{}"{many}}}"#, "é".repeat(9000));
        let fields: Fields = serde_json::from_str(&json).unwrap();
        let mut incident = Incident::new("x");
        incident.keep_unread(&fields, "");
        assert_eq!((incident.details.len(), &*incident.details[64].value), (65, "37"));
        assert!(incident.details[0].value.len() < UNREAD_VALUE_BYTES_MAX);
    }

    #[test]
    fn members_keep_their_types_and_the_parts_that_were_not_read() {
        let fields: Fields = serde_json::from_str(
            r#"{"a": {"b": 1, "c": [2]}, "d": ["x", "y"], "e": [{"f": 1, "g": 2}, {"f": 3, "g": 4}], "h": {"i": null}, "j": 5}"#,
        )
        .unwrap();
        fields.first(&["a.b", "j"]);
        fields.first(&["d"]);
        fields.all("e.f").for_each(drop);
        let mut incident = Incident::new("x");
        incident.keep_members(&fields, |name| name == "j");
        let expected = [("a.c", json!([2])), ("d", json!("y")), ("e.g", json!([2, 4])), ("h", json!({"i": null}))];
        assert_eq!(values(&incident), expected);
    }

    #[test]
    fn fields_become_details_by_their_paths() {
        let fields: Fields = serde_json::from_str(r#"{"a": {"b": 1}, "c": "x"}"#).unwrap();
        let mut incident = Incident::new("x");
        incident.detail_fields(&fields, &["a.b", "c", "d"]);
        assert_eq!(values(&incident), [("a.b", json!("1")), ("c", json!("x"))]);
    }

    #[test]
    fn named_fields_are_text_and_named_members_keep_their_types() {
        let fields: Fields =
            serde_json::from_str(r#"{"score": 0.5, "host": {"port": 22}, "list": [{"x": 1}], "none": "N/A"}"#).unwrap();
        let mut incident = Incident::new("x");
        incident.detail_fields(&fields, &["host.port", "absent", "none"]);
        incident.detail_members(&fields, &["list", "score", "none"]);
        incident.keep_members(&fields, |_| false);
        assert_eq!(values(&incident), [("host.port", json!("22")), ("score", json!(0.5)), ("list", json!([{"x": 1}]))]);
    }

    #[test]
    fn undeclared_members_are_kept_as_json_that_the_host_can_store() {
        #[derive(Deserialize)]
        struct Alert {}
        let json =
            r#"{"n": 12345678901234567890, "o": {"x": "\ud83d"}, "e": [], "t": "unknown", "s": "7", "known": 1}"#;
        let alert: WithRest<Alert> = serde_json::from_str(json).unwrap();
        let mut incident = Incident::new("x");
        incident.keep_rest(&alert, |name| name == "known");
        let expected =
            [("n", json!(12_345_678_901_234_567_890_u64)), ("o", json!({"x": "\u{fffd}"})), ("s", json!("7"))];
        assert_eq!(values(&incident), expected);
    }
}
