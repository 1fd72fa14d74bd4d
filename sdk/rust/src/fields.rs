//! A payload as a list of dotted paths.

use crate::text::present;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A JSON object as a flat list of dotted paths and scalars.
///
/// Some vendors write the same field nested, dotted or in an array: `{"host": {"name": "a"}}`, `{"host.name": "a"}` and
/// `{"host": [{"name": ["a"]}]}` all contain `host.name` = `a`. The values treated as absent are those of
/// [`Text`](crate::Text).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a>(Vec<(String, Cow<'a, str>)>);

impl Fields<'_> {
    /// Returns the present values at `path`, in the payload's order.
    pub fn all(&self, path: impl AsRef<str>) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == path.as_ref()).filter_map(|(_, value)| present(value))
    }

    /// Returns the first present value at the first of `paths` that has one.
    pub fn first(&self, paths: &[&str]) -> Option<&str> {
        paths.iter().find_map(|path| self.all(path).next())
    }

    /// Returns all paths with present values, in the payload's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.as_str(), present(value)?)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Vec::new();
        deserializer.deserialize_map(Flatten { path: &mut String::new(), fields: &mut fields })?;
        Ok(Self(fields))
    }
}

struct Flatten<'f, 'de> {
    path: &'f mut String,
    fields: &'f mut Vec<(String, Cow<'de, str>)>,
}

impl<'de> Flatten<'_, 'de> {
    fn push(self, value: Cow<'de, str>) {
        self.fields.push((self.path.clone(), value));
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
        self.push(Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Flatten { path: self.path, fields: self.fields })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let parent = self.path.len();
        while let Some(name) = entries.next_key::<Cow<'de, str>>()? {
            if parent > 0 {
                self.path.push('.');
            }
            self.path.push_str(&name);
            entries.next_value_seed(Flatten { path: self.path, fields: self.fields })?;
            self.path.truncate(parent);
        }
        Ok(())
    }
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
}
