//! Declarations: a scheme as a configuration writes it, by its type and a few keys.

use crate::presets::{Family, PRESETS, Preset};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderName;
use std::collections::BTreeMap;

/// A scheme as a configuration writes it: a name such as `github`, or a type with keys that change or complete it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Declaration {
    /// One of [`crate::scheme_names`].
    pub scheme: String,
    /// The keys that differ from the preset of that name.
    pub keys: BTreeMap<String, OneOrMany>,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OneOrMany {
    /// A single text.
    One(String),
    /// A list of texts.
    Many(Vec<String>),
}

/// The reason why a declaration cannot work, with the values that are allowed. The text never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeclarationError(String);

impl DeclarationError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Declaration {
    /// Declares a scheme by its name alone.
    pub fn preset(name: &str) -> Self {
        Self { scheme: name.to_owned(), keys: BTreeMap::new() }
    }

    /// Adds a key, or replaces its value.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.keys.insert(key.to_owned(), OneOrMany::One(value.to_owned()));
        self
    }

    /// Generates a secret from random bytes, in the form that the scheme requires. Returns `None` for a scheme without
    /// a secret.
    ///
    /// # Errors
    /// Returns an error if the scheme or one of the keys is unknown, or a key that the secret depends on is a list.
    pub fn new_secret(&self, random: &[u8; 32]) -> Result<Option<String>, DeclarationError> {
        let (preset, keys) = self.resolve()?;
        let digits = hex::encode(random);
        Ok(match (preset.family, keys.text("key_encoding")?) {
            (family, _) if family.is_keyless() => None,
            (Family::Hmac, Some("base64")) => {
                Some(format!("{}{}", keys.text("key_prefix")?.unwrap_or_default(), BASE64_STANDARD.encode(random)))
            }
            (Family::Basic, _) => Some(format!("hookmill:{digits}")),
            _ => Some(digits),
        })
    }

    /// Finds the preset and checks that the scheme knows every declared key.
    pub(crate) fn resolve(&self) -> Result<(&'static Preset, Keys<'_>), DeclarationError> {
        let preset = PRESETS.iter().find(|preset| preset.name == self.scheme).ok_or_else(|| {
            let names: Vec<&str> = crate::scheme_names().collect();
            DeclarationError(format!("unknown scheme `{}`; expected one of {}", self.scheme, names.join(", ")))
        })?;
        let allowed = preset.family.keys();
        if let Some(key) = self.keys.keys().find(|key| !allowed.contains(&key.as_str())) {
            let expected = if allowed.is_empty() {
                "the scheme takes no keys".to_owned()
            } else {
                format!("expected one of {}", allowed.join(", "))
            };
            return Err(DeclarationError(format!("scheme `{}` has no key `{key}`; {expected}", preset.name)));
        }
        Ok((preset, Keys { preset, declared: &self.keys }))
    }
}

/// The keys of a declaration. A key that is not declared has the value of the preset.
pub(crate) struct Keys<'d> {
    preset: &'static Preset,
    declared: &'d BTreeMap<String, OneOrMany>,
}

impl Keys<'_> {
    pub fn is_declared(&self, key: &str) -> bool {
        self.declared.contains_key(key)
    }

    /// Returns all texts of a key; an empty list if neither the declaration nor the preset has the key.
    pub fn list(&self, key: &str) -> Vec<&str> {
        match self.declared.get(key) {
            Some(OneOrMany::One(text)) => vec![text],
            Some(OneOrMany::Many(texts)) => texts.iter().map(String::as_str).collect(),
            None => {
                let keys = self.preset.keys.iter().find(|(name, _)| *name == key);
                keys.map_or(Vec::new(), |(_, texts)| texts.to_vec())
            }
        }
    }

    /// Returns the single text of a key.
    pub fn text(&self, key: &str) -> Result<Option<&str>, DeclarationError> {
        match self.list(key)[..] {
            [] => Ok(None),
            [text] => Ok(Some(text)),
            _ => Err(DeclarationError(format!("`{key}` must be one text, not a list"))),
        }
    }

    /// Returns the value that stands for the text of a key. The first choice is the default.
    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, DeclarationError> {
        let text = self.text(key)?.unwrap_or(choices[0].0);
        choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            DeclarationError(format!("`{key}`: `{text}` is not one of: {}", names.join(", ")))
        })
    }

    /// Returns a duration in whole seconds.
    pub fn seconds(&self, key: &str, default: i64) -> Result<i64, DeclarationError> {
        const MAX: i64 = 24 * 60 * 60;
        let Some(text) = self.text(key)? else { return Ok(default) };
        let duration = text.parse::<jiff::SignedDuration>().ok().map(|duration| duration.as_secs());
        duration.filter(|seconds| (1..=MAX).contains(seconds)).ok_or_else(|| {
            DeclarationError(format!(
                "`{key}`: `{text}` is not a duration from 1s to 24h; write it like `30s`, `5m` or `2h`"
            ))
        })
    }

    /// Returns the header names of a key.
    pub fn headers(&self, key: &str) -> Result<Vec<HeaderName>, DeclarationError> {
        let name = |text: &&str| {
            text.parse().map_err(|_| {
                DeclarationError(format!("`{key}`: `{text}` is not a header name; expected one such as X-Signature"))
            })
        };
        self.list(key).iter().map(name).collect()
    }

    /// Returns the single header name of a key.
    pub fn header(&self, key: &str) -> Result<Option<HeaderName>, DeclarationError> {
        self.text(key)?;
        Ok(self.headers(key)?.pop())
    }
}
