//! The types of the fields of a message, and the search for a field or a value by its path.
//!
//! Filters and templates are checked against these types when they are loaded, so that a misspelt field is an error at
//! load time instead of a filter that never matches.

use crate::vocabulary::{Vocabulary, nearest};
use anyhow::{Result, bail, ensure};
use serde_json::Value;

/// The greatest number of names in a path.
const SEGMENTS_MAX: usize = 32;

/// The names and types of an object's members.
pub(crate) type MemberTypes = &'static [(&'static str, FieldType)];

/// The type of a field, which decides how its value is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldType {
    /// Text of any kind.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// RFC 3339, or a count since the Unix epoch.
    Time,
    /// A word of a vocabulary without an order.
    Word(Vocabulary),
    /// A word of an ordered vocabulary, lowest word first.
    Rank(Vocabulary),
    /// A value that the vendor defines.
    Any,
    /// An object of texts with any names, such as headers.
    TextMap,
    /// A list of values of one type.
    List(&'static FieldType),
    /// An object with exactly these members.
    Object(MemberTypes),
}

/// A field that exists in a message.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The names of the path; a number can also be an index into a list.
    pub segments: Vec<String>,
    /// The type of the value.
    pub field_type: FieldType,
}

impl Field {
    /// Returns the dotted path.
    pub fn path(&self) -> String {
        self.segments.join(".")
    }
}

impl FieldType {
    /// Returns the field at a dotted path that begins here. A list stands for each of its elements.
    ///
    /// # Errors
    /// Returns an error that names the nearest existing field if the field does not exist.
    pub fn field(self, path: &str) -> Result<Field> {
        let names: Vec<&str> = path.split('.').collect();
        ensure!(names.len() <= SEGMENTS_MAX, "a path has at most {SEGMENTS_MAX} names; this one has {}", names.len());
        let mut field = Field { segments: Vec::with_capacity(names.len()), field_type: self };
        for (index, name) in names.iter().copied().enumerate() {
            ensure!(!name.is_empty(), "`{path}` has an empty name; write a path such as `object.title`");
            if let Self::TextMap = field.field_type {
                // The rest is one name: names of headers can contain dots.
                field.segments.push(names[index..].join("."));
                field.field_type = Self::Text;
                break;
            }
            while let (Self::List(element), false) = (field.field_type, is_index(name)) {
                field.field_type = *element;
            }
            field.field_type = field.field_type.member(name, &names[..index].join("."))?;
            field.segments.push(name.to_owned());
        }
        Ok(field)
    }

    /// Returns the type of the member `name`. `parent` is the path of this value, for error messages.
    ///
    /// # Errors
    /// Returns an error that names the nearest existing member if there is no such member.
    pub fn member(self, name: &str, parent: &str) -> Result<Self> {
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        match self {
            Self::Any => Ok(Self::Any),
            Self::TextMap => Ok(Self::Text),
            Self::List(element) if is_index(name) => Ok(*element),
            Self::List(_) => bail!(
                "unknown field `{path}`: `{parent}` is a list; use one element by its index, `{parent}.0`, or all \
                 elements with `{{{{#each {parent}}}}}`"
            ),
            Self::Object(members) => match members.iter().find(|(known, _)| *known == name) {
                Some((_, member)) => Ok(*member),
                None => bail!(unknown_member(members, name, &path, parent)),
            },
            Self::Text | Self::Number | Self::Boolean | Self::Time | Self::Word(_) | Self::Rank(_) => {
                bail!("unknown field `{path}`: `{parent}` is a plain value")
            }
        }
    }

    /// Returns the type of a list's elements, also in lists of lists; the type itself if it is not a list.
    pub fn element(self) -> Self {
        match self {
            Self::List(inner) => inner.element(),
            plain => plain,
        }
    }
}

fn unknown_member(members: MemberTypes, name: &str, path: &str, parent: &str) -> String {
    let names = members.iter().map(|(known, _)| *known);
    let listed = || members.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    match nearest(name, names) {
        Some(near) if parent.is_empty() => format!("unknown field `{path}`; did you mean `{near}`?"),
        Some(near) => format!("unknown field `{path}`; did you mean `{parent}.{near}`?"),
        None if members.is_empty() => format!("unknown field `{path}`: `{parent}` is always empty here"),
        None if parent.is_empty() => format!("unknown field `{path}`; expected one of: {}", listed()),
        None => format!("unknown field `{path}`; `{parent}` has: {}", listed()),
    }
}

/// Returns whether a name can be an index into a list.
pub(crate) fn is_index(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether one of the values at a path passes. Lists on the way stand for their elements; with `elements`, so
/// does a list at the end.
pub(crate) fn any_at<'v>(
    value: &'v Value,
    path: &[String],
    elements: bool,
    passes: &mut dyn FnMut(&'v Value) -> bool,
) -> bool {
    let Some((name, rest)) = path.split_first() else {
        return match value {
            Value::Array(items) if elements => items.iter().any(|item| any_at(item, path, elements, passes)),
            _ => passes(value),
        };
    };
    match value {
        Value::Object(members) => {
            if let Some(member) = members.get(name)
                && any_at(member, rest, elements, passes)
            {
                return true;
            }
            // Vendors also write several names of a path as one: `process.name`.
            (2..=path.len()).any(|count| {
                let member = members.get(&path[..count].join("."));
                member.is_some_and(|member| any_at(member, &path[count..], elements, passes))
            })
        }
        Value::Array(items) => {
            let indexed = is_index(name).then(|| name.parse().ok()).flatten().and_then(|index: usize| items.get(index));
            indexed.is_some_and(|item| any_at(item, rest, elements, passes))
                || items.iter().any(|item| any_at(item, path, elements, passes))
        }
        _ => false,
    }
}
