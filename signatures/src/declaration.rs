//! A scheme in the words of a configuration: its type and a few keys.

use crate::presets::{Family, PRESETS, Preset};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderName;
use std::collections::BTreeMap;

/// A scheme as a configuration writes it: `github`, or a type with keys that change or complete it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// A name of [`crate::names`].
    pub scheme: String,
    /// What differs from that.
    pub keys: BTreeMap<String, Words>,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// A single text.
    One(String),
    /// A list.
    Several(Vec<String>),
}

/// Why a declaration cannot work, and what is allowed there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(String);

impl Mistake {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Declaration {
    /// A scheme by its name alone.
    pub fn preset(name: &str) -> Self {
        Self { scheme: name.to_owned(), keys: BTreeMap::new() }
    }

    /// The same with one more key.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.keys.insert(key.to_owned(), Words::One(value.to_owned()));
        self
    }

    /// A secret made of these random bytes, in the form that the scheme's keys have; none for a scheme without one.
    ///
    /// # Errors
    /// As [`crate::Scheme::declare`].
    pub fn new_secret(&self, random: &[u8; 32]) -> Result<Option<String>, Mistake> {
        let (preset, keys) = self.resolve()?;
        let digits = hex::encode(random);
        Ok(match (preset.family, keys.text("key_encoding")?) {
            (Family::None | Family::Sns, _) => None,
            (Family::Hmac, Some("base64")) => {
                Some(format!("{}{}", keys.text("key_prefix")?.unwrap_or_default(), BASE64_STANDARD.encode(random)))
            }
            (Family::Basic, _) => Some(format!("hookmill:{digits}")),
            _ => Some(digits),
        })
    }

    /// The preset with what differs from it.
    pub(crate) fn resolve(&self) -> Result<(&'static Preset, Keys<'_>), Mistake> {
        let preset = PRESETS.iter().find(|preset| preset.name == self.scheme).ok_or_else(|| {
            let names: Vec<&str> = crate::names().collect();
            Mistake(format!("unknown scheme `{}`; known are {}", self.scheme, names.join(", ")))
        })?;
        let allowed = preset.family.keys();
        if let Some(key) = self.keys.keys().find(|key| !allowed.contains(&key.as_str())) {
            let allowed = if allowed.is_empty() { "no keys".to_owned() } else { allowed.join(", ") };
            return Err(Mistake(format!("scheme `{}` has no key `{key}`; it has {allowed}", preset.name)));
        }
        Ok((preset, Keys { preset, declared: &self.keys }))
    }
}

/// The keys of a declaration, those of its preset where it says nothing.
pub(crate) struct Keys<'d> {
    preset: &'static Preset,
    declared: &'d BTreeMap<String, Words>,
}

impl Keys<'_> {
    pub fn is_declared(&self, key: &str) -> bool {
        self.declared.contains_key(key)
    }

    /// Every text of a key; none when nobody set it.
    pub fn list(&self, key: &str) -> Vec<&str> {
        match self.declared.get(key) {
            Some(Words::One(text)) => vec![text],
            Some(Words::Several(texts)) => texts.iter().map(String::as_str).collect(),
            None => {
                let keys = self.preset.keys.iter().find(|(name, _)| *name == key);
                keys.map_or(Vec::new(), |(_, texts)| texts.to_vec())
            }
        }
    }

    /// The only text of a key.
    pub fn text(&self, key: &str) -> Result<Option<&str>, Mistake> {
        match self.list(key)[..] {
            [] => Ok(None),
            [text] => Ok(Some(text)),
            _ => Err(Mistake(format!("`{key}` is one text, not a list"))),
        }
    }

    /// A text that has to be one of a few words; the first when nobody set it.
    pub fn word<T: Copy>(&self, key: &str, allowed: &[(&str, T)]) -> Result<T, Mistake> {
        let text = self.text(key)?.unwrap_or(allowed[0].0);
        allowed.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = allowed.iter().map(|(word, _)| *word).collect();
            Mistake(format!("`{key}`: `{text}` is not one of: {}", words.join(", ")))
        })
    }

    /// A length of time in whole seconds.
    pub fn seconds(&self, key: &str, default: i64) -> Result<i64, Mistake> {
        const MAX: i64 = 24 * 60 * 60;
        let Some(text) = self.text(key)? else { return Ok(default) };
        let length = text.parse::<jiff::SignedDuration>().ok().map(|length| length.as_secs());
        length.filter(|seconds| (1..=MAX).contains(seconds)).ok_or_else(|| {
            Mistake(format!("`{key}`: `{text}` is not a length of time from 1s to 24h; write `30s`, `5m` or `2h`"))
        })
    }

    /// Names of headers.
    pub fn headers(&self, key: &str) -> Result<Vec<HeaderName>, Mistake> {
        let name = |text: &&str| {
            text.parse().map_err(|_| Mistake(format!("`{key}`: `{text}` is no name of a header such as X-Signature")))
        };
        self.list(key).iter().map(name).collect()
    }

    /// The name of one header.
    pub fn header(&self, key: &str) -> Result<Option<HeaderName>, Mistake> {
        self.text(key)?;
        Ok(self.headers(key)?.pop())
    }
}
