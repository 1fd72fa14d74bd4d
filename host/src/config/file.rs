//! The configuration file's own shape: every key, every leaf with its type.

use super::destination::Receiver;
use super::notification::Notification;
use super::source::Declaration;
use crate::deliver::{DestinationType, Format, Ordering};
use crate::pull::{Pointer, TimeFormat};
use crate::release::decision::Reload;
use crate::release::trust::SigningKey;
use crate::source::{OnUnmappable, PluginChoice, SourceKind};
use anyhow::{Result, anyhow};
use hookmill_incident::Severity;
use hookmill_listen::TlsFiles;
use hookmill_notify::Trigger;
use hookmill_sandbox::{MEMORY_BYTES_MAX, PluginLimits};
use hookmill_signatures::OneOrMany;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct File {
    pub listen: Option<Leaf<SocketAddr>>,
    pub admin_listen: Option<Leaf<SocketAddr>>,
    pub tls: Option<Tls>,
    pub admin_tls: Option<Tls>,
    pub data_dir: Option<Leaf<PathBuf>>,
    pub plugins_dir: Option<Leaf<PathBuf>>,
    pub plugins_lock: Option<Leaf<PathBuf>>,
    pub plugins_key: Option<Leaf<SigningKey>>,
    pub limits: Limits,
    pub plugins: BTreeMap<Name, Call>,
    pub dedup_retention: Option<Leaf<Period>>,
    pub dedup_window: Option<Leaf<Period>>,
    pub reload: Option<Leaf<Reload>>,
    pub reload_payloads: Option<Leaf<usize>>,
    pub reload_time: Option<Leaf<Period>>,
    pub reopen_within: Option<Leaf<Period>>,
    pub drain_timeout: Option<Leaf<Period>>,
    pub trusted_proxies: Vec<Leaf<IpNet>>,
    pub sources: BTreeMap<Name, Declaration>,
    pub webhooks: BTreeMap<Name, Receiver>,
    pub destinations: BTreeMap<Name, Receiver>,
    pub notifications: Vec<Notification>,
    pub public_url: Option<Leaf<reqwest::Url>>,
    pub delivered_retention: Option<Leaf<Period>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    certificate: Leaf<PathBuf>,
    key: Leaf<PathBuf>,
    client_ca: Option<Leaf<PathBuf>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub payload_mib: Option<Leaf<Mib>>,
    pub instances: Option<Leaf<NonZeroU32>>,
    pub store_queue: Option<Leaf<NonZeroUsize>>,
    pub connections: Option<Leaf<NonZeroU32>>,
    pub head_timeout: Option<Leaf<Period>>,
    pub body_timeout: Option<Leaf<Period>>,
    pub body_memory_mib: Option<Leaf<Mib>>,
    pub requests_per_second: Option<Leaf<NonZeroU32>>,
    deadline_ms: Option<Leaf<NonZeroU32>>,
    memory_mib: Option<Leaf<MemoryMib>>,
    output_mib: Option<Leaf<Mib>>,
    incidents: Option<Leaf<NonZeroUsize>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Call {
    deadline_ms: Option<Leaf<NonZeroU32>>,
    memory_mib: Option<Leaf<MemoryMib>>,
    output_mib: Option<Leaf<Mib>>,
    incidents: Option<Leaf<NonZeroUsize>>,
    instances: Option<Leaf<Instances>>,
}

/// `plugin: none`, `plugin: auto`, `plugin: NAME` or `plugin: [NAME, …]`.
pub(super) enum PluginWords {
    One(Name),
    Several(Vec<Name>),
}

impl<'de> Deserialize<'de> for PluginWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;

        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = PluginWords;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("`auto`, `none`, a plugin's name or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                read(text).map(PluginWords::One).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(Leaf(name)) = items.next_element()? {
                    names.push(name);
                }
                Ok(PluginWords::Several(names))
            }
        }
        deserializer.deserialize_any(WordsVisitor)
    }
}

impl File {
    pub fn parse(text: &str) -> Result<Self> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        // A snippet of the file could show a secret.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let key = error.location().and_then(|place| key_before(text, place.line(), place.column()));
            let key = key.map(|key| format!("`{key}`: ")).unwrap_or_default();
            let problem = error.to_string();
            anyhow!("{key}{}", problem.replace(", set DuplicateKeyPolicy in Options if acceptable", ""))
        })
    }
}

/// The key whose value begins at a place, which counts from 1.
fn key_before(text: &str, line: u64, column: u64) -> Option<&str> {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1).try_into().ok()?);
    let (start, column) = (lines.map(str::len).sum::<usize>(), column.saturating_sub(1).try_into().ok()?);
    if start == text.len() {
        return None;
    }
    let place = text[start..].char_indices().nth(column).map_or(text.len(), |(at, _)| start + at);
    let before = text[..place].trim_end_matches(|char: char| char.is_whitespace() || "[-\"'".contains(char));
    // The place of what is wrong with a key is that key itself, and the text says which.
    let in_list = || before.rsplit_once(": [").filter(|(_, items)| !items.contains(']')).map(|(key, _)| key);
    let key = before.strip_suffix(':').or_else(in_list)?;
    key.rsplit(|char: char| char.is_whitespace() || "{,\"'".contains(char)).next().filter(|key| !key.is_empty())
}

impl Tls {
    /// The files, of which relative ones are in `folder`.
    pub fn files(self, folder: &Path) -> TlsFiles {
        TlsFiles {
            certificate: folder.join(self.certificate.0),
            key: folder.join(self.key.0),
            client_ca: self.client_ca.map(|path| folder.join(path.0)),
        }
    }
}

impl Limits {
    pub fn call(&self) -> Call {
        Call {
            deadline_ms: self.deadline_ms.clone(),
            memory_mib: self.memory_mib.clone(),
            output_mib: self.output_mib.clone(),
            incidents: self.incidents.clone(),
            instances: None,
        }
    }
}

impl Call {
    /// What is set here, the rest as in `base`.
    pub fn over(&self, base: &PluginLimits) -> PluginLimits {
        PluginLimits {
            deadline: self.deadline_ms.as_ref().map_or(base.deadline, |ms| Duration::from_millis(ms.0.get().into())),
            memory_bytes: self.memory_mib.as_ref().map(|mib| mib.0.bytes()).or(base.memory_bytes),
            output_bytes: self.output_mib.as_ref().map_or(base.output_bytes, |mib| mib.0.bytes()),
            incidents: self.incidents.as_ref().map_or(base.incidents, |count| count.0.get()),
            events_per_instance: self.instances.as_ref().map_or(base.events_per_instance, |instances| instances.0.0),
        }
    }
}

impl From<PluginWords> for PluginChoice {
    fn from(words: PluginWords) -> Self {
        match words {
            PluginWords::One(name) if name.0 == "auto" => Self::Auto,
            PluginWords::One(name) if name.0 == "none" => Self::None,
            PluginWords::One(name) => Self::Named(vec![name.0]),
            PluginWords::Several(names) => Self::Named(names.into_iter().map(|name| name.0).collect()),
        }
    }
}

/// A value that is written as text, interpolated from the environment and then parsed.
#[derive(Clone)]
pub(super) struct Leaf<T>(pub T);

impl<'de, T: Word> Deserialize<'de> for Leaf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LeafVisitor<T>(PhantomData<T>);

        impl<T: Word> Visitor<'_> for LeafVisitor<T> {
            type Value = Leaf<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a single value")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                read(text).map(Leaf).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(LeafVisitor(PhantomData))
    }
}

/// A text or a list of texts, where whoever asks knows what they stand for.
pub(super) struct Scalar(pub OneOrMany);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a single value or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                read(text).map(|text| Scalar(OneOrMany::One(text))).map_err(E::custom)
            }

            fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Scalar(OneOrMany::One(flag.to_string())))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar(OneOrMany::One(number.to_string())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(Leaf(text)) = items.next_element()? {
                    texts.push(text);
                }
                Ok(Scalar(OneOrMany::Many(texts)))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

pub(super) fn read<T: Word>(text: &str) -> Result<T, String> {
    T::read(&interpolate(text, |name| std::env::var(name).ok())?)
}

/// What the text of a leaf can stand for.
pub(super) trait Word: Sized {
    /// Its value, or what is wrong with it and what is allowed.
    fn read(text: &str) -> Result<Self, String>;
}

macro_rules! words {
    ($($word:ty $(: $allowed:literal)?),* $(,)?) => {$(
        impl Word for $word {
            fn read(text: &str) -> Result<Self, String> {
                words!(@read text $($allowed)?)
            }
        }
    )*};
    (@read $text:ident) => { $text.parse() };
    (@read $text:ident $allowed:literal) => {
        $text.parse().map_err(|_| format!("`{}` is not {}", $text, $allowed))
    };
}

words! {
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
    TimeFormat,
    Reload,
    DestinationType,
    Format,
    Ordering,
    Trigger,
    Name,
    Mib,
    MemoryMib,
    Instances,
    SigningKey,
    Period,
}

impl Word for reqwest::Url {
    /// A URL may hold a secret and is not shown.
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("it is no URL such as https://soc.example/hook: {error}"))
    }
}

/// Replaces `${NAME}` and `${NAME:-default}`; `$${` stands for a literal `${`.
fn interpolate(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
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
        let value = variable(name).filter(|value| default.is_none() || !value.is_empty());
        result.push_str(&value.or(default.map(str::to_owned)).ok_or_else(|| {
            format!("the environment variable {name} is not set; set it, or write `${{{name}:-default}}`")
        })?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// The name of a source, plugin or destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        hookmill_incident::name::check_name(text).map(|()| Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// A number of MiB.
#[derive(Clone, Copy)]
pub(super) struct Mib(NonZeroU32);

impl Mib {
    pub fn bytes(self) -> usize {
        self.0.get() as usize * super::MIB
    }
}

/// A number of MiB that an instance's memory can have.
#[derive(Clone, Copy)]
pub(super) struct MemoryMib(Mib);

impl MemoryMib {
    pub fn bytes(self) -> usize {
        self.0.bytes()
    }
}

impl FromStr for MemoryMib {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Mib>() {
            Ok(mib) if mib.bytes() <= MEMORY_BYTES_MAX => Ok(Self(mib)),
            _ => Err(format!("`{text}` is not a whole number of MiB from 1 to {}", MEMORY_BYTES_MAX / super::MIB)),
        }
    }
}

/// `fresh`, or `reuse(N)`: how many events one instance may take.
#[derive(Clone, Copy)]
pub(super) struct Instances(NonZeroU32);

impl FromStr for Instances {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = match text {
            "fresh" => Some(NonZeroU32::MIN),
            text => text.strip_prefix("reuse(").and_then(|rest| rest.strip_suffix(')')?.trim().parse().ok()),
        };
        count.map(Self).ok_or_else(|| format!("`{text}` is not `fresh` or `reuse(N)`, such as reuse(1000)"))
    }
}

impl FromStr for Mib {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<NonZeroU32>() {
            Ok(mib) if mib.get() <= 4096 => Ok(Self(mib)),
            _ => Err(format!("`{text}` is not a whole number of MiB from 1 to 4096")),
        }
    }
}

/// A length of time: `30s`, `5m`, `2h`, `7d`.
#[derive(Clone, Copy)]
pub(super) struct Period(Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is not a length of time; write `30s`, `5m`, `2h` or `7d`");
        let span: jiff::Span = text.parse().map_err(|_| problem())?;
        let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| problem())?;
        Duration::try_from(length).map(Self).map_err(|_| problem())
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

#[cfg(test)]
mod tests {
    use super::{interpolate, key_before};

    #[test]
    fn the_key_of_a_place() {
        let text = "listen: x\nwebhooks:\n  soc: { url: \"u\", allow_networks: [a, b] }\n  two:\n    allow_networks:\n      - c\n";
        for (line, column, key) in [
            (1, 9, Some("listen")),
            (3, 15, Some("url")),
            (3, 37, Some("allow_networks")),
            (3, 40, Some("allow_networks")),
            (6, 9, Some("allow_networks")),
            (4, 3, None),
            (1, 1, None),
            (99, 99, None),
        ] {
            assert_eq!(key_before(text, line, column), key, "{line}:{column}");
        }
    }

    #[test]
    fn the_environment_is_read_where_it_is_named() {
        let environment = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
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
}
