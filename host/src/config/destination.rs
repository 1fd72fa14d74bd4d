//! A destination as it is declared: one of `webhooks`, which are told everything, or of `destinations`.

use super::connection::{authorities, client_certificate};
use super::file::{Leaf, Name, Period, read};
use crate::deliver::{
    CONCURRENCY, CONCURRENCY_MAX, Channel, ContentOptions, DISABLE_AFTER, Destination, DestinationType, EmailOptions,
    Format, Http, LineFile, MailAddresses, Ordering, RetrySchedule, Signature, StepTemplates,
};
use crate::rate_limit::RateLimit;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_connection::{AddressGuard, Authentication, Connection, ConnectionOptions};
use hookmill_notify::Trigger;
use ipnet::IpNet;
use reqwest::Method;
use reqwest::header::{HeaderName, USER_AGENT};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Everything that can be said of a destination besides its name. Which keys it takes is a matter of its type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct Receiver {
    #[serde(rename = "type")]
    kind: Option<Leaf<DestinationType>>,
    url: Option<Leaf<String>>,
    format: Option<Leaf<Format>>,
    notifier: Option<Leaf<Name>>,
    method: Option<Leaf<String>>,
    headers: BTreeMap<String, Leaf<String>>,
    body: Option<Leaf<String>>,
    from: Option<Leaf<String>>,
    to: Vec<Leaf<String>>,
    starttls: Option<Leaf<bool>>,
    path: Option<Leaf<PathBuf>>,
    secret: Option<Leaf<String>>,
    secrets: Vec<Leaf<String>>,
    signature: Option<TypedWords>,
    auth: Option<TypedWords>,
    allow_networks: Vec<Leaf<IpNet>>,
    proxy: Option<Leaf<reqwest::Url>>,
    ca: Option<Leaf<PathBuf>>,
    ca_password: Option<Leaf<String>>,
    client_certificate: Option<Leaf<PathBuf>>,
    client_key: Option<Leaf<PathBuf>>,
    client_password: Option<Leaf<String>>,
    connect_timeout: Option<Leaf<Period>>,
    timeout: Option<Leaf<Period>>,
    retry_schedule: Option<Vec<Leaf<Period>>>,
    ordering: Option<Leaf<Ordering>>,
    concurrency: Option<Leaf<NonZeroUsize>>,
    requests_per_second: Option<Leaf<NonZeroU32>>,
    disable_after: Option<Leaf<Period>>,
}

/// A key, whether it is set, and the types that have it.
type Key = (&'static str, fn(&Receiver) -> bool, &'static [DestinationType]);

/// Keys that are for some types only.
const KEYS: &[Key] = {
    use DestinationType::{Email, File, Http, Mattermost, Slack, Teams, Thehive, Webhook};
    const HTTP: &[DestinationType] = &[Webhook, Http, Slack, Mattermost, Teams, Thehive];
    const NETWORK: &[DestinationType] = &[Webhook, Http, Slack, Mattermost, Teams, Thehive, Email];
    const SIGNED: &[DestinationType] = &[Webhook, Http];
    &[
        ("url", |words| words.url.is_some(), NETWORK),
        ("format", |words| words.format.is_some(), &[Webhook]),
        ("notifier", |words| words.notifier.is_some(), &[Webhook]),
        ("method", |words| words.method.is_some(), &[Http]),
        ("headers", |words| !words.headers.is_empty(), &[Http]),
        ("body", |words| words.body.is_some(), &[Http]),
        ("from", |words| words.from.is_some(), &[Email]),
        ("to", |words| !words.to.is_empty(), &[Email]),
        ("starttls", |words| words.starttls.is_some(), &[Email]),
        ("path", |words| words.path.is_some(), &[File]),
        ("secret", |words| words.secret.is_some(), SIGNED),
        ("secrets", |words| !words.secrets.is_empty(), SIGNED),
        ("signature", |words| words.signature.is_some(), SIGNED),
        ("auth", |words| words.auth.is_some(), NETWORK),
        ("allow_networks", |words| !words.allow_networks.is_empty(), NETWORK),
        ("proxy", |words| words.proxy.is_some(), HTTP),
        ("ca", |words| words.ca.is_some(), NETWORK),
        ("ca_password", |words| words.ca_password.is_some(), NETWORK),
        ("client_certificate", |words| words.client_certificate.is_some(), HTTP),
        ("client_key", |words| words.client_key.is_some(), HTTP),
        ("client_password", |words| words.client_password.is_some(), HTTP),
        ("connect_timeout", |words| words.connect_timeout.is_some(), HTTP),
        ("timeout", |words| words.timeout.is_some(), NETWORK),
    ]
};

impl Receiver {
    /// One of `webhooks`.
    ///
    /// # Errors
    /// As [`Receiver::declare`].
    pub fn into_webhook(self, name: &str, folder: &Path) -> Result<(Destination, ContentOptions)> {
        ensure!(self.kind.is_none(), "it has a `type`; move it to `destinations` to have another one than `webhook`");
        self.declare(name, folder, DestinationType::Webhook, true)
    }

    /// One of `destinations`.
    ///
    /// # Errors
    /// As [`Receiver::declare`].
    pub fn into_destination(self, name: &str, folder: &Path) -> Result<(Destination, ContentOptions)> {
        let kind = self.kind.as_ref().map(|kind| kind.0);
        let kind = kind.with_context(|| {
            let types: Vec<&str> = DestinationType::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("it needs a `type`: {}", types.join(", "))
        })?;
        self.declare(name, folder, kind, false)
    }

    /// The destination, and how what it is sent is made. Relative paths of files start at `folder`.
    ///
    /// # Errors
    /// What is wrong, and what is allowed. No secret is in the text.
    fn declare(
        mut self,
        name: &str,
        folder: &Path,
        kind: DestinationType,
        gets_all_changes: bool,
    ) -> Result<(Destination, ContentOptions)> {
        for (key, is_set, kinds) in KEYS {
            ensure!(!is_set(&self) || kinds.contains(&kind), "`{key}` is nothing that type `{kind}` has");
        }
        let retry_schedule = self.retry_schedule.take().map_or(RetrySchedule::default(), |waits| {
            RetrySchedule::new(waits.into_iter().map(|wait| wait.0.into()).collect())
        });
        let is_ordered = self.ordering.take().is_none_or(|ordering| ordering.0 == Ordering::Incident);
        let concurrency = self.concurrency.take().map_or(CONCURRENCY, |count| count.0.get());
        ensure!(concurrency <= CONCURRENCY_MAX, "`concurrency` is {concurrency}; at most {CONCURRENCY_MAX}");
        let rate_limit = RateLimit::per_second(self.requests_per_second.take().map(|count| count.0));
        let disable_after = self.disable_after.take().map_or(DISABLE_AFTER, |time| time.0.into());
        let (channel, recipe, fingerprint) = match kind {
            DestinationType::Email => self.email(folder)?,
            DestinationType::File => self.file(folder)?,
            kind => self.http(folder, kind)?,
        };
        let content = recipe.content(&StepTemplates::default(), Trigger::Any);
        // Its templates may be for events only; what fits no trigger at all is wrong.
        let fits = |trigger: &Trigger| recipe.content(&StepTemplates::default(), *trigger).is_ok();
        if let Err(error) = &content
            && !Trigger::ALL.iter().any(fits)
        {
            bail!("{error:#}");
        }
        let destination = Destination {
            name: name.to_owned(),
            kind,
            // Where it is may hold a secret.
            fingerprint: hex::encode(Sha256::digest(fingerprint)),
            gets_all_changes,
            is_ordered,
            channel,
            content: content.map_err(|error| format!("it can only be sent what a notification says: {error:#}")),
            retry_schedule,
            concurrency,
            disable_after,
            rate_limit,
        };
        Ok((destination, recipe))
    }

    fn http(mut self, folder: &Path, kind: DestinationType) -> Result<(Channel, ContentOptions, String)> {
        let text = self.url.take().context("it needs a `url`")?.0;
        let signature = signature(self.secret.take(), std::mem::take(&mut self.secrets), self.signature.take())?;
        let auth = self.auth.take().map(TypedWords::into_authentication).transpose().context("`auth`")?;
        let connection = self.connect(folder)?;
        // Of a template it is what stands before the first value that matters here.
        let is_template = kind == DestinationType::Http;
        let literal = if is_template { text.split("{{").next().unwrap_or_default() } else { &text };
        let parsed = literal.parse::<reqwest::Url>();
        // A URL may hold a secret and is not shown.
        let mut url = parsed.map_err(|error| anyhow!("`url` is no URL such as https://soc.example/hook: {error}"))?;
        let mut http = Http::new(&mut url, connection, auth.unwrap_or_default(), signature)?;
        let recipe = match kind {
            DestinationType::Webhook => {
                ensure!(
                    self.format.is_none() || self.notifier.is_none(),
                    "`format` and `notifier` are both set; the notifier says what is sent, remove one of them"
                );
                let format = self.format.map_or(Format::Thehive, |format| format.0);
                ContentOptions::Webhook { url, format, notifier: self.notifier.map(|name| name.0.into()) }
            }
            DestinationType::Thehive => ContentOptions::Thehive { url },
            DestinationType::Http => ContentOptions::Http {
                url: text.clone(),
                method: self.method.take().map_or(Ok(Method::POST), |word| method(&word.0))?,
                headers: headers(std::mem::take(&mut self.headers))?,
                own_headers: http.own_headers(),
                body: self.body.take().map(|text| text.0),
            },
            kind => {
                http = http.with_secret_path();
                ContentOptions::Chat { url, kind }
            }
        };
        Ok((Channel::Http(http), recipe, text))
    }

    fn connect(&mut self, folder: &Path) -> Result<Connection> {
        let (key, password) = (self.client_key.take(), self.client_password.take());
        let options = ConnectionOptions {
            allow_networks: self.networks(),
            proxy: self.proxy.take().map(|url| url.0),
            ca: authorities(folder, self.ca.take(), self.ca_password.take())?,
            client: client_certificate(folder, self.client_certificate.take(), key, password)?,
            connect_timeout: self.connect_timeout.take().map(|time| time.0.into()),
            timeout: self.timeout.take().map(|time| time.0.into()),
            is_stream: false,
        };
        options.build()
    }

    fn email(mut self, folder: &Path) -> Result<(Channel, ContentOptions, String)> {
        let text = self.url.take().context("it needs a `url`, such as smtp://mail.example")?.0;
        let url = text.parse::<reqwest::Url>();
        let options = EmailOptions {
            url: url.map_err(|error| anyhow!("`url` is no URL such as smtp://mail.example: {error}"))?,
            starttls: self.starttls.take().is_none_or(|flag| flag.0),
            credentials: self.auth.take().map(TypedWords::into_credentials).transpose().context("`auth`")?.flatten(),
            ca: authorities(folder, self.ca.take(), self.ca_password.take())?,
            timeout: self.timeout.take().map(|time| time.0.into()),
            guard: AddressGuard::new(self.networks()),
        };
        let mailbox = |text: &str| text.parse().map_err(|error| anyhow!("`{text}` is no mail address: {error}"));
        let from = mailbox(&self.from.take().context("it needs a `from`, such as soc@example.org")?.0)?;
        ensure!(!self.to.is_empty(), "it needs a `to`, a list of mail addresses");
        let to = self.to.iter().map(|to| mailbox(&to.0)).collect::<Result<_>>()?;
        Ok((Channel::Email(options.connect()?), ContentOptions::Email(MailAddresses { from, to }), text))
    }

    fn file(mut self, folder: &Path) -> Result<(Channel, ContentOptions, String)> {
        let path = folder.join(self.path.take().context("it needs a `path`")?.0);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ensure!(parent.is_dir(), "`path`: there is no folder {}; make it", parent.display());
        let fingerprint = path.display().to_string();
        Ok((Channel::File(LineFile::new(path)), ContentOptions::File, fingerprint))
    }

    fn networks(&mut self) -> Vec<IpNet> {
        std::mem::take(&mut self.allow_networks).into_iter().map(|network| network.0).collect()
    }
}

fn method(word: &str) -> Result<Method> {
    let found = METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(word));
    found.with_context(|| format!("`method` `{word}` is none of GET, HEAD, POST, PUT, PATCH, DELETE"))
}

fn headers(words: BTreeMap<String, Leaf<String>>) -> Result<Vec<(HeaderName, String)>> {
    let named = words.into_iter().map(|(name, Leaf(text))| {
        let parsed: Result<HeaderName, _> = name.parse();
        let parsed = parsed.map_err(|_| anyhow!("`headers`: `{name}` is no name of a header"))?;
        ensure!(parsed != USER_AGENT || !text.is_empty(), "`headers`: `{name}` is empty");
        Ok((parsed, text))
    });
    named.collect()
}

fn signature(
    secret: Option<Leaf<String>>,
    secrets: Vec<Leaf<String>>,
    signature: Option<TypedWords>,
) -> Result<Signature> {
    if secret.is_some() && !secrets.is_empty() {
        bail!("`secret` and `secrets` are both set; put all of them into `secrets`");
    }
    let key = if secret.is_some() { "`secret`" } else { "`secrets`" };
    let secrets: Vec<String> = secret.into_iter().chain(secrets).map(|secret| secret.0).collect();
    match signature {
        Some(words) => words.into_signature(&secrets).context("`signature`"),
        None if secrets.is_empty() => Ok(Signature::None),
        None => Signature::standard_webhooks(&secrets).context(key),
    }
}

/// `none`, or `{ type: basic, username: …, … }`. No text of it is shown but its type and the names of its keys.
pub(super) struct TypedWords {
    kind: String,
    keys: BTreeMap<String, String>,
}

impl TypedWords {
    /// What `auth` says.
    pub fn into_authentication(mut self) -> Result<Authentication> {
        let authentication = match self.kind.as_str() {
            "none" => Authentication::default(),
            "basic" => Authentication::basic(&self.needed("username")?, &self.needed("password")?)?,
            "bearer" => Authentication::bearer(&self.needed("token")?)?,
            "header" => Authentication::header(&self.needed("name")?, &self.needed("value")?)?,
            kind => bail!("`{kind}` is none of none, basic, bearer, header"),
        };
        self.used_up()?;
        Ok(authentication)
    }

    /// The user name and password that `auth` says; a mail server takes nothing else.
    pub fn into_credentials(mut self) -> Result<Option<(String, String)>> {
        let credentials = match self.kind.as_str() {
            "none" => None,
            "basic" => Some((self.needed("username")?, self.needed("password")?)),
            kind => bail!("`{kind}` is none of none, basic"),
        };
        self.used_up()?;
        Ok(credentials)
    }

    /// What `signature` says, with the secrets beside it.
    pub fn into_signature(mut self, secrets: &[String]) -> Result<Signature> {
        if secrets.is_empty() {
            bail!("it needs a `secret`; set one, or remove `signature`");
        }
        let signature = match self.kind.as_str() {
            "standard-webhooks" => Signature::standard_webhooks(secrets)?,
            "github" => Signature::github(secrets)?,
            "hmac" => {
                let header = self.needed("header")?;
                let mut optional = |key: &str, default: &str| self.keys.remove(key).unwrap_or(default.into());
                let (algorithm, encoding) = (optional("algorithm", "sha256"), optional("encoding", "hex"));
                let prefix = optional("prefix", "");
                Signature::hash(&header, &algorithm, &encoding, &prefix, secrets)?
            }
            kind => bail!(
                "`{kind}` is none of standard-webhooks, github, {{ type: hmac, header: NAME, … }}; a header with a secret \
                 as it is belongs to `auth`"
            ),
        };
        self.used_up()?;
        Ok(signature)
    }

    fn needed(&mut self, key: &str) -> Result<String> {
        self.keys.remove(key).with_context(|| format!("type `{}` needs a `{key}`", self.kind))
    }

    fn used_up(&self) -> Result<()> {
        match self.keys.keys().next() {
            Some(key) => bail!("type `{}` has no key `{key}`", self.kind),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for TypedWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;

        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = TypedWords;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a type's name, or `{ type: NAME, … }`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TypedWords { kind: read(text).map_err(E::custom)?, keys: BTreeMap::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some((key, Leaf(text))) = members.next_entry::<String, Leaf<String>>()? {
                    if keys.insert(key.clone(), text).is_some() {
                        return Err(A::Error::custom(format!("`{key}` is there twice")));
                    }
                }
                let kind = keys.remove("type");
                let kind = kind.ok_or_else(|| A::Error::custom("it needs a `type`, such as { type: bearer, … }"))?;
                Ok(TypedWords { kind, keys })
            }
        }
        deserializer.deserialize_any(WordsVisitor)
    }
}
