//! Keys whose value names a type with keys of its own: `auth` and `signature`.

use super::value::{Interpolated, read};
use crate::deliver::Signature;
use anyhow::{Context, Result, bail, ensure};
use hookmill_connection::Authentication;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// `NAME` or `{ type: NAME, KEY: VALUE, … }`. Errors show the type and the names of keys, never a value.
#[derive(Hash)]
pub(super) struct TypedDeclaration {
    kind: String,
    keys: BTreeMap<String, String>,
}

impl TypedDeclaration {
    /// Reads `auth`.
    ///
    /// # Errors
    /// Returns an error if the type is unknown, or a key is missing, unknown or wrong.
    pub fn into_authentication(mut self) -> Result<Authentication> {
        let authentication = match self.kind.as_str() {
            "none" => Authentication::default(),
            "basic" => Authentication::basic(&self.required("username")?, &self.required("password")?)?,
            "bearer" => Authentication::bearer(&self.required("token")?)?,
            "header" => Authentication::header(&self.required("name")?, &self.required("value")?)?,
            kind => bail!("unknown auth type `{kind}`; expected one of: none, basic, bearer, header"),
        };
        self.refuse_unused()?;
        Ok(authentication)
    }

    /// Reads the `auth` of a mail server, which takes only a user name and a password.
    ///
    /// # Errors
    /// Returns an error if the type is unknown, or a key is missing or unknown.
    pub fn into_credentials(mut self) -> Result<Option<(String, String)>> {
        let credentials = match self.kind.as_str() {
            "none" => None,
            "basic" => Some((self.required("username")?, self.required("password")?)),
            kind => bail!("unknown auth type `{kind}`; expected one of: none, basic"),
        };
        self.refuse_unused()?;
        Ok(credentials)
    }

    /// Reads `signature`, with the secrets of the same declaration.
    ///
    /// # Errors
    /// Returns an error if there is no secret, the type is unknown, or a key is missing, unknown or wrong.
    pub fn into_signature(mut self, secrets: &[String]) -> Result<Signature> {
        ensure!(!secrets.is_empty(), "`secret` is missing; set a secret, or remove `signature`");
        let signature = match self.kind.as_str() {
            "standard-webhooks" => Signature::standard_webhooks(secrets)?,
            "github" => Signature::github(secrets)?,
            "hmac" => {
                let header = self.required("header")?;
                let mut optional = |key: &str, default: &str| self.keys.remove(key).unwrap_or(default.into());
                let (algorithm, encoding) = (optional("algorithm", "sha256"), optional("encoding", "hex"));
                let prefix = optional("prefix", "");
                Signature::hash(&header, &algorithm, &encoding, &prefix, secrets)?
            }
            kind => bail!(
                "unknown signature type `{kind}`; expected standard-webhooks, github or {{ type: hmac, header: NAME, … }}; a \
                 header that holds the secret itself belongs to `auth`"
            ),
        };
        self.refuse_unused()?;
        Ok(signature)
    }

    fn required(&mut self, key: &str) -> Result<String> {
        self.keys.remove(key).with_context(|| format!("type `{}` needs a `{key}`", self.kind))
    }

    fn refuse_unused(&self) -> Result<()> {
        match self.keys.keys().next() {
            Some(key) => bail!("type `{}` has no key `{key}`", self.kind),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for TypedDeclaration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TypedVisitor;

        impl<'de> Visitor<'de> for TypedVisitor {
            type Value = TypedDeclaration;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a type's name, or `{ type: NAME, … }`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TypedDeclaration { kind: read(text).map_err(E::custom)?, keys: BTreeMap::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some((key, Interpolated(text))) = members.next_entry::<String, Interpolated<String>>()? {
                    if keys.insert(key.clone(), text).is_some() {
                        return Err(A::Error::custom(format!("`{key}` is set twice")));
                    }
                }
                let kind = keys.remove("type");
                let kind =
                    kind.ok_or_else(|| A::Error::custom("`type` is missing; set a type, such as { type: bearer, … }"))?;
                Ok(TypedDeclaration { kind, keys })
            }
        }
        deserializer.deserialize_any(TypedVisitor)
    }
}
