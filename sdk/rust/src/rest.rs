//! The members of an object that a mapper's type does not declare.

use crate::key::Key;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// An object read as `T`, with the members that `T` does not declare. [`Incident::keep_rest`](crate::Incident::keep_rest)
/// adds these to the details of an incident. `T` must be a struct that derives `Deserialize`.
#[derive(Clone, Debug, Default)]
pub struct WithRest<'a, T> {
    value: T,
    rest: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a, T> WithRest<'a, T> {
    /// Returns the names and values of the members that `T` does not declare.
    pub fn rest(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.rest.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

impl<T> WithRest<'_, T> {
    /// Returns an object of the members that `T` does not declare and `more` of them, as JSON: the payload that a sender
    /// would have sent without an envelope around these values.
    pub fn rest_json(&self, more: &[(&str, &RawValue)]) -> String {
        let members = self.rest().chain(more.iter().copied());
        let members: Vec<String> = members.map(|(name, value)| format!("{}:{value}", Value::from(name))).collect();
        format!("{{{}}}", members.join(","))
    }
}

impl<T> Deref for WithRest<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for WithRest<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = Vec::new();
        let value = T::deserialize(Object { deserializer, rest: &mut rest })?;
        Ok(Self { value, rest })
    }
}

type Rest<'de> = Vec<(Cow<'de, str>, &'de RawValue)>;

struct Object<'r, 'de, D> {
    deserializer: D,
    rest: &'r mut Rest<'de>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<'_, 'de, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserializer.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserializer.deserialize_map(ObjectVisitor { visitor, rest: self.rest })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct ObjectVisitor<'r, 'de, V> {
    visitor: V,
    rest: &'r mut Rest<'de>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for ObjectVisitor<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Members { map, key: Cow::default(), rest: self.rest })
    }
}

/// The members of an object.
struct Members<'r, 'de, A> {
    map: A,
    /// The key of the member that is read next.
    key: Cow<'de, str>,
    rest: &'r mut Rest<'de>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Key(key)) = self.map.next_key()? else { return Ok(None) };
        self.key = key;
        seed.deserialize((*self.key).into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(Member { inner: seed, key: &mut self.key, rest: self.rest })
    }
}

/// A member: as a seed it reads the value, as a deserializer it puts an ignored value into `rest`. Derived code ignores
/// the members that are not declared.
struct Member<'m, 'de, T> {
    inner: T,
    key: &'m mut Cow<'de, str>,
    rest: &'m mut Rest<'de>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Member<'_, 'de, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Member { inner: deserializer, key: self.key, rest: self.rest })
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Member<'_, 'de, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(visitor)
    }

    /// Also raw values.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.rest.push((std::mem::take(self.key), <&RawValue>::deserialize(self.inner)?));
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier
    }
}

#[cfg(test)]
mod tests {
    use super::WithRest;
    use crate::{Part, Text};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Alert<'a> {
        #[serde(borrow)]
        id: Text<'a>,
    }

    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        alert: Part<WithRest<'a, Alert<'a>>>,
    }

    #[test]
    fn members_that_are_not_declared_are_the_rest() {
        let json = r#"{"alert": {"a\u0062": [1], "id": 7, "c": {"d": null}}}"#;
        let payload: Payload = serde_json::from_str(json).unwrap();
        let alert = payload.alert.get().unwrap();
        assert_eq!(alert.id.get(), Some("7"));
        let rest: Vec<_> = alert.rest().map(|(name, value)| (name, value.get())).collect();
        assert_eq!(rest, [("ab", "[1]"), ("c", r#"{"d": null}"#)]);
        assert_eq!(alert.rest_json(&[]), r#"{"ab":[1],"c":{"d": null}}"#);
        assert_eq!(alert.rest_json(&[("e", alert.rest[0].1)]), r#"{"ab":[1],"c":{"d": null},"e":[1]}"#);
        assert!(serde_json::from_str::<Payload>(r#"{"alert": [1]}"#).is_err());
    }
}
