//! An analyst's change of an incident.

use crate::{Severity, Status, Tlp};
use serde::Deserialize;

/// What an analyst changes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of the incident")]
pub struct Patch {
    #[serde(default, deserialize_with = "given")]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub description: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub severity: Option<Severity>,
    #[serde(default, deserialize_with = "given")]
    pub status: Option<Status>,
    #[serde(default, deserialize_with = "given")]
    pub assignee: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub category: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub tlp: Option<Option<Tlp>>,
    #[serde(default, deserialize_with = "given")]
    pub tags: Option<Vec<String>>,
    /// Text to add to the notes.
    #[serde(default, deserialize_with = "given")]
    pub note: Option<String>,
    /// The revision that the change was made on.
    #[serde(default, deserialize_with = "given")]
    pub revision: Option<u64>,
}

/// Tells `null`, which clears a field that can be empty and is refused for any other, from a field that is not there.
pub fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
