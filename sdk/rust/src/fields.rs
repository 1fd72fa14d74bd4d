//! A payload as a list of dotted paths.

use crate::MappingError;
use crate::document::wrong_part;
use crate::fault::fault;
use crate::flat::{Flat, Search, Value};
use crate::one_pass;
use crate::present::present;
use crate::problems::add_problem;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde_json::value::RawValue;
use std::cell::OnceCell;
use std::fmt;

/// A JSON object as a flat list of dotted paths and scalars.
///
/// Some vendors write the same field nested, dotted or in an array: `{"host": {"name": "a"}}`, `{"host.name": "a"}` and
/// `{"host": [{"name": ["a"]}]}` all contain `host.name` = `a`. The values treated as absent are those of
/// [`Text`](crate::Text). Integers keep all their digits.
///
/// The object is scanned once, at the latest when the first field is asked for; texts are borrowed from the payload. The fields
/// remember which of them were read, for [`Incident::keep_unread`](crate::Incident::keep_unread).
#[derive(Clone, Debug, Default)]
pub struct Fields<'a> {
    json: &'a str,
    flat: OnceCell<Flat>,
}

impl<'a> Fields<'a> {
    /// Returns fields from pairs of a name and a value, which vendors write in lists: `[["User", "ann"]]` or
    /// `[{"key": "user", "values": ["ann"]}]`.
    pub fn from_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, impl AsRef<str>)>) -> Self {
        Self { json: "{}", flat: OnceCell::from(Flat::of_pairs(pairs)) }
    }

    /// Returns the fields of an object, given as JSON that a parser accepted.
    pub(crate) fn of(json: &'a str) -> Self {
        Self { json, flat: OnceCell::new() }
    }

    fn flat(&self) -> &Flat {
        self.flat.get_or_init(|| Flat::of(self.json))
    }

    /// Returns the present values at `path`, in the payload's order, and marks them as read.
    pub fn all(&self, path: impl AsRef<str>) -> impl Iterator<Item = &str> {
        let mut search = self.flat().search(path.as_ref());
        std::iter::from_fn(move || self.find(path.as_ref(), &mut search))
    }

    /// Returns the next present value at `path` and marks it as read.
    fn find(&self, path: &str, search: &mut Search) -> Option<&str> {
        loop {
            let text = self.find_written(path, search)?;
            if let Some(text) = present(text) {
                return Some(text);
            }
        }
    }

    /// Returns the next value at `path`, also one that stands for an absent value, and marks it as read.
    fn find_written(&self, path: &str, search: &mut Search) -> Option<&str> {
        let scalar = self.flat().find_scalar(path, search)?;
        scalar.is_read.set(true);
        Some(self.flat().text_of(scalar, self.json))
    }

    fn find_first(&self, path: &str) -> Option<&str> {
        self.find(path, &mut self.flat().search(path))
    }

    /// Returns the first present value at the first of `paths` that has one.
    pub fn first(&self, paths: &[&str]) -> Option<&str> {
        paths.iter().find_map(|path| self.find_first(path))
    }

    /// Returns the first present value at the first of `paths` that has one, and marks the values at all of them as read:
    /// they say the same.
    pub fn same(&self, paths: &[&str]) -> Option<&str> {
        paths.iter().filter_map(|path| self.find_first(path)).reduce(|first, _| first)
    }

    /// Returns the first present value at the first of `paths` that has one, such as the id of an item.
    ///
    /// # Errors
    /// Returns [`MappingError::Malformed`], which names the first of `paths`, if none has a value.
    pub fn required(&self, paths: &[&str]) -> Result<&str, MappingError> {
        let name = paths.first().copied().unwrap_or_default();
        self.first(paths).ok_or_else(|| MappingError::Malformed(format!("`{name}` is absent")))
    }

    /// Marks everything at `paths` and below them as read, because it says nothing or must not be kept.
    pub fn mark_read(&self, paths: &[&str]) {
        paths.iter().for_each(|path| self.flat().mark_read(path));
    }

    /// Returns whether there is a value at `path` or below it, also one that stands for an absent value. Does not mark it as
    /// read.
    pub fn has(&self, path: &str) -> bool {
        self.flat().has(path)
    }

    /// Returns whether [`has`](Self::has) is true for one of `paths`, such as the members that tell the kind of an item.
    pub fn has_any(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| self.has(path))
    }

    /// Returns the values at `path` as JSON.
    pub(crate) fn json_of(&self, path: &str) -> impl Iterator<Item = &'a str> {
        self.flat().json_of(path, self.json)
    }

    /// Returns the first value at `path`, also one that stands for an absent value, and marks it as read.
    pub(crate) fn written(&self, path: &str) -> Option<&str> {
        self.find_written(path, &mut self.flat().search_any(path))
    }

    /// Returns all paths with present values, in the payload's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.present(|_| true)
    }

    /// Returns the paths with present values that were not read, in the payload's order.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (&str, &str)> {
        self.present(|scalar| !scalar.is_read.get())
    }

    fn present(&self, is_wanted: impl Fn(&Value) -> bool) -> impl Iterator<Item = (&str, &str)> {
        let flat = self.flat();
        let scalars = flat.scalars().filter(move |scalar| is_wanted(scalar));
        scalars.filter_map(|scalar| Some((flat.path_of(scalar), present(flat.text_of(scalar, self.json))?)))
    }

    /// Returns the names and values, as JSON, of the members of which nothing was read, and the paths and values of the unread
    /// parts of the others.
    pub fn unread_members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.numbered_unread_members().map(|(_, name, json)| (name, json))
    }

    /// Returns the unread members, each with a number that all values at its path have in common, if there are several.
    pub(crate) fn numbered_unread_members(&self) -> impl Iterator<Item = (Option<u32>, &str, &str)> {
        let flat = self.flat();
        flat.unread_members(self.json).map(|(value, json)| (flat.number_of_several(value), flat.path_of(value), json))
    }

    /// Returns the names and the JSON of all members.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.flat().members(self.json)
    }

    /// Reports the objects that stand where a text was looked for, if nothing in them was read: the vendor changed the
    /// type of a field, or it is not of this vendor.
    pub(crate) fn report_objects(&self) {
        for json in self.flat().objects_for_texts(self.json) {
            // The second pass knows the path in the payload.
            fault();
            let elements: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            let element = elements.into_iter().map(RawValue::get).find(|element| element.starts_with('{'));
            add_problem(|| wrong_part(element.unwrap_or(json), "expected a text, found an object"));
        }
    }

    /// Returns the number of fields that are not kept, because there are too many.
    pub(crate) fn left_out(&self) -> usize {
        self.flat().more
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(one_pass::FIELDS, FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_borrowed_str<E: Error>(self, json: &'de str) -> Result<Self::Value, E> {
        let flat = one_pass::take_index().ok_or_else(|| E::invalid_type(Unexpected::Str(json), &self))?;
        Ok(Fields { json, flat: OnceCell::from(flat) })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        if json.starts_with('{') {
            return Ok(Fields::of(json));
        }
        serde_json::Deserializer::from_str(json).deserialize_map(self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;
    use crate::flat::FIELDS_MAX;

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
    fn large_integers_keep_their_digits() {
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
    fn an_object_in_place_of_a_text_is_a_problem_and_kept() {
        struct Alerts;
        impl crate::Mapper for Alerts {
            fn describe() -> crate::Description {
                crate::description!("Alerts", "Alerts")
            }
            fn map(event: &crate::Event) -> Result<crate::Outcome, crate::MappingError> {
                let fields: Fields = event.json("an object")?;
                let mut incident = crate::Incident::new("x");
                incident.set_title(fields.first(&["alert.title", "alert.title.text"]));
                fields.all("tags").for_each(|tag| incident.tag(tag));
                incident.keep_unread(&fields, "");
                Ok(incident.into())
            }
        }
        let cases = [
            (r#"{"alert": {"title": {"x": "t"}}}"#, Some("`alert.title` is left out"), Some("alert.title.x")),
            (r#"{"tags": ["a", {"x": 1}]}"#, Some("`tags[1]` is left out"), Some("tags.x")),
            (r#"{"alert": {"title": {"text": "t"}}, "tags": {}}"#, None, None),
        ];
        for (body, left_out, kept) in cases {
            let outcome = crate::map::<Alerts>(&crate::Event::new(body)).unwrap();
            let problem = left_out.map(|text| format!("{text}: expected a text, found an object"));
            let names: Vec<&str> = outcome.incidents[0].details.iter().map(|detail| detail.name.as_str()).collect();
            assert_eq!((outcome.problems, names), (Vec::from_iter(problem), Vec::from_iter(kept)), "{body}");
        }
    }

    #[test]
    fn fields_beyond_the_bound_are_counted() {
        let many = format!(r#"{{"a": [{}7], "b": 8}}"#, "7,".repeat(FIELDS_MAX));
        let fields: Fields = serde_json::from_str(&many).unwrap();
        assert_eq!((fields.iter().count(), fields.left_out()), (FIELDS_MAX, 2));
    }

    #[test]
    fn of_repeated_keys_the_last_counts() {
        for (repeated, value) in [
            (r#"{"a": 1, "b": 2, "a": 3}"#, "3"),
            (r#"{"a": 3, "x": [{"kibana.alert.uuid": 1, "kibana.alert.uuid": 2}]}"#, "3"),
            (r#"{"x": {"a": 1}, "a": 3, "network_source_port_address": 1, "network_target_port_address": 2}"#, "3"),
        ] {
            let fields: Fields = serde_json::from_str(repeated).unwrap();
            assert_eq!(fields.all("a").collect::<Vec<_>>(), [value], "{repeated}");
            assert!(fields.all("x.kibana.alert.uuid").eq(fields.first(&["x.kibana.alert.uuid"])));
        }
        let fields: Fields = serde_json::from_str(r#"{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}"#).unwrap();
        assert_eq!(fields.all("b.a").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn deep_values_and_broken_texts_are_repaired() {
        let deep = format!(r#"{{"a": {}1{}, "b": "x\ud83d", "c": 1.50}}"#, "[".repeat(500), "]".repeat(500));
        let fields: Fields = serde_json::from_str(&deep).unwrap();
        assert_eq!((fields.first(&["b"]), fields.first(&["c"])), (Some("x\u{fffd}"), Some("1.5")));
        assert!(fields.first(&["a"]).unwrap().starts_with("[["));
    }

    #[test]
    fn pairs_become_fields() {
        let fields = Fields::from_pairs([("user", "ann"), ("file", "N/A"), ("user", "bob")]);
        assert_eq!(fields.all("user").collect::<Vec<_>>(), ["ann", "bob"]);
        assert_eq!(fields.first(&["file"]), None);
    }

    #[test]
    fn members_are_there_whatever_their_values() {
        let fields: Fields = serde_json::from_str(r#"{"a": [], "b": {"c": "N/A"}, "ab": 1}"#).unwrap();
        assert!(fields.has_any(&["x", "a"]) && fields.has_any(&["b"]) && fields.has_any(&["b.c", "x"]));
        assert!(!fields.has_any(&["c", "b.c.d", "abc"]) && !fields.has_any(&[]));
        assert_eq!(fields.unread_members().count(), 3);
    }

    #[test]
    fn fields_remember_which_of_them_were_read() {
        let fields: Fields = serde_json::from_str(r#"{"a": 1, "b": 2, "c": "N/A"}"#).unwrap();
        assert_eq!(fields.first(&["a"]), Some("1"));
        assert_eq!(fields.unread().collect::<Vec<_>>(), [("b", "2")]);
        assert_eq!((fields.same(&["c", "b", "a"]), fields.unread().count()), (Some("2"), 0));
    }
}
