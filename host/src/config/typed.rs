//! Keys whose value names a type with keys of its own: `auth` and `signature`.

use super::scalar::Period;
use super::value::{Interpolated, read};
use crate::deliver::Signature;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_connection::{Authentication, ClientKey, ClientProof, Login, LoginProof, OAuth2, header_name};
use hookmill_signatures::RequestSignature;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Keys whose value has named values of its own.
const MAPS: [&str; 2] = ["form", "json"];
/// Keys whose value is the path of a file.
const FILES: [&str; 2] = ["client_key", "client_certificate"];

/// `NAME` or `{ type: NAME, KEY: VALUE, … }`. Errors show the type and the names of keys, never a value.
#[derive(Hash)]
pub(super) struct TypedDeclaration {
    kind: String,
    keys: BTreeMap<String, String>,
    maps: BTreeMap<String, BTreeMap<String, String>>,
}

impl TypedDeclaration {
    /// Makes the paths of files absolute; relative paths start at `folder`.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        for (_, path) in self.keys.iter_mut().filter(|(key, _)| FILES.contains(&key.as_str())) {
            *path = folder.join(&*path).display().to_string();
        }
        self
    }

    /// Returns the paths of files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        FILES.iter().filter_map(|key| self.keys.get(*key)).map(String::as_str)
    }

    /// Reads `auth`.
    ///
    /// # Errors
    /// Returns an error if the type is unknown, a key is missing, unknown or wrong, or a file cannot be read.
    pub fn into_authentication(mut self) -> Result<Authentication> {
        let authentication = match self.kind.as_str() {
            "none" => Authentication::default(),
            "basic" => Authentication::basic(&self.required("username")?, &self.required("password")?)?,
            "bearer" => Authentication::bearer(&self.required("token")?)?,
            "header" => Authentication::header(&self.required("name")?, &self.required("value")?)?,
            "oauth2" => Authentication::oauth2(self.take_oauth2()?)?,
            "signature" => Authentication::signature(RequestSignature::declare(&mut self.keys)?)?,
            "login" => Authentication::login(self.take_login()?)?,
            kind => bail!(
                "unknown auth type `{kind}`; expected one of: none, basic, bearer, header, oauth2, login, signature"
            ),
        };
        self.refuse_unused()?;
        Ok(authentication)
    }

    fn take_oauth2(&mut self) -> Result<OAuth2> {
        let (grant, client_auth) = (self.keys.remove("grant"), self.keys.remove("client_auth"));
        let proof = match (self.keys.remove("client_secret"), self.keys.remove("client_key")) {
            (Some(_), Some(_)) => bail!("`client_secret` and `client_key` are both set; remove one of the two"),
            (None, None) => {
                bail!("type `oauth2` needs a `client_secret`, or the file of a private key in `client_key`")
            }
            (Some(secret), None) => {
                ensure!(!secret.is_empty(), "the `client_secret` is empty");
                ensure!(grant.is_none(), "`grant` needs a `client_key` instead of a `client_secret`");
                match client_auth.as_deref().unwrap_or("body") {
                    "body" => ClientProof::Body(secret),
                    "basic" => ClientProof::Basic(secret),
                    other => bail!("`client_auth` is `{other}`; expected body or basic"),
                }
            }
            (None, Some(path)) => {
                ensure!(client_auth.is_none(), "`client_auth` is for a `client_secret`; remove it");
                let (id, certificate) = (self.keys.remove("key_id"), self.keys.remove("client_certificate"));
                let certificate = certificate.as_deref().map(Path::new);
                let key = ClientKey::read(Path::new(&path), id.as_deref(), certificate).context("`client_key`")?;
                match grant.as_deref().unwrap_or("client_credentials") {
                    "client_credentials" => ClientProof::Assertion(key),
                    "jwt" => ClientProof::Grant(key, self.keys.remove("subject")),
                    other => bail!("`grant` is `{other}`; expected client_credentials or jwt"),
                }
            }
        };
        Ok(OAuth2 {
            token_url: self.required_url("token_url")?,
            client_id: self.required("client_id")?,
            proof,
            scope: self.keys.remove("scope"),
            audience: self.keys.remove("audience"),
        })
    }

    fn take_login(&mut self) -> Result<Login> {
        let (values, is_form) = match (self.maps.remove("json"), self.maps.remove("form")) {
            (Some(values), None) => (values, false),
            (None, Some(values)) => (values, true),
            _ => {
                bail!("type `login` needs either `json` or `form`, with the names and values that the server asks for")
            }
        };
        let proof = match (self.keys.remove("token"), self.keys.remove("cookie")) {
            (Some(pointer), None) => {
                ensure!(pointer.starts_with('/'), "`token` is not a position in the answer; write one such as /token");
                let header = self.keys.remove("header").unwrap_or_else(|| AUTHORIZATION.to_string());
                let header = header_name(&header, "header")?;
                let prefix = self.keys.remove("prefix");
                let default = if header == AUTHORIZATION { "Bearer " } else { "" };
                LoginProof::Token { pointer, header, prefix: prefix.unwrap_or_else(|| default.to_owned()) }
            }
            (None, Some(name)) => LoginProof::Cookie(name),
            _ => bail!("type `login` needs either `token`, such as /token, or `cookie`, the name of a cookie"),
        };
        let period = |text: String| text.parse::<Period>().map_err(|error| anyhow!("`expires_in`: {error}"));
        let expires_in = self.keys.remove("expires_in").map(period).transpose()?.map(Into::into);
        Ok(Login { url: self.required_url("url")?, values, is_form, proof, expires_in })
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

    fn required_url(&mut self, key: &str) -> Result<Url> {
        // The error does not show the URL, which may hold a secret.
        let parsed = self.required(key)?.parse();
        parsed.map_err(|error| anyhow!("`{key}` is not a URL such as https://login.example/token: {error}"))
    }

    fn refuse_unused(&self) -> Result<()> {
        match self.keys.keys().chain(self.maps.keys()).next() {
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
                Ok(TypedDeclaration {
                    kind: read(text).map_err(E::custom)?,
                    keys: BTreeMap::new(),
                    maps: BTreeMap::new(),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let (mut keys, mut maps) = (BTreeMap::new(), BTreeMap::new());
                while let Some(key) = members.next_key::<String>()? {
                    let is_new = if MAPS.contains(&key.as_str()) {
                        let values: BTreeMap<String, Interpolated<String>> = members.next_value()?;
                        let values = values.into_iter().map(|(name, value)| (name, value.0)).collect();
                        maps.insert(key.clone(), values).is_none()
                    } else {
                        let Interpolated(text) = members.next_value()?;
                        keys.insert(key.clone(), text).is_none()
                    };
                    if !is_new {
                        return Err(A::Error::custom(format!("`{key}` is set twice")));
                    }
                }
                let kind = keys.remove("type");
                let kind =
                    kind.ok_or_else(|| A::Error::custom("`type` is missing; set a type, such as { type: bearer, … }"))?;
                Ok(TypedDeclaration { kind, keys, maps })
            }
        }
        deserializer.deserialize_any(TypedVisitor)
    }
}
