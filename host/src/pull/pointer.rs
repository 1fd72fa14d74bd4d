//! Finds the items of an answer. Items stay raw text, so that numbers keep their digits.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;

const BOM: &[u8] = b"\xef\xbb\xbf";
/// The maximum number of items in one answer.
const ITEMS_MAX: usize = 10_000;

/// A position in a JSON document, written as JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) or as
/// `['data']['works']['edges']`. `-1` is the last element of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Returns the value at this position; `None` if there is none, or `null`.
    ///
    /// # Errors
    /// Returns an error if the document is not JSON.
    pub fn find<'j>(&self, document: &'j [u8]) -> Result<Option<&'j RawValue>> {
        Ok(self.value(document)?.filter(|value| value.get() != "null"))
    }

    /// Returns the value at this position, which may be `null`.
    ///
    /// # Errors
    /// Returns an error if the document is not JSON.
    pub(super) fn value<'j>(&self, document: &'j [u8]) -> Result<Option<&'j RawValue>> {
        let document = document.strip_prefix(BOM).unwrap_or(document);
        let mut value: &RawValue = serde_json::from_slice(document).context("not JSON")?;
        for name in &self.0 {
            let is_inner = value.get().starts_with(['{', '[']);
            let member =
                if is_inner { MemberSeed(name).deserialize(&mut Deserializer::from_str(value.get()))? } else { None };
            let Some(member) = member else { return Ok(None) };
            value = member;
        }
        Ok(Some(value))
    }

    /// Returns the position of the object or list, and the name of the member in it; `None` for the whole document.
    pub(super) fn split_last(&self) -> Option<(Self, &str)> {
        let (name, outer) = self.0.split_last()?;
        Some((Self(outer.to_vec()), name))
    }

    /// Returns whether this is the position of the whole document.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the items at this position: the elements of a list, or one object.
    ///
    /// # Errors
    /// Returns an error if there is nothing, another kind of value, or too many items.
    pub fn items<'j>(&self, document: &'j [u8]) -> Result<Vec<&'j RawValue>> {
        let found = self.find(document)?;
        let found = found.with_context(|| format!("there are no items at `items`, {self}"))?;
        match found.get().as_bytes().first() {
            Some(b'[') => Ok(ElementList.deserialize(&mut Deserializer::from_str(found.get()))?),
            Some(b'{') => Ok(vec![found]),
            _ => bail!("the value at `items`, {self}, is neither a list nor an object"),
        }
    }
}

/// Deserializes only the member of this name, or the element at this index.
struct MemberSeed<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for MemberSeed<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MemberSeed<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(MemberName(name)) = members.next_key()? {
            match name == self.0.as_bytes() {
                true => found = Some(members.next_value()?),
                false => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let (index, mut found) = (self.0.parse::<usize>().ok(), None);
        let mut position = 0;
        while let Some(element) = elements.next_element()? {
            if Some(position) == index || self.0 == "-1" {
                found = Some(element);
            }
            position += 1;
        }
        Ok(found)
    }
}

/// The name of a member, which may have characters that were cut in half.
struct MemberName(Vec<u8>);

impl<'de> Deserialize<'de> for MemberName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(MemberNameVisitor)
    }
}

struct MemberNameVisitor;

impl Visitor<'_> for MemberNameVisitor {
    type Value = MemberName;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<MemberName, E> {
        Ok(MemberName(name.to_vec()))
    }
}

/// Deserializes a list of at most [`ITEMS_MAX`] elements.
struct ElementList;

impl<'de> DeserializeSeed<'de> for ElementList {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ElementList {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = elements.next_element()? {
            if items.len() == ITEMS_MAX {
                return Err(A::Error::custom(format!("more than {ITEMS_MAX} items; request fewer items a page")));
            }
            items.push(item);
        }
        Ok(items)
    }
}

impl FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let parsed = match text.strip_prefix('/') {
            Some(path) => Ok(path.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect()),
            None => in_brackets(text),
        };
        parsed.map(Self).map_err(|_: anyhow::Error| {
            format!("`{text}` is not a position in a document; write /data/works/edges or ['data']['works']['edges']")
        })
    }
}

fn in_brackets(mut text: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    while !text.is_empty() {
        let inner = text.strip_prefix('[').context("no bracket")?;
        let quote = inner.chars().next().filter(|char| matches!(char, '\'' | '"'));
        let (name, rest) = match quote {
            Some(quote) => inner[1..].split_once(&format!("{quote}]")).context("no end")?,
            None => inner.split_once(']').context("no end")?,
        };
        ensure!(quote.is_some() || name.parse::<usize>().is_ok(), "neither a name nor an index");
        names.push(name.to_owned());
        text = rest;
    }
    Ok(names)
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("the whole answer");
        }
        self.0.iter().try_for_each(|name| write!(formatter, "/{}", name.replace('~', "~0").replace('/', "~1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_text() {
        for (pointer, document, expected) in [
            ("/data/works/edges", r#"{"data":{"works":{"edges":[{"a": 1.50},2]}}}"#, Some(&["{\"a\": 1.50}", "2"][..])),
            ("['data'][\"works\"]['edges']", r#"{"data":{"works":{"edges":[]}}}"#, Some(&[])),
            ("['data'][1]", r#"{"data":[1,[12345678901234567890]]}"#, Some(&["12345678901234567890"])),
            ("/data/-1/sort", r#"{"data":[{"sort":[1]},{"sort":[2]}]}"#, Some(&["2"])),
            ("", r#"[{"a":1}]"#, Some(&["{\"a\":1}"])),
            ("/data", r#"{"data":{"a":1}}"#, Some(&["{\"a\":1}"])),
            ("/a~1b/m~0n", r#"{"a\/b":{"m~n":[3]}}"#, Some(&["3"])),
            ("/data/works/edges", r#"{"data":{"works":null}}"#, None),
            ("/data/works/edges", r#"{"data":null,"errors":[]}"#, None),
            ("/data", "\u{feff}{\"data\":[1]}", Some(&["1"])),
            ("/data", r#"{"data":[{"a":"\ud83d"}]}"#, Some(&[r#"{"a":"\ud83d"}"#])),
            ("/data", r#"{"\ud83d":0,"data":[1]}"#, Some(&["1"])),
            ("/data", r#"{"data":[1],"data":[2]}"#, Some(&["2"])),
            ("/data", r#"{"data":"text"}"#, None),
            ("/data/edges", "{\"data\":{\"edges\":[", None),
            ("/data", "<html>", None),
        ] {
            let found = pointer.parse::<Pointer>().unwrap().items(document.as_bytes());
            let found = found.ok().map(|items| items.into_iter().map(RawValue::get).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{pointer} of {document}");
        }
    }

    #[test]
    fn lists_are_limited() {
        let list = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(Pointer::default().items(list(ITEMS_MAX).as_bytes()).unwrap().len(), ITEMS_MAX);
        let error = Pointer::default().items(list(ITEMS_MAX + 1).as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("more than 10000 items"), "{error}");
    }

    #[test]
    fn invalid_pointers_are_refused() {
        for text in ["data.works", "['data'", "['data']x", "[data]", "[__import__('os')]"] {
            assert!(text.parse::<Pointer>().is_err(), "{text}");
        }
        assert_eq!("['data']['a/b']".parse::<Pointer>().unwrap().to_string(), "/data/a~1b");
    }
}
