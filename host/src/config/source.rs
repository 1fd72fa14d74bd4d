//! A source as declared: in the configuration file, or in the JSON of a client that registers a source.

use super::choice::{DeclaredPlugin, DeclaredScheme};
use super::connection::with_connection_keys;
use super::keys::{Key, check_keys};
use super::scalar::{Mib, Name, Period};
use super::typed::TypedDeclaration;
use super::value::Interpolated;
use crate::pull::{Condition, HostPattern, Pointer, PollMethod, TimeFormat};
use crate::source::{OnUnmappable, SourceKind};
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_incident::Severity;
use hookmill_signatures::{Declaration as SchemeDeclaration, OneOrMany, Secret};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

const DEFAULT_SCHEME: &str = "hookmill";
/// The scheme of sources that the host reads.
const NO_SCHEME: &str = "none";
/// Keys of a scheme that are the content of a file, or the path of one: how the content begins, and its format.
const SCHEME_FILES: [(&str, &str, &str); 2] = [("certificate", "-----BEGIN", "PEM"), ("jwks", "{", "JSON")];

with_connection_keys! {
    /// Every key of a source. The kind decides which keys may be set.
    #[derive(Default, Hash, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct SourceDeclaration {
        pub(super) kind: Option<Interpolated<SourceKind>>,
        pub(super) secret: Option<Interpolated<String>>,
        pub(super) secrets: Vec<SecretDeclaration>,
        pub(super) scheme: Option<DeclaredScheme>,
        pub(super) allow_ips: Vec<Interpolated<IpNet>>,
        pub(super) plugin: Option<DeclaredPlugin>,
        pub(super) auto_triage: Option<Interpolated<bool>>,
        pub(super) playbook: Option<Interpolated<Name>>,
        pub(super) severity_mapping: BTreeMap<String, Interpolated<Severity>>,
        pub(super) settings: BTreeMap<String, Interpolated<String>>,
        pub(super) payload_mib: Option<Interpolated<Mib>>,
        pub(super) requests_per_second: Option<Interpolated<NonZeroU32>>,
        pub(super) on_unmappable: Option<Interpolated<OnUnmappable>>,
        pub(super) silent_after: Option<Interpolated<Period>>,

        pub(super) url: Option<Interpolated<String>>,
        pub(super) token: Option<Interpolated<String>>,
        pub(super) auth: Option<TypedDeclaration>,
        pub(super) headers: BTreeMap<String, Interpolated<String>>,
        pub(super) start: Option<Interpolated<String>>,
        pub(super) interval: Option<Interpolated<Period>>,
        pub(super) overlap: Option<Interpolated<Period>>,
        pub(super) query: Option<Interpolated<String>>,
        pub(super) window: Option<Interpolated<Period>>,
        pub(super) history: Option<Interpolated<Period>>,
        pub(super) items: Option<Interpolated<Pointer>>,
        pub(super) items_optional: Option<Interpolated<bool>>,
        pub(super) next: Option<Interpolated<Pointer>>,
        pub(super) keep_next: Option<Interpolated<bool>>,
        pub(super) more: Option<Interpolated<Condition>>,
        pub(super) next_parameter: Option<Interpolated<String>>,
        pub(super) method: Option<Interpolated<PollMethod>>,
        pub(super) body: Option<Interpolated<String>>,
        pub(super) operations: Option<OperationsDeclaration>,
        pub(super) detail: Option<DetailDeclaration>,
        pub(super) details: Vec<DetailDeclaration>,
        pub(super) files: Option<FilesDeclaration>,
        pub(super) retries: Option<Interpolated<u32>>,
        pub(super) time_format: Option<Interpolated<TimeFormat>>,
        pub(super) ignore_duplicates: Option<Interpolated<bool>>,
        pub(super) stream: Option<Interpolated<String>>,
        pub(super) listen_delete: Option<Interpolated<bool>>,
        pub(super) no_dependencies: Option<Interpolated<bool>>,
        pub(super) with_inferences: Option<Interpolated<bool>>,
        pub(super) recover: Option<Interpolated<Timestamp>>,
        pub(super) consumer_count: Option<Interpolated<NonZeroUsize>>,
    }
}

/// `{ secret: X, not_after: 2026-12-31T00:00:00Z }`.
#[derive(Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretDeclaration {
    secret: Interpolated<String>,
    not_after: Option<Interpolated<Timestamp>>,
}

/// `detail`: a second request for each item of a list, or for several. An element of `details`: one whose answer is put
/// into the item.
#[derive(Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DetailDeclaration {
    pub url: Interpolated<String>,
    pub method: Option<Interpolated<PollMethod>>,
    pub body: Option<Interpolated<String>>,
    pub id: Option<Interpolated<Pointer>>,
    pub item: Option<Interpolated<Pointer>>,
    pub batch: Option<Interpolated<NonZeroUsize>>,
    pub next: Option<Interpolated<Pointer>>,
    pub next_parameter: Option<Interpolated<String>>,
    pub list: Option<Interpolated<Pointer>>,
    pub into: Option<Interpolated<Pointer>>,
}

/// `files`: the files that the items of a list name.
#[derive(Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilesDeclaration {
    pub url: Option<Interpolated<Pointer>>,
    #[serde(default)]
    pub hosts: Vec<Interpolated<HostPattern>>,
}

/// `operations`: the words that move a position which the server keeps.
#[derive(Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperationsDeclaration {
    pub first: Interpolated<String>,
    pub next: Interpolated<String>,
    pub again: Interpolated<String>,
}

/// Keys that only some kinds of sources have.
const KEYS: &[Key<SourceDeclaration, SourceKind>] = {
    use SourceKind::{GraphqlPoll, HttpPoll, OpenctiStream, Webhook};
    const ALL: &[SourceKind] = &[Webhook, OpenctiStream, GraphqlPoll, HttpPoll];
    const POSTED: &[SourceKind] = &[Webhook];
    const READ: &[SourceKind] = &[OpenctiStream, GraphqlPoll, HttpPoll];
    const POLLED: &[SourceKind] = &[GraphqlPoll, HttpPoll];
    const STREAMED: &[SourceKind] = &[OpenctiStream];
    &[
        ("secret", |declared| declared.secret.is_some(), POSTED),
        ("secrets", |declared| !declared.secrets.is_empty(), POSTED),
        ("scheme", |declared| declared.scheme.is_some(), POSTED),
        ("allow_ips", |declared| !declared.allow_ips.is_empty(), POSTED),
        ("requests_per_second", |declared| declared.requests_per_second.is_some(), POSTED),
        ("on_unmappable", |declared| declared.on_unmappable.is_some(), POSTED),
        ("url", |declared| declared.url.is_some(), READ),
        ("token", |declared| declared.token.is_some(), READ),
        ("auth", |declared| declared.auth.is_some(), READ),
        ("headers", |declared| !declared.headers.is_empty(), READ),
        ("start", |declared| declared.start.is_some(), READ),
        ("allow_networks", |declared| !declared.allow_networks.is_empty(), ALL),
        ("proxy", |declared| declared.proxy.is_some(), ALL),
        ("ca", |declared| declared.ca.is_some(), ALL),
        ("ca_password", |declared| declared.ca_password.is_some(), ALL),
        ("client_certificate", |declared| declared.client_certificate.is_some(), READ),
        ("client_key", |declared| declared.client_key.is_some(), READ),
        ("client_password", |declared| declared.client_password.is_some(), READ),
        ("connect_timeout", |declared| declared.connect_timeout.is_some(), READ),
        ("timeout", |declared| declared.timeout.is_some(), READ),
        ("interval", |declared| declared.interval.is_some(), POLLED),
        ("overlap", |declared| declared.overlap.is_some(), POLLED),
        ("window", |declared| declared.window.is_some(), POLLED),
        ("history", |declared| declared.history.is_some(), POLLED),
        ("items", |declared| declared.items.is_some(), POLLED),
        ("items_optional", |declared| declared.items_optional.is_some(), POLLED),
        ("keep_next", |declared| declared.keep_next.is_some(), POLLED),
        ("more", |declared| declared.more.is_some(), POLLED),
        ("next", |declared| declared.next.is_some(), POLLED),
        ("retries", |declared| declared.retries.is_some(), POLLED),
        ("time_format", |declared| declared.time_format.is_some(), POLLED),
        ("ignore_duplicates", |declared| declared.ignore_duplicates.is_some(), POLLED),
        ("query", |declared| declared.query.is_some(), &[GraphqlPoll]),
        ("next_parameter", |declared| declared.next_parameter.is_some(), &[HttpPoll]),
        ("method", |declared| declared.method.is_some(), &[HttpPoll]),
        ("body", |declared| declared.body.is_some(), &[HttpPoll]),
        ("operations", |declared| declared.operations.is_some(), &[HttpPoll]),
        ("files", |declared| declared.files.is_some(), &[HttpPoll]),
        ("detail", |declared| declared.detail.is_some(), &[HttpPoll]),
        ("details", |declared| !declared.details.is_empty(), &[HttpPoll]),
        ("stream", |declared| declared.stream.is_some(), STREAMED),
        ("listen_delete", |declared| declared.listen_delete.is_some(), STREAMED),
        ("no_dependencies", |declared| declared.no_dependencies.is_some(), STREAMED),
        ("with_inferences", |declared| declared.with_inferences.is_some(), STREAMED),
        ("recover", |declared| declared.recover.is_some(), STREAMED),
        ("consumer_count", |declared| declared.consumer_count.is_some(), STREAMED),
    ]
};

impl SourceDeclaration {
    /// Reads a declaration from JSON. Text is taken literally, because a client that may register sources may not read
    /// the environment. Secrets are not part of the declaration.
    ///
    /// # Errors
    /// Returns an error that explains the mistake and lists the allowed values. The error contains no secret.
    pub fn from_json(declaration: Value) -> Result<Self> {
        let is_posted = declaration["kind"].is_null() || declaration["kind"] == SourceKind::Webhook.as_str();
        ensure!(is_posted, "a source that the host reads can only be declared in the configuration file; put it there");
        for key in ["allow_networks", "proxy", "ca", "ca_password"] {
            ensure!(
                declaration[key].is_null(),
                "`{key}` can only be set in the configuration file, which decides what the host may reach; put the source \
                 there"
            );
        }
        for (key, start, format) in SCHEME_FILES {
            let text = declaration["scheme"][key].as_str().unwrap_or(start);
            ensure!(
                text.trim_start().starts_with(start),
                "`scheme.{key}` must be {format} text here, not the path of a file"
            );
        }
        let declared = serde_path_to_error::deserialize(as_text(declaration));
        let declared: Self = declared.map_err(|error| match error.path().iter().len() {
            0 => anyhow!("{}", error.inner()),
            _ => anyhow!("`{}`: {}", error.path(), error.inner()),
        })?;
        declared.check_keys()?;
        Ok(declared)
    }

    /// Returns a new random secret that fits the scheme, or `None` for a scheme without secrets.
    ///
    /// # Errors
    /// Returns an error if the scheme is unknown.
    pub fn new_secret(&self) -> Result<Option<String>> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        Ok(self.scheme().new_secret(&random)?)
    }

    /// Takes the secrets out of the declaration.
    ///
    /// # Errors
    /// Returns an error if both `secret` and `secrets` are set.
    pub fn take_secrets(&mut self) -> Result<Vec<Secret>> {
        let (one, several) = (self.secret.take(), std::mem::take(&mut self.secrets));
        if one.is_some() && !several.is_empty() {
            bail!("`secret` and `secrets` are both set; put all secrets into `secrets`");
        }
        let several = several.into_iter().map(|declared| {
            let secret = Secret::new(declared.secret.0);
            declared.not_after.map_or(secret.clone(), |end| secret.until(end.0.as_millisecond()))
        });
        Ok(one.map(|text| Secret::new(text.0)).into_iter().chain(several).collect())
    }

    /// Reads the files of the scheme, and makes the other paths absolute; relative paths start at `folder`.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or a key is set that the kind does not have.
    pub fn with_files(mut self, folder: &Path) -> Result<Self> {
        self.check_keys()?;
        for path in [&mut self.ca, &mut self.client_certificate, &mut self.client_key].into_iter().flatten() {
            path.0 = folder.join(&path.0);
        }
        self.auth = self.auth.map(|auth| auth.in_folder(folder));
        for (key, start, _) in SCHEME_FILES {
            let keys = self.scheme.as_mut().map(|declared| &mut declared.0.keys);
            if let Some(OneOrMany::One(text)) = keys.and_then(|keys| keys.get_mut(key))
                && !text.trim_start().starts_with(start)
            {
                let path = folder.join(&*text);
                *text = std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read the `{key}` {}", path.display()))?;
            }
        }
        Ok(self)
    }

    pub(super) fn scheme(&self) -> SchemeDeclaration {
        let default = if self.kind() == SourceKind::Webhook { DEFAULT_SCHEME } else { NO_SCHEME };
        self.scheme.as_ref().map_or_else(|| SchemeDeclaration::preset(default), |declared| declared.0.clone())
    }

    pub(super) fn kind(&self) -> SourceKind {
        self.kind.as_ref().map_or(SourceKind::Webhook, |kind| kind.0)
    }

    fn check_keys(&self) -> Result<()> {
        check_keys(self, KEYS, "kind", self.kind())
    }
}

impl fmt::Debug for SourceDeclaration {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("SourceDeclaration")
    }
}

/// Returns a declaration from JSON as it would stand in the configuration file.
pub fn declaration_as_text(declaration: &Map<String, Value>) -> Map<String, Value> {
    declaration.iter().map(|(name, value)| (name.clone(), as_text(value.clone()))).collect()
}

/// Turns every scalar into the text that the configuration file would have, with references to the environment escaped.
fn as_text(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Bool(flag) => Value::String(flag.to_string()),
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(items) => items.into_iter().map(as_text).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, as_text(value))).collect(),
        Value::Null => Value::Null,
    }
}
