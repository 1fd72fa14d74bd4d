//! A part of a payload that may have another shape.

use crate::object::ByName;
use crate::reading;
use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A member of a payload that may be absent. A member of another type than `T` is left out and reported as a problem.
///
/// Use it in place of `Option` for nested objects: with `Option`, a member of another type makes the whole payload
/// unsupported. [`Text`](crate::Text) and [`List`](crate::List) behave like this already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<T>(Option<T>);

impl<T> Part<T> {
    /// Returns the value, if it is present and of type `T`.
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Returns the owned value, if it is present and of type `T`.
    pub fn into_option(self) -> Option<T> {
        self.0
    }
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !reading::is_lenient() {
            let value: Option<ByName<T>> = Option::deserialize(deserializer)?;
            return Ok(Self(value.map(|value| value.0)));
        }
        let raw: Option<&'de RawValue> = Option::deserialize(deserializer)?;
        Ok(Self(raw.and_then(reading::part)))
    }
}
