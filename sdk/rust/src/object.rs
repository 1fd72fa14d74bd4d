//! Structs from JSON objects only. Derived code also reads them from arrays, by position, which would give a list of
//! other things for the fields of an object.

use serde::de::{Deserialize, Deserializer, Visitor};

/// A value that, if it is a struct, is read from an object.
pub(crate) struct ByName<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(Names(deserializer)).map(Self)
    }
}

struct Names<D>(D);

macro_rules! forward {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Names<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    /// Also raw values.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, visitor)
    }

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::ByName;
    use crate::{List, Part, Text};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Alert<'a> {
        #[serde(borrow)]
        id: Text<'a>,
        host: Part<Host<'a>>,
        files: List<Host<'a>>,
    }

    #[derive(Deserialize)]
    struct Host<'a> {
        #[serde(borrow)]
        name: Text<'a>,
    }

    #[test]
    fn an_array_is_no_struct() {
        let read = |json| serde_json::from_str::<ByName<Alert>>(json).map(|alert| alert.0);
        let alert = read(r#"{"id": 7, "host": {"name": "h"}, "files": [{"name": "f"}]}"#).unwrap();
        assert_eq!((alert.id.get(), alert.host.get().unwrap().name.get()), (Some("7"), Some("h")));
        assert_eq!(alert.files[0].name.get(), Some("f"));
        for json in [r#"["a", null, []]"#, r#"{"host": ["h"]}"#, r#"{"files": [["f"]]}"#] {
            assert!(read(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::from_str::<ByName<Vec<u64>>>("[1, 2]").unwrap().0, [1, 2]);
    }
}
