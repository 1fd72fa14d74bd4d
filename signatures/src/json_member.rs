//! A member of a JSON body at its position, so that the member can be cut out and all other bytes stay as they are.

use crate::byte_order_mark::without_byte_order_mark;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A member of an object, as it stands in the body.
#[derive(Clone, Copy)]
pub(crate) struct JsonMember<'b> {
    name: &'b RawValue,
    value: &'b RawValue,
}

impl<'b> JsonMember<'b> {
    /// Finds the member at a path of names and indexes. A name that occurs twice on the way is refused: parsers disagree
    /// which one counts.
    pub fn find(body: &'b [u8], path: &[String]) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_slice(without_byte_order_mark(body));
        let found = Step { path }.deserialize(&mut json).ok()?;
        json.end().ok()?;
        found
    }

    /// Returns the value if it is a text.
    pub fn text(&self) -> Option<Cow<'b, str>> {
        serde_json::from_str::<Text>(self.value.get()).ok().map(|text| text.0)
    }

    /// Returns the bytes to remove, so that the body stays valid JSON without the member.
    pub fn position(&self, body: &[u8]) -> Range<usize> {
        with_separator(body, position(body, self.name).start..position(body, self.value).end)
    }
}

/// Returns the position of a part of a body.
pub(crate) fn position(body: &[u8], part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr() as usize - body.as_ptr() as usize;
    start..start + part.get().len()
}

/// Returns the position of an object's member with the comma that separates the member from the next one or, if the
/// member is the last one, from the one before.
pub(crate) fn with_separator(body: &[u8], member: Range<usize>) -> Range<usize> {
    let after = body[member.end..].trim_ascii_start();
    match (after.strip_prefix(b","), body[..member.start].trim_ascii_end().strip_suffix(b",")) {
        (Some(after), _) => member.start..body.len() - after.trim_ascii_start().len(),
        (None, Some(before)) => before.len()..member.end,
        (None, None) => member,
    }
}

#[derive(serde::Deserialize)]
struct Text<'b>(#[serde(borrow)] Cow<'b, str>);

/// The search in one value: the first part of the path is a member of the value, or an element.
struct Step<'p> {
    path: &'p [String],
}

impl Step<'_> {
    /// Continues in the value of a part of the path.
    fn below<'de, E: Error>(&self, value: &'de RawValue) -> Result<Option<JsonMember<'de>>, E> {
        let mut json = serde_json::Deserializer::from_str(value.get());
        Step { path: &self.path[1..] }.deserialize(&mut json).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<JsonMember<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<JsonMember<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found: Option<JsonMember<'de>> = None;
        while let Some(name) = members.next_key::<&'de RawValue>()? {
            let text: Text = serde_json::from_str(name.get()).map_err(A::Error::custom)?;
            if self.path.first().is_none_or(|part| *part != text.0) {
                members.next_value::<IgnoredAny>()?;
            } else if found.replace(JsonMember { name, value: members.next_value()? }).is_some() {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        match found {
            Some(member) if self.path.len() > 1 => self.below(member.value),
            found => Ok(found),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let index = self.path.first().and_then(|part| part.parse::<usize>().ok()).filter(|_| self.path.len() > 1);
        let (mut at, mut found) = (0, None);
        while let Some(element) = elements.next_element::<&'de RawValue>()? {
            if Some(at) == index {
                found = Some(element);
            }
            at += 1;
        }
        found.map_or(Ok(None), |element| self.below(element))
    }
}
