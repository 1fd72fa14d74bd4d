//! A list in any form that vendors use.

use crate::object::ByName;
use crate::present::present;
use crate::reading;
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{Deserialize, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;
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
        if !reading::is_lenient() {
            return deserializer.deserialize_option(ListVisitor(PhantomData)).map(Self);
        }
        let raw: Option<&'de RawValue> = Option::deserialize(deserializer)?;
        Ok(Self(raw.map(lenient).unwrap_or_default()))
    }
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
        Err(_) if serde_json::from_str(raw.get()).is_ok_and(|text: String| present(&text).is_none()) => Vec::new(),
        Err(_) => reading::part(raw).into_iter().collect(),
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an array or one of its elements")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element::<Option<ByName<T>>>()? {
            list.extend(element.map(|element| element.0));
        }
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        Ok(vec![T::deserialize(MapAccessDeserializer::new(entries))?])
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        match present(text) {
            Some(text) => Ok(vec![T::deserialize(BorrowedStrDeserializer::new(text))?]),
            None => Ok(Vec::new()),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match present(text) {
            Some(text) => Ok(vec![T::deserialize(text.into_deserializer())?]),
            None => Ok(Vec::new()),
        }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(vec![T::deserialize(value.into_deserializer())?])
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(vec![T::deserialize(value.into_deserializer())?])
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(vec![T::deserialize(value.into_deserializer())?])
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(vec![T::deserialize(value.into_deserializer())?])
    }
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
}
