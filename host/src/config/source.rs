//! A source as it is declared: in the configuration file, or in JSON by whoever registers one while the host runs.

use super::destination::TypedWords;
use super::file::{Leaf, Mib, Name, Period, PluginWords, Scalar};
use super::{Limits, SECRET_BYTES_GOOD, SECRET_BYTES_MIN};
use crate::pull::{Pointer, TimeFormat};
use crate::rate_limit::RateLimit;
use crate::source::{OnUnmappable, PluginChoice, SourceKind, SourceSettings};
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_incident::Severity;
use hookmill_incident::timestamp::unix_ms;
use hookmill_signatures::{Declaration as SchemeDeclaration, OneOrMany, Scheme, Secret};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

const DEFAULT_SCHEME: &str = "hookmill";
/// Of sources that do not post.
const NO_SCHEME: &str = "none";
const PEM: &str = "-----BEGIN";

/// Everything that can be said of a source besides its name.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Declaration {
    pub(super) kind: Option<Leaf<SourceKind>>,
    pub(super) secret: Option<Leaf<String>>,
    pub(super) secrets: Vec<SecretWords>,
    pub(super) scheme: Option<SchemeWords>,
    pub(super) allow_ips: Vec<Leaf<IpNet>>,
    plugin: Option<PluginWords>,
    auto_triage: Option<Leaf<bool>>,
    playbook: Option<Leaf<Name>>,
    severity_mapping: BTreeMap<String, Leaf<Severity>>,
    settings: BTreeMap<String, Leaf<String>>,
    payload_mib: Option<Leaf<Mib>>,
    pub(super) requests_per_second: Option<Leaf<NonZeroU32>>,
    pub(super) on_unmappable: Option<Leaf<OnUnmappable>>,
    silent_after: Option<Leaf<Period>>,

    pub(super) url: Option<Leaf<String>>,
    pub(super) token: Option<Leaf<String>>,
    pub(super) auth: Option<TypedWords>,
    pub(super) headers: BTreeMap<String, Leaf<String>>,
    pub(super) start: Option<Leaf<String>>,
    pub(super) interval: Option<Leaf<Period>>,
    pub(super) overlap: Option<Leaf<Period>>,
    pub(super) query: Option<Leaf<String>>,
    pub(super) items: Option<Leaf<Pointer>>,
    pub(super) next: Option<Leaf<Pointer>>,
    pub(super) next_parameter: Option<Leaf<String>>,
    pub(super) retries: Option<Leaf<u32>>,
    pub(super) time_format: Option<Leaf<TimeFormat>>,
    pub(super) ignore_duplicates: Option<Leaf<bool>>,
    pub(super) stream: Option<Leaf<String>>,
    pub(super) listen_delete: Option<Leaf<bool>>,
    pub(super) no_dependencies: Option<Leaf<bool>>,
    pub(super) with_inferences: Option<Leaf<bool>>,
    pub(super) recover: Option<Leaf<Timestamp>>,
    pub(super) consumer_count: Option<Leaf<NonZeroUsize>>,
    pub(super) allow_networks: Vec<Leaf<IpNet>>,
    pub(super) proxy: Option<Leaf<reqwest::Url>>,
    pub(super) ca: Option<Leaf<PathBuf>>,
    pub(super) ca_password: Option<Leaf<String>>,
    pub(super) client_certificate: Option<Leaf<PathBuf>>,
    pub(super) client_key: Option<Leaf<PathBuf>>,
    pub(super) client_password: Option<Leaf<String>>,
    pub(super) connect_timeout: Option<Leaf<Period>>,
    pub(super) timeout: Option<Leaf<Period>>,
}

/// `{ secret: X, not_after: 2026-12-31T00:00:00Z }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretWords {
    secret: Leaf<String>,
    not_after: Option<Leaf<Timestamp>>,
}

/// `scheme: NAME` or `scheme: { type: NAME, … }`.
pub(super) struct SchemeWords(SchemeDeclaration);

impl Declaration {
    /// Reads a declaration from JSON, where text is taken as it stands: who may register a source may not read the
    /// environment by it. Secrets are kept apart from it.
    ///
    /// # Errors
    /// What is wrong, and what is allowed. No secret is in the text.
    pub fn from_json(declaration: Value) -> Result<Self> {
        let is_posted = declaration["kind"].is_null() || declaration["kind"] == SourceKind::Webhook.as_str();
        ensure!(is_posted, "a source that the host reads stands in the configuration file; put it there");
        let certificate = declaration["scheme"]["certificate"].as_str().unwrap_or(PEM);
        ensure!(
            certificate.trim_start().starts_with(PEM),
            "`scheme.certificate` is PEM text here, not the path of a file"
        );
        let declared = serde_path_to_error::deserialize(as_text(declaration));
        let declared: Self = declared.map_err(|error| match error.path().iter().len() {
            0 => anyhow!("{}", error.inner()),
            _ => anyhow!("`{}`: {}", error.path(), error.inner()),
        })?;
        declared.check_keys()?;
        Ok(declared)
    }

    /// A new secret that fits its scheme; none for a scheme without one.
    ///
    /// # Errors
    /// When there is no such scheme.
    pub fn new_secret(&self) -> Result<Option<String>> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        Ok(self.scheme().new_secret(&random)?)
    }

    /// Takes the secrets out, so that they can be kept apart from the rest.
    ///
    /// # Errors
    /// When they are given in both ways.
    pub fn take_secrets(&mut self) -> Result<Vec<Secret>> {
        let (one, several) = (self.secret.take(), std::mem::take(&mut self.secrets));
        if one.is_some() && !several.is_empty() {
            bail!("`secret` and `secrets` are both set; put all of them into `secrets`");
        }
        let several = several.into_iter().map(|words| {
            let secret = Secret::new(words.secret.0);
            words.not_after.map_or(secret.clone(), |end| secret.until(end.0.as_millisecond()))
        });
        Ok(one.map(|text| Secret::new(text.0)).into_iter().chain(several).collect())
    }

    /// Reads the files that it names; relative paths start at `folder`.
    ///
    /// # Errors
    /// Which one cannot be read, or which key its kind does not have.
    pub fn with_files(mut self, folder: &Path) -> Result<Self> {
        self.check_keys()?;
        for path in [&mut self.ca, &mut self.client_certificate, &mut self.client_key].into_iter().flatten() {
            path.0 = folder.join(&path.0);
        }
        let keys = self.scheme.as_mut().map(|words| &mut words.0.keys);
        if let Some(OneOrMany::One(certificate)) = keys.and_then(|keys| keys.get_mut("certificate"))
            && !certificate.trim_start().starts_with(PEM)
        {
            let path = folder.join(&*certificate);
            *certificate = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the `certificate` {}", path.display()))?;
        }
        Ok(self)
    }

    fn scheme(&self) -> SchemeDeclaration {
        let default = if self.kind() == SourceKind::Webhook { DEFAULT_SCHEME } else { NO_SCHEME };
        self.scheme.as_ref().map_or_else(|| SchemeDeclaration::preset(default), |words| words.0.clone())
    }

    /// What the host works with, with these secrets. What works and should still be looked at goes to `warnings`.
    ///
    /// # Errors
    /// What cannot work, and what to do about it.
    pub fn into_settings(
        self,
        name: &str,
        secrets: &[Secret],
        limits: &Limits,
        warnings: &mut Vec<String>,
    ) -> Result<SourceSettings> {
        let kind = self.kind();
        let scheme = Scheme::declare(&self.scheme(), secrets)?;
        if let Some(bytes) = scheme.shortest_secret_bytes() {
            ensure!(
                bytes >= SECRET_BYTES_MIN,
                "the secret has {bytes} bytes; use at least {SECRET_BYTES_GOOD} random ones"
            );
            if bytes < SECRET_BYTES_GOOD {
                warnings
                    .push(format!("the secret of source `{name}` has {bytes} bytes; use at least {SECRET_BYTES_GOOD}"));
            }
        }
        let retention = limits.dedup.retention;
        // A signature is good for its tolerance before and after its time.
        if let Some(tolerance_s) =
            scheme.tolerance_s().filter(|seconds| u128::from(seconds.unsigned_abs()) * 2_000 > retention.as_millis())
        {
            bail!(
                "its signatures are good for {} s in all, and `dedup_retention` forgets them after {} s, so that they could \
                 be used again; raise that, or lower the scheme's `tolerance`",
                2 * tolerance_s,
                retention.as_secs()
            );
        }
        let now = unix_ms();
        if !secrets.is_empty() && !secrets.iter().any(|secret| secret.is_live(now)) {
            warnings.push(format!("every secret of source `{name}` has passed its not_after: nobody is believed"));
        }
        if self.auto_triage.as_ref().is_some_and(|flag| flag.0) && self.playbook.is_none() {
            warnings.push(format!("source `{name}` has auto_triage and no `playbook`: nothing is triaged"));
        }
        let payload_bytes_max = self.payload_mib.map_or(limits.payload_bytes, |mib| mib.0.bytes());
        ensure!(
            payload_bytes_max <= limits.body_memory_bytes,
            "its `payload_mib` is more than `limits.body_memory_mib`, so that no such payload fits in; lower it or raise \
             that"
        );
        let on_unmappable = if scheme.is_vendor_preset() { OnUnmappable::Accept } else { OnUnmappable::Reject };
        Ok(SourceSettings {
            scheme,
            allow_ips: self.allow_ips.into_iter().map(|network| network.0).collect(),
            plugin: self.plugin.map_or(PluginChoice::Auto, PluginChoice::from),
            auto_triage: self.auto_triage.is_some_and(|flag| flag.0),
            playbook: self.playbook.map(|name| name.0.into()),
            severity_mapping: (self.severity_mapping.into_iter())
                .map(|(word, severity)| (word.to_lowercase(), severity.0))
                .collect(),
            settings: self.settings.into_iter().map(|(name, value)| (name, value.0)).collect(),
            payload_bytes_max,
            rate_limit: RateLimit::per_second(self.requests_per_second.map(|count| count.0)),
            on_unmappable: self.on_unmappable.map_or(on_unmappable, |answer| answer.0),
            silent_after: self.silent_after.map(|time| time.0.into()),
            kind,
        })
    }
}

impl fmt::Debug for Declaration {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Declaration")
    }
}

/// Every scalar as the text that the configuration file would have, but for references to the environment.
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

impl<'de> Deserialize<'de> for SchemeWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;

        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = SchemeWords;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a scheme's name, or `{ type: NAME, … }`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let name: String = super::file::read(text).map_err(E::custom)?;
                Ok(SchemeWords(SchemeDeclaration::preset(&name)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some((key, value)) = members.next_entry::<String, Scalar>()? {
                    if keys.insert(key.clone(), value.0).is_some() {
                        return Err(A::Error::custom(format!("`{key}` is there twice")));
                    }
                }
                match keys.remove("type") {
                    Some(OneOrMany::One(scheme)) => Ok(SchemeWords(SchemeDeclaration { scheme, keys })),
                    _ => Err(A::Error::custom("it needs one `type`, such as { type: hmac, … }")),
                }
            }
        }
        deserializer.deserialize_any(WordsVisitor)
    }
}
