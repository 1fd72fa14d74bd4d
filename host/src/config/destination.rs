//! A destination as declared: one of `webhooks`, which get every audit entry, or of `destinations`.

use super::connection::with_connection_keys;
use super::keys::{Key, check_keys};
use super::scalar::{Name, Period};
use super::typed::TypedDeclaration;
use super::value::Interpolated;
use crate::deliver::{
    CHAT_INTERVAL, CONCURRENCY, CONCURRENCY_MAX, Channel, Chat, ContentOptions, DISABLE_AFTER, Destination,
    DestinationType, EmailOptions, Format, Http, LineFile, MAIL_CONCURRENCY, MailAddresses, Ordering, RetrySchedule,
    Signature, StepTemplates, TheHiveMemory, has_body,
};
use crate::rate_limit::RateLimit;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_connection::{AddressGuard, ConnectionOptions, SystemTls};
use hookmill_notify::Trigger;
use reqwest::Method;
use reqwest::header::{HeaderName, USER_AGENT};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The parts that all destinations of one configuration share.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    /// The folder at which relative paths start.
    pub folder: &'a Path,
    pub system_tls: &'a SystemTls,
}

with_connection_keys! {
    /// Every key of a destination. The type decides which keys may be set.
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(super) struct DestinationDeclaration {
        #[serde(rename = "type")]
        kind: Option<Interpolated<DestinationType>>,
        url: Option<Interpolated<String>>,
        format: Option<Interpolated<Format>>,
        notifier: Option<Interpolated<Name>>,
        method: Option<Interpolated<String>>,
        headers: BTreeMap<String, Interpolated<String>>,
        body: Option<Interpolated<String>>,
        from: Option<Interpolated<String>>,
        to: Vec<Interpolated<String>>,
        hello: Option<Interpolated<String>>,
        starttls: Option<Interpolated<bool>>,
        path: Option<Interpolated<PathBuf>>,
        secret: Option<Interpolated<String>>,
        secrets: Vec<Interpolated<String>>,
        signature: Option<TypedDeclaration>,
        auth: Option<TypedDeclaration>,
        retry_schedule: Option<Vec<Interpolated<Period>>>,
        ordering: Option<Interpolated<Ordering>>,
        concurrency: Option<Interpolated<NonZeroUsize>>,
        requests_per_second: Option<Interpolated<NonZeroU32>>,
        traceparent: Option<Interpolated<bool>>,
        disable_after: Option<Interpolated<Period>>,
    }
}

/// The part of a `url` that decides where requests go.
enum Literal {
    All,
    /// In a template, the text before the first value.
    BeforeFirstValue,
}

/// A receiver over HTTP.
struct HttpReceiver {
    /// The `url` as declared.
    text: String,
    url: reqwest::Url,
    http: Http,
}

/// Keys that only some types have.
const KEYS: &[Key<DestinationDeclaration, DestinationType>] = {
    use DestinationType::{Email, File, Http, Mattermost, Slack, Teams, Thehive, Webhook};
    const HTTP: &[DestinationType] = &[Webhook, Http, Slack, Mattermost, Teams, Thehive];
    const NETWORK: &[DestinationType] = &[Webhook, Http, Slack, Mattermost, Teams, Thehive, Email];
    const SIGNED: &[DestinationType] = &[Webhook, Http];
    &[
        ("url", |declared| declared.url.is_some(), NETWORK),
        ("format", |declared| declared.format.is_some(), &[Webhook, Http, File]),
        ("notifier", |declared| declared.notifier.is_some(), &[Webhook]),
        ("method", |declared| declared.method.is_some(), &[Http]),
        ("headers", |declared| !declared.headers.is_empty(), &[Http]),
        ("body", |declared| declared.body.is_some(), &[Http]),
        ("from", |declared| declared.from.is_some(), &[Email]),
        ("to", |declared| !declared.to.is_empty(), &[Email]),
        ("hello", |declared| declared.hello.is_some(), &[Email]),
        ("starttls", |declared| declared.starttls.is_some(), &[Email]),
        ("path", |declared| declared.path.is_some(), &[File]),
        ("secret", |declared| declared.secret.is_some(), SIGNED),
        ("secrets", |declared| !declared.secrets.is_empty(), SIGNED),
        ("signature", |declared| declared.signature.is_some(), SIGNED),
        ("auth", |declared| declared.auth.is_some(), NETWORK),
        ("allow_networks", |declared| !declared.allow_networks.is_empty(), NETWORK),
        ("traceparent", |declared| declared.traceparent.is_some(), HTTP),
        ("proxy", |declared| declared.proxy.is_some(), HTTP),
        ("ca", |declared| declared.ca.is_some(), NETWORK),
        ("ca_password", |declared| declared.ca_password.is_some(), NETWORK),
        ("client_certificate", |declared| declared.client_certificate.is_some(), HTTP),
        ("client_key", |declared| declared.client_key.is_some(), HTTP),
        ("client_password", |declared| declared.client_password.is_some(), HTTP),
        ("connect_timeout", |declared| declared.connect_timeout.is_some(), HTTP),
        ("timeout", |declared| declared.timeout.is_some(), NETWORK),
    ]
};

impl DestinationDeclaration {
    /// Builds one of `webhooks`; see [`DestinationDeclaration::build`].
    pub fn into_webhook(self, name: &str, base: Base) -> Result<(Destination, ContentOptions)> {
        ensure!(
            self.kind.is_none(),
            "`type` is not allowed in `webhooks`, where it is always `webhook`; move the destination to `destinations`"
        );
        self.build(name, base, DestinationType::Webhook, true)
    }

    /// Builds one of `destinations`; see [`DestinationDeclaration::build`].
    pub fn into_destination(self, name: &str, base: Base) -> Result<(Destination, ContentOptions)> {
        let kind = self.kind.as_ref().map(|kind| kind.0);
        let kind = kind.with_context(|| {
            let types: Vec<&str> = DestinationType::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("`type` is missing; set one of: {}", types.join(", "))
        })?;
        self.build(name, base, kind, false)
    }

    /// Builds the destination, and the options of the content of its deliveries. Relative paths start at the folder of `base`.
    ///
    /// # Errors
    /// Returns an error if a key is missing, wrong or not allowed for this type. The error shows no secret.
    fn build(
        mut self,
        name: &str,
        base: Base,
        kind: DestinationType,
        gets_all_changes: bool,
    ) -> Result<(Destination, ContentOptions)> {
        check_keys(&self, KEYS, "type", kind)?;
        let retry_schedule = self.retry_schedule.take().map_or(RetrySchedule::default(), |waits| {
            RetrySchedule::new(waits.into_iter().map(|wait| wait.0.into()).collect())
        });
        let is_ordered = self.ordering.take().is_none_or(|ordering| ordering.0 == Ordering::Incident);
        let default_concurrency = if kind == DestinationType::Email { MAIL_CONCURRENCY } else { CONCURRENCY };
        let concurrency = self.concurrency.take().map_or(default_concurrency, |count| count.0.get());
        ensure!(concurrency <= CONCURRENCY_MAX, "`concurrency` is {concurrency}; at most {CONCURRENCY_MAX}");
        let rate_limit = match self.requests_per_second.take() {
            None if kind.is_chat() => RateLimit::one_in(CHAT_INTERVAL),
            count => RateLimit::per_second(count.map(|count| count.0)),
        };
        let disable_after = self.disable_after.take().map_or(DISABLE_AFTER, |time| time.0.into());
        let (channel, options, address) = match kind {
            DestinationType::Email => self.email(base.folder)?,
            DestinationType::File => self.file(base.folder)?,
            DestinationType::Webhook => self.webhook(base)?,
            DestinationType::Http => self.http(base)?,
            DestinationType::Slack => self.chat(base, Chat::Slack)?,
            DestinationType::Mattermost => self.chat(base, Chat::Mattermost)?,
            DestinationType::Teams => self.chat(base, Chat::Teams)?,
            DestinationType::Thehive => self.thehive(base)?,
        };
        check_options(&options)?;
        let content = options.content(&StepTemplates::default(), Trigger::Any);
        let destination = Destination {
            name: name.to_owned(),
            kind,
            // A digest, because the address may hold a secret.
            fingerprint: hex::encode(Sha256::digest(address)),
            gets_all_changes,
            is_ordered,
            channel,
            content: content
                .map_err(|error| format!("this destination needs a notification that defines its content: {error:#}")),
            retry_schedule,
            concurrency,
            disable_after,
            rate_limit,
        };
        Ok((destination, options))
    }

    fn webhook(mut self, base: Base) -> Result<(Channel, ContentOptions, String)> {
        let HttpReceiver { text, url, http } = self.receiver(base, Literal::All)?;
        ensure!(
            self.format.is_none() || self.notifier.is_none(),
            "`format` and `notifier` are both set, and the notifier alone decides what is sent; remove one of them"
        );
        let format = self.format();
        let notifier = self.notifier.map(|name| name.0.into());
        Ok((Channel::Http(http), ContentOptions::Webhook { url, format, notifier }, text))
    }

    fn http(mut self, base: Base) -> Result<(Channel, ContentOptions, String)> {
        let HttpReceiver { text, http, .. } = self.receiver(base, Literal::BeforeFirstValue)?;
        ensure!(
            self.format.is_none() || self.body.is_none(),
            "`format` and `body` are both set, and the body alone decides what is sent; remove one of them"
        );
        let method = self.method.take().map_or(Ok(Method::POST), |name| method(&name.0))?;
        ensure!(
            self.format.is_none() || has_body(&method),
            "`format` is set, and {method} sends no body; remove `format`, or set `method` to POST, PUT or PATCH"
        );
        let options = ContentOptions::Http {
            url: text.clone(),
            method,
            headers: headers(std::mem::take(&mut self.headers))?,
            own_headers: http.own_headers(),
            format: self.format(),
            body: self.body.take().map(|text| text.0),
        };
        Ok((Channel::Http(http), options, text))
    }

    fn chat(mut self, base: Base, chat: Chat) -> Result<(Channel, ContentOptions, String)> {
        let HttpReceiver { text, url, http } = self.receiver(base, Literal::All)?;
        Ok((Channel::Http(http.with_secret_path()), ContentOptions::Chat { url, chat }, text))
    }

    fn thehive(mut self, base: Base) -> Result<(Channel, ContentOptions, String)> {
        let HttpReceiver { text, url, http } = self.receiver(base, Literal::All)?;
        Ok((Channel::Http(http), ContentOptions::Thehive { url, memory: Arc::new(TheHiveMemory::default()) }, text))
    }

    fn format(&self) -> Format {
        self.format.as_ref().map_or(Format::Thehive, |format| format.0)
    }

    fn receiver(&mut self, base: Base, literal: Literal) -> Result<HttpReceiver> {
        let text = self.url.take().context("`url` is missing")?.0;
        let signature = signature(self.secret.take(), std::mem::take(&mut self.secrets), self.signature.take())?;
        let auth = self.auth.take().map(|auth| auth.in_folder(base.folder).into_authentication());
        let auth = auth.transpose().context("`auth`")?;
        let declared = self.take_connection(base.folder)?;
        let connection = ConnectionOptions { system_tls: base.system_tls.clone(), ..declared }.build()?;
        let parsed = match literal {
            Literal::All => text.parse::<reqwest::Url>(),
            Literal::BeforeFirstValue => text.split("{{").next().unwrap_or_default().parse(),
        };
        // The error does not show the URL, which may hold a secret.
        let mut url =
            parsed.map_err(|error| anyhow!("`url` is not a URL such as https://soc.example/hook: {error}"))?;
        let sends_traceparent = self.traceparent.take().is_some_and(|flag| flag.0);
        let http = Http::new(&mut url, connection, auth.unwrap_or_default(), signature)?;
        Ok(HttpReceiver { text, url, http: http.with_traceparent(sends_traceparent) })
    }

    fn email(mut self, folder: &Path) -> Result<(Channel, ContentOptions, String)> {
        let text = self.url.take().context("`url` is missing; set a URL such as smtp://mail.example")?.0;
        let url = text.parse::<reqwest::Url>();
        let connection = self.take_connection(folder)?;
        let options = EmailOptions {
            url: url.map_err(|error| anyhow!("`url` is not a URL such as smtp://mail.example: {error}"))?,
            hello: self.hello.take().map(|name| hello(name.0)).transpose()?,
            starttls: self.starttls.take().is_none_or(|flag| flag.0),
            credentials: self
                .auth
                .take()
                .map(TypedDeclaration::into_credentials)
                .transpose()
                .context("`auth`")?
                .flatten(),
            ca: connection.ca,
            timeout: connection.timeout,
            guard: AddressGuard::new(connection.allow_networks),
        };
        let mailbox = |text: &str| text.parse().map_err(|error| anyhow!("`{text}` is not a mail address: {error}"));
        let from = mailbox(&self.from.take().context("`from` is missing; set an address such as soc@example.org")?.0)?;
        ensure!(!self.to.is_empty(), "`to` is missing; set a list of mail addresses");
        let to = self.to.iter().map(|to| mailbox(&to.0)).collect::<Result<_>>()?;
        Ok((Channel::Email(options.connect()?), ContentOptions::Email(MailAddresses { from, to }), text))
    }

    fn file(mut self, folder: &Path) -> Result<(Channel, ContentOptions, String)> {
        let path = folder.join(self.path.take().context("`path` is missing")?.0);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ensure!(parent.is_dir(), "`path`: the folder {} does not exist; create it", parent.display());
        let address = path.display().to_string();
        Ok((Channel::File(LineFile::new(path)), ContentOptions::File { format: self.format() }, address))
    }
}

/// Checks that the content fits at least one trigger. Its templates may be for events only.
fn check_options(options: &ContentOptions) -> Result<()> {
    let problem = |trigger: &Trigger| options.content(&StepTemplates::default(), *trigger).err();
    match problem(&Trigger::Any) {
        Some(error) if Trigger::ALL.iter().all(|trigger| problem(trigger).is_some()) => bail!("{error:#}"),
        _ => Ok(()),
    }
}

/// Checks a name for SMTP's EHLO.
fn hello(name: String) -> Result<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    ensure!(
        !name.is_empty() && name.bytes().all(is_allowed),
        "`hello` is `{name}`; expected a domain name such as hookmill.example.org, or an address such as [192.0.2.1]"
    );
    Ok(name)
}

fn method(name: &str) -> Result<Method> {
    let found = METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name));
    found.with_context(|| format!("unknown `method` `{name}`; expected GET, HEAD, POST, PUT, PATCH or DELETE"))
}

fn headers(declared: BTreeMap<String, Interpolated<String>>) -> Result<Vec<(HeaderName, String)>> {
    let headers = declared.into_iter().map(|(name, Interpolated(text))| {
        let parsed: Result<HeaderName, _> = name.parse();
        let parsed = parsed.map_err(|_| anyhow!("`headers`: `{name}` is not a header name"))?;
        ensure!(parsed != USER_AGENT || !text.is_empty(), "`headers`: `{name}` is empty");
        Ok((parsed, text))
    });
    headers.collect()
}

fn signature(
    secret: Option<Interpolated<String>>,
    secrets: Vec<Interpolated<String>>,
    signature: Option<TypedDeclaration>,
) -> Result<Signature> {
    if secret.is_some() && !secrets.is_empty() {
        bail!("`secret` and `secrets` are both set; put all secrets into `secrets`");
    }
    let key = if secret.is_some() { "`secret`" } else { "`secrets`" };
    let secrets: Vec<String> = secret.into_iter().chain(secrets).map(|secret| secret.0).collect();
    match signature {
        Some(declared) => declared.into_signature(&secrets).context("`signature`"),
        None if secrets.is_empty() => Ok(Signature::None),
        None => Signature::standard_webhooks(&secrets).context(key),
    }
}
