//! A payload as a list of dotted paths.

use crate::fault::check_digits;
use crate::key::Key;
use crate::present::present;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

/// A JSON object as a flat list of dotted paths and scalars.
///
/// Some vendors write the same field nested, dotted or in an array: `{"host": {"name": "a"}}`, `{"host.name": "a"}` and
/// `{"host": [{"name": ["a"]}]}` all contain `host.name` = `a`. The values treated as absent are those of
/// [`Text`](crate::Text).
///
/// The fields remember which of them were read, for [`Incident::keep_unread`](crate::Incident::keep_unread).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    list: Vec<Field<'a>>,
    /// The number of fields beyond [`FIELDS_MAX`], which are not kept.
    more: usize,
}

/// The most fields of one object. Each needs some memory, and a payload can have half a million.
const FIELDS_MAX: usize = 50_000;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field<'a> {
    path: String,
    value: Cow<'a, str>,
    is_read: Cell<bool>,
}

impl<'a> Fields<'a> {
    /// Returns fields from pairs of a name and a value, which vendors write in lists: `[["User", "ann"]]` or
    /// `[{"key": "user", "values": ["ann"]}]`.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let field = |(name, value): (&str, &'a str)| Field {
            path: name.to_owned(),
            value: Cow::Borrowed(value),
            is_read: Cell::new(false),
        };
        let mut pairs = pairs.into_iter();
        Self { list: pairs.by_ref().take(FIELDS_MAX).map(field).collect(), more: pairs.count() }
    }

    /// Returns the present values at `path`, in the payload's order, and marks them as read.
    pub fn all(&self, path: impl AsRef<str>) -> impl Iterator<Item = &str> {
        self.list.iter().filter(move |field| field.path == path.as_ref()).filter_map(|field| {
            field.is_read.set(true);
            present(&field.value)
        })
    }

    /// Returns the first present value at the first of `paths` that has one.
    pub fn first(&self, paths: &[&str]) -> Option<&str> {
        paths.iter().find_map(|path| self.all(path).next())
    }

    /// Returns the first value at `path`, also one that stands for an absent value, and marks it as read.
    pub(crate) fn written(&self, path: &str) -> Option<&str> {
        let field = self.list.iter().find(|field| field.path == path)?;
        field.is_read.set(true);
        Some(&field.value)
    }

    /// Returns whether a value of the member `name`, or of a part of it, was read. For
    /// [`Incident::keep_rest`](crate::Incident::keep_rest), which keeps the types of the members that were not.
    pub fn is_read(&self, name: &str) -> bool {
        let is_of = |path: &str| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.list.iter().any(|field| field.is_read.get() && is_of(&field.path))
    }

    /// Returns all paths with present values, in the payload's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().filter_map(|field| Some((field.path.as_str(), present(&field.value)?)))
    }

    /// Returns the paths with present values that were not read, in the payload's order.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (&str, &str)> {
        let unread = self.list.iter().filter(|field| !field.is_read.get());
        unread.filter_map(|field| Some((field.path.as_str(), present(&field.value)?)))
    }

    /// Returns the number of fields that are not kept, because there are too many.
    pub(crate) fn left_out(&self) -> usize {
        self.more
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields: Fields<'de> = Fields::default();
        let flatten = Flatten { path: &mut String::new(), fields: &mut fields, keys: &mut Vec::new() };
        deserializer.deserialize_map(flatten)?;
        Ok(fields)
    }
}

struct Flatten<'f, 'de> {
    path: &'f mut String,
    fields: &'f mut Fields<'de>,
    /// Hashes of the keys of the objects around this value.
    keys: &'f mut Vec<u64>,
}

impl<'de> Flatten<'_, 'de> {
    fn push(self, value: Cow<'de, str>) {
        if self.fields.list.len() == FIELDS_MAX {
            self.fields.more += 1;
            return;
        }
        self.fields.list.push(Field { path: self.path.clone(), value, is_read: Cell::new(false) });
    }
}

impl<'de> DeserializeSeed<'de> for Flatten<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flatten<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.push(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.push(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.push(Cow::Borrowed(if value { "true" } else { "false" }));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.push(Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.push(Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        check_digits(value);
        self.push(Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Flatten { path: self.path, fields: self.fields, keys: self.keys })?.is_some() {
        }
        Ok(())
    }

    /// Rejects an object with a repeated key: the repaired payload has its last value only.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let parent = self.path.len();
        let first = self.keys.len();
        while let Some(Key(name)) = entries.next_key()? {
            self.keys.push(hash(name.as_bytes()));
            if parent > 0 {
                self.path.push('.');
            }
            self.path.push_str(&name);
            entries.next_value_seed(Flatten { path: self.path, fields: self.fields, keys: self.keys })?;
            self.path.truncate(parent);
        }
        let keys = &mut self.keys[first..];
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(A::Error::custom(format_args!("a repeated key in `{}`", self.path)));
        }
        self.keys.truncate(first);
        Ok(())
    }
}

/// Returns a hash that is fast for short keys. A collision costs time only.
fn hash(key: &[u8]) -> u64 {
    key.chunks(8).fold(key.len() as u64, |hash, chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        (hash.rotate_left(5) ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn nested_dotted_and_array_spellings_are_one() {
        let fields: Fields = serde_json::from_str(
            r#"{"host": {"name": "a", "ip": ["10.0.0.2", "", 7]}, "host.name": ["b"],
                "threat": [{"technique": [{"id": "T1098"}]}, {"technique": []}], "none": null}"#,
        )
        .unwrap();
        assert_eq!(fields.all("host.name").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fields.all("host.ip").collect::<Vec<_>>(), ["10.0.0.2", "7"]);
        assert_eq!(fields.first(&["none", "threat.technique.id"]), Some("T1098"));
        assert!(serde_json::from_str::<Fields>("[]").is_err());
    }

    #[test]
    fn large_integers_are_read_again_with_their_digits() {
        struct Ids;
        impl crate::Mapper for Ids {
            fn describe() -> crate::Description {
                crate::description!("Ids", "Ids")
            }
            fn map(event: &crate::Event) -> Result<crate::Outcome, crate::MappingError> {
                let fields: Fields = event.json("an object")?;
                Ok(crate::Incident::new(fields.first(&["id"]).unwrap_or_default()).into())
            }
        }
        for id in ["123456789012345678901", "-9223372036854775809", "18446744073709551615"] {
            let outcome = crate::map::<Ids>(&crate::Event::new(format!("{{\"id\": {id}}}"))).unwrap();
            assert_eq!(outcome.incidents[0].source_ref, id);
        }
    }

    #[test]
    fn fields_beyond_the_bound_are_counted() {
        let many = format!(r#"{{"a": [{}7], "b": 8}}"#, "7,".repeat(super::FIELDS_MAX));
        let fields: Fields = serde_json::from_str(&many).unwrap();
        assert_eq!((fields.iter().count(), fields.left_out()), (super::FIELDS_MAX, 2));
    }

    #[test]
    fn repeated_keys_of_one_object_are_rejected() {
        for repeated in [r#"{"a": 1, "b": 2, "a": 3}"#, r#"{"x": [{"kibana.alert.uuid": 1, "kibana.alert.uuid": 1}]}"#]
        {
            assert!(serde_json::from_str::<Fields>(repeated).is_err(), "{repeated}");
        }
        assert!(serde_json::from_str::<Fields>(r#"{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}"#).is_ok());
    }

    #[test]
    fn pairs_become_fields() {
        let fields = Fields::from_pairs([("user", "ann"), ("file", "N/A"), ("user", "bob")]);
        assert_eq!(fields.all("user").collect::<Vec<_>>(), ["ann", "bob"]);
        assert_eq!(fields.first(&["file"]), None);
    }

    #[test]
    fn fields_remember_which_of_them_were_read() {
        let fields: Fields = serde_json::from_str(r#"{"a": 1, "b": 2, "c": "N/A"}"#).unwrap();
        assert_eq!(fields.first(&["a"]), Some("1"));
        assert_eq!(fields.unread().collect::<Vec<_>>(), [("b", "2")]);
        let fields: Fields = serde_json::from_str(r#"{"a": {"b": 1, "c": 2}, "ab": 3}"#).unwrap();
        fields.first(&["a.b"]);
        assert_eq!(["a", "ab", "a.b", "a.c", "d"].map(|name| fields.is_read(name)), [true, false, true, false, false]);
    }
}
