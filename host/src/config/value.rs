//! Values of the configuration that are written as text: interpolated from the environment and from credentials, then
//! parsed.

use super::scalar::{Age, EventsPerInstance, MemoryMib, Mib, Name, Period, Share};
use crate::deliver::{DestinationType, Format, Ordering};
use crate::pull::{Condition, HostPattern, Pointer, PollMethod, TimeFormat};
use crate::release::options::Reload;
use crate::release::trust::SigningKey;
use crate::source::{OnUnmappable, SourceKind};
use hookmill_incident::Severity;
use hookmill_notify::Trigger;
use hookmill_signatures::OneOrMany;
use hookmill_store::Profile;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use std::cmp::Reverse;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

/// Shorter secrets are refused, because they can be guessed.
pub(super) const SECRET_BYTES_MIN: usize = 8;

/// The prefix of a reference to a credential, which is a file in the folder that `CREDENTIALS_DIRECTORY` names.
const CREDENTIAL: &str = "credential:";
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// A value that is written as text, interpolated from the environment and then parsed.
#[derive(Clone, Hash)]
pub(super) struct Interpolated<T>(pub T);

impl<'de, T: FromText> Deserialize<'de> for Interpolated<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor<T>(PhantomData<T>);

        impl<T: FromText> Visitor<'_> for ValueVisitor<T> {
            type Value = Interpolated<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a single value")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                read(text).map(Interpolated).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(ValueVisitor(PhantomData))
    }
}

/// A text or a list of texts, for keys whose type depends on other keys.
pub(super) struct InterpolatedTexts(pub OneOrMany);

impl<'de> Deserialize<'de> for InterpolatedTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;

        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = InterpolatedTexts;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a single value or a list of values")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                read(text).map(|text| InterpolatedTexts(OneOrMany::One(text))).map_err(E::custom)
            }

            fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(InterpolatedTexts(OneOrMany::One(flag.to_string())))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(InterpolatedTexts(OneOrMany::One(number.to_string())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(Interpolated(text)) = items.next_element()? {
                    texts.push(text);
                }
                Ok(InterpolatedTexts(OneOrMany::Many(texts)))
            }
        }
        deserializer.deserialize_any(TextsVisitor)
    }
}

/// Interpolates a text and parses the result.
pub(super) fn read<T: FromText>(text: &str) -> Result<T, String> {
    let value = interpolate(text, referent)?;
    // Errors show the text of the file, because a value of the environment may be a secret in the wrong place.
    T::from_text(&value).map_err(|error| if value.is_empty() { error } else { error.replace(&value, text) })
}

/// Returns the value that a reference stands for: of an environment variable, or of a credential.
fn referent(name: &str) -> Result<Option<String>, String> {
    match name.strip_prefix(CREDENTIAL) {
        Some(credential) => credential_in(std::env::var_os(CREDENTIALS_DIRECTORY).map(PathBuf::from), credential),
        None => Ok(std::env::var(name).ok()),
    }
}

/// Returns the content of a credential without the line end after it, or nothing if there is no such file.
fn credential_in(folder: Option<PathBuf>, name: &str) -> Result<Option<String>, String> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(format!("`{name}` is not a name of a credential; write ${{credential:NAME}}"));
    }
    let Some(folder) = folder else { return Ok(None) };
    match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read the credential `{name}`: {error}")),
    }
}

/// Returns the names of the environment variables and credentials to which a text refers.
pub(super) fn references(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split("${").collect();
    // `$${` is a literal `${`.
    let references = parts.windows(2).filter(|parts| !parts[0].ends_with('$'));
    let references = references.filter_map(|parts| Some(parts[1].split_once('}')?.0));
    references.map(|reference| reference.split_once(":-").map_or(reference, |(name, _)| name)).collect()
}

/// Replaces the values of all environment variables and credentials to which a file refers in a text by the references.
pub(super) fn without_environment(text: &str, file: &str) -> String {
    let names = references(file).into_iter();
    let mut values: Vec<(String, &str)> = names.filter_map(|name| Some((referent(name).ok()??, name))).collect();
    // A value may be a part of another one.
    values.sort_by_key(|(value, _)| Reverse(value.len()));
    values.iter().fold(text.to_owned(), |text, (value, name)| match value.trim() {
        "" => text,
        // Words such as `1` or `high` stand in texts that do not quote them.
        short if short.len() < SECRET_BYTES_MIN => text.replace(&format!("`{short}`"), &format!("`${{{name}}}`")),
        value => text.replace(value, &format!("${{{name}}}")),
    })
}

/// A type whose values are written as text.
pub(super) trait FromText: Sized {
    /// Parses a text. The error explains the mistake and lists the allowed values.
    fn from_text(text: &str) -> Result<Self, String>;
}

macro_rules! from_text {
    ($($value:ty $(: $allowed:literal)?),* $(,)?) => {$(
        impl FromText for $value {
            fn from_text(text: &str) -> Result<Self, String> {
                from_text!(@parse text $($allowed)?)
            }
        }
    )*};
    (@parse $text:ident) => { $text.parse() };
    (@parse $text:ident $allowed:literal) => {
        $text.parse().map_err(|_| format!("`{}` is not {}", $text, $allowed))
    };
}

from_text! {
    SocketAddr: "an address and port such as 127.0.0.1:8080",
    IpNet: "a network such as 10.20.0.0/16",
    NonZeroU32: "a whole number from 1 on",
    NonZeroUsize: "a whole number from 1 on",
    usize: "a whole number",
    u32: "a whole number",
    bool: "true or false",
    String: "text",
    PathBuf: "a path",
    Timestamp: "a time such as 2026-12-31T00:00:00Z",
    Severity,
    OnUnmappable,
    SourceKind,
    Pointer,
    Condition,
    HostPattern,
    PollMethod,
    TimeFormat,
    Profile,
    Reload,
    DestinationType,
    Format,
    Ordering,
    Trigger,
    Name,
    Mib,
    MemoryMib,
    EventsPerInstance,
    SigningKey,
    Period,
    Age,
    Share,
}

impl FromText for reqwest::Url {
    /// The error does not show the URL, which may hold a secret.
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("expected a URL such as https://soc.example/hook: {error}"))
    }
}

/// Replaces `${NAME}`, `${credential:NAME}` and, of both, `${NAME:-default}`; `$${` stands for a literal `${`.
fn interpolate(text: &str, referent: impl Fn(&str) -> Result<Option<String>, String>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find("${") {
        if let Some(escaped) = rest[..dollar].strip_suffix('$') {
            result.push_str(escaped);
            result.push_str("${");
            rest = &rest[dollar + 2..];
            continue;
        }
        result.push_str(&rest[..dollar]);
        let (reference, after) =
            rest[dollar + 2..].split_once('}').ok_or("`${` without `}`; write `$${` for a literal one")?;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let value = referent(name)?.filter(|value| default.is_none() || !value.is_empty());
        result.push_str(&value.or(default.map(str::to_owned)).ok_or_else(|| missing(name))?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn missing(name: &str) -> String {
    match name.strip_prefix(CREDENTIAL) {
        Some(credential) => format!(
            "there is no credential {credential}: ${CREDENTIALS_DIRECTORY} names no folder with such a file; add \
             `LoadCredential={credential}:PATH` to the unit of systemd, or write `${{{name}:-default}}`"
        ),
        None => format!("the environment variable {name} is not set; set it, or write `${{{name}:-default}}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::{credential_in, interpolate};

    #[test]
    fn the_environment_is_read_where_it_is_named() {
        let environment = |name: &str| match name {
            "SET" => Ok(Some("value".to_owned())),
            "EMPTY" => Ok(Some(String::new())),
            _ => Ok(None),
        };
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("a ${SET} b", Ok("a value b")),
            ("${SET}${SET}", Ok("valuevalue")),
            ("${UNSET:-default}", Ok("default")),
            ("${EMPTY:-default}", Ok("default")),
            ("${EMPTY}", Ok("")),
            ("$${SET} $5 $", Ok("${SET} $5 $")),
            ("${UNSET}", Err(())),
            ("${SET", Err(())),
        ] {
            let result = interpolate(text, environment).map_err(drop);
            assert_eq!(result.as_deref(), expected.as_deref().map_err(|()| &()), "{text}");
        }
    }

    #[test]
    fn credentials_are_files_of_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("edr"), "a secret \r\n").unwrap();
        let credential = |name| credential_in(Some(folder.path().to_owned()), name);
        assert_eq!(credential("edr").unwrap().as_deref(), Some("a secret "));
        assert_eq!((credential("other"), credential_in(None, "edr")), (Ok(None), Ok(None)));
        for name in ["", ".", "..", "../edr", "/etc/passwd"] {
            assert!(credential(name).unwrap_err().contains("not a name of a credential"), "{name}");
        }
    }
}
