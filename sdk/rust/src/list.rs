//! A list in any form that vendors use.

use crate::Fields;
use crate::document::wrong_part;
use crate::fault::fault;
use crate::flat::add_objects;
use crate::object::ByName;
use crate::present::present;
use crate::problems::add_problem;
use crate::reading;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Deref;

/// A list in any form that vendors use: an array, a single element without an array, `null` or empty text.
///
/// Use `List<Text>` for scalars and `List<T>` for objects. A missing field is an empty list, without
/// `#[serde(default)]`. An element of another type than `T` is left out and reported as a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'l, T> IntoIterator for &'l List<T> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As an option, because serde accepts missing fields only for options.
        let Some(raw) = Option::<&'de RawValue>::deserialize(deserializer)? else { return Ok(Self::default()) };
        if reading::is_lenient() {
            return Ok(Self(lenient(raw)));
        }
        strict(raw.get()).map(Self).map_err(|error| D::Error::custom(reading::reason_of(&error)))
    }
}

fn strict<'de, T: Deserialize<'de>>(json: &'de str) -> Result<Vec<T>, serde_json::Error> {
    if json.starts_with('[') {
        let list: Vec<Option<ByName<T>>> = serde_json::from_str(json)?;
        return Ok(list.into_iter().flatten().map(|element| element.0).collect());
    }
    if is_absent(json) {
        return Ok(Vec::new());
    }
    serde_json::from_str(json).map(|ByName(element)| vec![element])
}

fn lenient<'de, T: Deserialize<'de>>(raw: &'de RawValue) -> Vec<T> {
    let is_element = || serde_json::from_str::<ByName<T>>(raw.get()).is_ok();
    let unfolded = || reading::unfolded(raw.get()).filter(|inner| inner.starts_with('['));
    if raw.get().starts_with('"')
        && !is_element()
        && let Some(inner) = unfolded().and_then(|inner| serde_json::from_str(inner).ok())
    {
        return lenient(inner);
    }
    match serde_json::from_str::<Vec<Option<&'de RawValue>>>(raw.get()) {
        Ok(elements) => elements.into_iter().flatten().filter_map(reading::part).collect(),
        Err(_) if is_absent(raw.get()) => Vec::new(),
        Err(_) => reading::part(raw).into_iter().collect(),
    }
}

impl<'a> Fields<'a> {
    /// Returns the objects at `path`, alone, in lists or in lists of lists, each with fields and marks of its own.
    pub fn objects(&self, path: &str) -> Vec<Fields<'a>> {
        let mut objects = Vec::new();
        for json in self.json_of(path) {
            let mut plain = Vec::new();
            if !reading::is_lenient() && add_objects(json, 2, &mut plain).is_some() {
                objects.extend(plain.into_iter().map(Fields::of));
                continue;
            }
            let lists: Option<List<List<Fields>>> = reading::json(json);
            objects.extend(lists.into_iter().flat_map(|lists| lists.0).flat_map(|list| list.0));
        }
        objects
    }

    /// Returns the object at `path`, with fields and marks of its own. A list of several is left out and reported as a
    /// problem.
    pub fn object(&self, path: &str) -> Option<Fields<'a>> {
        let mut objects = self.objects(path);
        if objects.len() > 1 {
            fault();
            let json = self.json_of(path).next().unwrap_or_default();
            add_problem(|| wrong_part(json, "expected an object, found a list"));
            return None;
        }
        objects.pop()
    }
}

/// Returns whether a value is a text that stands for an absent value.
fn is_absent(json: &str) -> bool {
    json.starts_with('"') && serde_json::from_str(json).is_ok_and(|text: Cow<str>| present(&text).is_none())
}

#[cfg(test)]
mod tests {
    use super::List;
    use crate::{Fields, Text};

    #[test]
    fn arrays_single_elements_and_absent_values_are_lists() {
        let texts = |json| -> Vec<String> {
            let list: List<Text> = serde_json::from_str(json).unwrap();
            list.iter().filter_map(Text::owned).collect()
        };
        assert_eq!(texts(r#"["a", null, 7]"#), ["a", "7"]);
        assert_eq!(texts(r#""a\n""#), ["a"]);
        assert_eq!(texts("true"), ["true"]);
        assert!(texts("null").is_empty() && texts(r#""""#).is_empty());

        let objects: List<Fields> = serde_json::from_str(r#"{"a": 1}"#).unwrap();
        assert_eq!(objects[0].first(&["a"]), Some("1"));
        assert!(serde_json::from_str::<List<Fields>>(r#"["a"]"#).is_err());
    }

    #[test]
    fn objects_are_found_whatever_is_in_them() {
        let json =
            r#"{"a": [ {"b": "}, {\"" } , null, [], {"b": [{"c": ","}]}], "d": [{"b": 1}, 7], "e": [[[{"b": 1}]]]}"#;
        let fields: Fields = serde_json::from_str(json).unwrap();
        let objects = fields.objects("a");
        assert_eq!(
            (objects.len(), objects[0].first(&["b"]), objects[1].first(&["b.c"])),
            (2, Some("}, {\""), Some(","))
        );
        assert!(fields.objects("d").is_empty() && fields.objects("e").is_empty());
    }

    #[test]
    fn objects_have_fields_of_their_own() {
        let fields: Fields = serde_json::from_str(
            r#"{"a": [{"b": 1, "c": {"d": [2]}}, [{"b": 3}]], "e": {"b": 4}, "f": [], "g": "[{\"b\": 5}]", "h": 7}"#,
        )
        .unwrap();
        let of = |path: &str| -> Vec<String> {
            fields.objects(path).iter().filter_map(|object| object.first(&["b", "d"]).map(str::to_owned)).collect()
        };
        assert_eq!(
            (of("a"), of("a.c"), of("e"), of("f"), of("none")),
            (vec!["1".into(), "3".into()], vec!["2".into()], vec!["4".into()], vec![], vec![])
        );
        let one = |path: &str| fields.object(path).and_then(|object| object.first(&["b"]).map(str::to_owned));
        assert_eq!((one("e"), one("none"), one("a")), (Some("4".into()), None, None));
        assert_eq!(fields.unread().count(), 6);
        let unread =
            |fields: &Fields| -> Vec<String> { fields.unread_members().map(|(name, _)| name.to_owned()).collect() };
        assert_eq!(unread(&fields), ["g", "h"]);
        fields.mark_read(&["h"]);
        assert_eq!(unread(&fields), ["g"]);
    }
}
