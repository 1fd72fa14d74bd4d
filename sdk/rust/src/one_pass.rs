//! Payloads whose fields are checked and indexed in one pass. What is not read as [`Fields`](crate::Fields) is left to
//! `serde_json`, and so is a payload that cannot be read this way.

use crate::flat::{Cursor, Flat};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Error;
use std::cell::Cell;

/// The name of the newtype as which fields are asked for.
pub(crate) const FIELDS: &str = "hookmill_sdk::Fields";

thread_local! {
    /// The index of the fields that are read now.
    static INDEX: Cell<Option<Flat>> = const { Cell::new(None) };
}

/// Returns the index of the fields that are read now.
pub(crate) fn take_index() -> Option<Flat> {
    INDEX.take()
}

/// Reads a payload. Returns none if it is faulty, has another shape, or is not read as it is.
pub(crate) fn read<'de, T: Deserialize<'de>>(json: &'de str) -> Option<T> {
    let at = Cell::new(Cursor(json).space(0));
    let value = T::deserialize(Value { json, at: &at }).ok()?;
    (Cursor(json).space(at.get()) == json.len()).then_some(value)
}

/// The value at a position of a payload. Reading it moves the position behind it.
#[derive(Clone, Copy)]
struct Value<'r, 'de> {
    json: &'de str,
    at: &'r Cell<usize>,
}

impl<'de> Value<'_, 'de> {
    fn first(self) -> u8 {
        Cursor(self.json).byte(self.at.get())
    }

    /// Leaves the value to `serde_json`.
    fn parsed<T>(
        self,
        read: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'de>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let start = self.at.get();
        self.at.set(Cursor(self.json).value(start));
        let mut parser = serde_json::Deserializer::from_str(self.json.get(start..self.at.get()).unwrap_or_default());
        let value = read(&mut parser)?;
        parser.end().map(|()| value)
    }
}

macro_rules! forward {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.parsed(|parser| parser.$method(visitor))
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name != FIELDS {
            return self.parsed(|parser| parser.deserialize_newtype_struct(name, visitor));
        }
        let json = self.json.get(self.at.get()..).unwrap_or_default();
        let (flat, end) = Flat::checked(json).ok_or_else(other)?;
        INDEX.set(Some(flat));
        self.at.set(self.at.get() + end);
        visitor.visit_borrowed_str(&json[..end])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.first() {
            b'n' => self.parsed(|parser| parser.deserialize_option(visitor)),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.first() != b'{' {
            return self.parsed(|parser| parser.deserialize_map(visitor));
        }
        self.at.set(Cursor(self.json).space(self.at.get() + 1));
        visitor.visit_map(Members { value: self, is_first: true })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.parsed(|parser| parser.deserialize_struct(name, fields, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.parsed(|parser| parser.deserialize_enum(name, variants, visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.parsed(|parser| parser.deserialize_unit_struct(name, visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.parsed(|parser| parser.deserialize_tuple(len, visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.parsed(|parser| parser.deserialize_tuple_struct(name, len, visitor))
    }

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_unit deserialize_seq deserialize_identifier deserialize_ignored_any
    }
}

/// Returns the error that leaves the payload to `serde_json`, whose own error says more.
fn other() -> Error {
    Error::custom("not read in one pass")
}

/// The members of an object, of which the position is behind the bracket or a value.
struct Members<'r, 'de> {
    value: Value<'r, 'de>,
    is_first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Value { json, at } = self.value;
        let cursor = Cursor(json);
        let mut start = cursor.space(at.get());
        match cursor.byte(start) {
            b'}' => {
                at.set(start + 1);
                return Ok(None);
            }
            b',' if !self.is_first => start = cursor.space(start + 1),
            _ if self.is_first => {}
            _ => return Err(other()),
        }
        self.is_first = false;
        let (end, _) = cursor.quoted(start).filter(|(_, is_plain)| *is_plain).ok_or_else(other)?;
        let colon = cursor.space(end);
        if cursor.byte(colon) != b':' {
            return Err(other());
        }
        at.set(cursor.space(colon + 1));
        seed.deserialize(BorrowedStrDeserializer::new(&json[start + 1..end - 1])).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::object::ByName;
    use crate::{Fields, Part, Text};
    use serde::Deserialize;
    use serde_json::value::RawValue;

    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        id: Text<'a>,
        host: Part<Fields<'a>>,
    }

    const JSON: &str = "{ \"id\" : -7 , \"host\":{\"a\\n\": [1, {\"b\": 0}, -1.5e3,[]],\n\t\"c\": {}, \"d\": null, \"é\": true},\"x\":[{}] } ";

    #[test]
    fn a_payload_is_read_in_one_pass() {
        let ByName(payload) = read::<ByName<Payload>>(JSON).unwrap();
        let host = payload.host.get().unwrap();
        let fields: Vec<(&str, &str)> = host.iter().collect();
        assert_eq!(fields, [("a\n", "1"), ("a\n.b", "0"), ("a\n", "-1500"), ("é", "true")]);
        assert_eq!(payload.id.get(), Some("-7"));
        let whole: Fields = read(JSON).unwrap();
        assert_eq!(whole.first(&["host.é"]), Some("true"));
        assert!(read::<ByName<Payload>>("[]").is_none() && read::<Fields>("7").is_none());
    }

    #[test]
    fn faulty_json_is_not_read() {
        let signs = b" ,:{}[]\"\\0-1.eanu\x01\n\0";
        let changed = (0..JSON.len()).filter(|at| JSON.is_char_boundary(*at)).flat_map(|at| {
            let (before, rest) = JSON.split_at(at);
            let after = rest.char_indices().nth(1).map_or("", |(next, _)| &rest[next..]);
            let with = move |sign: char| [format!("{before}{sign}{rest}"), format!("{before}{sign}{after}")];
            let removed = [before.to_owned(), format!("{before}{after}"), rest.to_owned()];
            signs.iter().flat_map(move |sign| with(char::from(*sign))).chain(removed)
        });
        for json in changed {
            let is_json = serde_json::from_str::<&RawValue>(&json).is_ok();
            let is_read = read::<Fields>(&json).is_some() || read::<ByName<Payload>>(&json).is_some();
            assert!(is_json || !is_read, "{json:?}");
        }
    }
}
