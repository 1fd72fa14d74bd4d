//! An analyst's change of an incident, as JSON.

use crate::{Severity, Status, Tlp};
use serde::{Deserialize, Serialize};

/// The fields of an incident that an analyst sets. An absent field is not changed; `null` clears a field that can be
/// empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are those of the incident")]
pub struct Patch {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub description: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub assignee: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub category: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub tlp: Option<Option<Tlp>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub hold: Option<bool>,
    /// The text of a new note.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub note: Option<String>,
    /// The revision that the change is based on; a stale one is refused.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub revision: Option<u64>,
}

/// Deserializes a field that is present, for `#[serde(default, deserialize_with = "given")]`.
///
/// Without this, serde reads `null` like an absent field. With this, `null` is `Some(None)` in a field of type
/// `Option<Option<T>>` and an error in a field of type `Option<T>`.
pub fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
