//! The values by which incidents are found: tags, observables, techniques and assignees.

use crate::search_words::Texts;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The bytes of a value that the table has as they are, which is also the longest prefix that can be searched for.
pub(crate) const VALUE_BYTES: usize = 128;

/// The kind of a value, as the table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Tag = 0,
    Observable = 1,
    Technique = 2,
    Assignee = 3,
}

/// The values of an incident, sorted as they are in the table.
pub(crate) type Values<'a> = BTreeSet<(Kind, Cow<'a, str>)>;

/// Returns a value as the table has it: a long one is its beginning and a digest of the whole.
pub(crate) fn stored(value: &str) -> Cow<'_, str> {
    if value.len() <= VALUE_BYTES {
        return value.into();
    }
    let end = value.floor_char_boundary(VALUE_BYTES);
    format!("{}{}", &value[..end], hex::encode(Sha256::digest(value))).into()
}

/// Returns the id of a technique as the table has it.
pub(crate) fn stored_technique(id: &str) -> String {
    stored(&id.to_ascii_uppercase()).into_owned()
}

/// Returns the values of an incident.
pub(crate) fn values<'a>(texts: &'a Texts) -> Values<'a> {
    let tags = texts.tags.iter().map(|tag| (Kind::Tag, stored(&tag.0)));
    let observables = texts.values().map(|value| (Kind::Observable, stored(value)));
    let techniques = texts.techniques.iter().map(|technique| (Kind::Technique, stored_technique(&technique.id).into()));
    let assignee = texts.assignee.iter().map(|assignee| (Kind::Assignee, stored(assignee)));
    tags.chain(observables).chain(techniques).chain(assignee).collect()
}
