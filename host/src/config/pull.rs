//! A source that the host reads by itself, as it is declared.

use super::connection::{authorities, client_certificate};
use super::source::Declaration;
use crate::pull::{Endpoint, OpenctiStream, Pointer, Poll, PollQuery, Pull, PullReader, SinceText, Start, TimeFormat};
use crate::source::SourceKind;
use anyhow::{Context, Result, anyhow, ensure};
use hookmill_connection::{Authentication, ConnectionOptions, header_name};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use std::path::Path;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(60);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const OVERLAP: Duration = Duration::from_secs(60);
const RETRIES: u32 = 3;
/// How long a poll may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a stream may say nothing, not even that it lives, which OpenCTI does every 5 s.
const STREAM_TIMEOUT: Duration = Duration::from_secs(45);
const CONSUMER_COUNT: usize = 10;
const CONSUMER_COUNT_MAX: usize = 256;

/// A key, whether it is set, and the kinds that have it.
type Key = (&'static str, fn(&Declaration) -> bool, &'static [SourceKind]);

/// Keys that are for some kinds only.
const KEYS: &[Key] = {
    use SourceKind::{GraphqlPoll, HttpPoll, OpenctiStream, Webhook};
    const POSTED: &[SourceKind] = &[Webhook];
    const READ: &[SourceKind] = &[OpenctiStream, GraphqlPoll, HttpPoll];
    const POLLED: &[SourceKind] = &[GraphqlPoll, HttpPoll];
    const STREAMED: &[SourceKind] = &[OpenctiStream];
    &[
        ("secret", |words| words.secret.is_some(), POSTED),
        ("secrets", |words| !words.secrets.is_empty(), POSTED),
        ("scheme", |words| words.scheme.is_some(), POSTED),
        ("allow_ips", |words| !words.allow_ips.is_empty(), POSTED),
        ("requests_per_second", |words| words.requests_per_second.is_some(), POSTED),
        ("on_unmappable", |words| words.on_unmappable.is_some(), POSTED),
        ("url", |words| words.url.is_some(), READ),
        ("token", |words| words.token.is_some(), READ),
        ("auth", |words| words.auth.is_some(), READ),
        ("headers", |words| !words.headers.is_empty(), READ),
        ("start", |words| words.start.is_some(), READ),
        ("allow_networks", |words| !words.allow_networks.is_empty(), READ),
        ("proxy", |words| words.proxy.is_some(), READ),
        ("ca", |words| words.ca.is_some(), READ),
        ("ca_password", |words| words.ca_password.is_some(), READ),
        ("client_certificate", |words| words.client_certificate.is_some(), READ),
        ("client_key", |words| words.client_key.is_some(), READ),
        ("client_password", |words| words.client_password.is_some(), READ),
        ("connect_timeout", |words| words.connect_timeout.is_some(), READ),
        ("timeout", |words| words.timeout.is_some(), READ),
        ("interval", |words| words.interval.is_some(), POLLED),
        ("overlap", |words| words.overlap.is_some(), POLLED),
        ("items", |words| words.items.is_some(), POLLED),
        ("next", |words| words.next.is_some(), POLLED),
        ("retries", |words| words.retries.is_some(), POLLED),
        ("time_format", |words| words.time_format.is_some(), POLLED),
        ("ignore_duplicates", |words| words.ignore_duplicates.is_some(), POLLED),
        ("query", |words| words.query.is_some(), &[GraphqlPoll]),
        ("next_parameter", |words| words.next_parameter.is_some(), &[HttpPoll]),
        ("stream", |words| words.stream.is_some(), STREAMED),
        ("listen_delete", |words| words.listen_delete.is_some(), STREAMED),
        ("no_dependencies", |words| words.no_dependencies.is_some(), STREAMED),
        ("with_inferences", |words| words.with_inferences.is_some(), STREAMED),
        ("recover", |words| words.recover.is_some(), STREAMED),
        ("consumer_count", |words| words.consumer_count.is_some(), STREAMED),
    ]
};

impl Declaration {
    pub(super) fn kind(&self) -> SourceKind {
        self.kind.as_ref().map_or(SourceKind::Webhook, |kind| kind.0)
    }

    /// # Errors
    /// Which key its kind does not have.
    pub(super) fn check_keys(&self) -> Result<()> {
        let kind = self.kind();
        for (key, is_set, kinds) in KEYS {
            ensure!(!is_set(self) || kinds.contains(&kind), "`{key}` is nothing that a source of kind `{kind}` has");
        }
        Ok(())
    }

    /// How the host reads it, if it does not post.
    ///
    /// # Errors
    /// What is wrong, and what is allowed. No secret is in the text.
    pub(super) fn take_pull(&mut self) -> Result<Option<Pull>> {
        let kind = self.kind();
        if kind == SourceKind::Webhook {
            return Ok(None);
        }
        let is_stream = kind == SourceKind::OpenctiStream;
        let text = self.url.take().context("it needs a `url`")?.0;
        let format = match kind {
            SourceKind::HttpPoll => TimeFormat::Rfc3339,
            _ => TimeFormat::UnixMs,
        };
        let format = self.time_format.take().map_or(format, |format| format.0);
        let rest = SinceText::parse(&text, format).context("`url`")?;
        // A URL may hold a secret and is not shown.
        let url: Result<Url, _> = if kind == SourceKind::HttpPoll { rest.at(0).parse() } else { text.parse() };
        let url = url.map_err(|error| anyhow!("`url` is no URL such as https://octi.example: {error}"))?;
        let reader = match kind {
            SourceKind::OpenctiStream => PullReader::Opencti(self.take_stream()?),
            SourceKind::GraphqlPoll => {
                let query = self.query.take().context("it needs a `query`")?.0;
                ensure!(
                    self.next.is_none() || query.contains("$after"),
                    "`next` names the page after an answer for the query's variable `$after`, which it does not have"
                );
                ensure!(self.items.is_some(), "it needs `items`, where the items are in the answer: /data/works/edges");
                self.take_poll(PollQuery::Graphql(SinceText::parse(&query, format).context("`query`")?))?
            }
            _ => {
                let next_parameter = self.next_parameter.take().map(|name| name.0);
                ensure!(
                    next_parameter.is_none() || self.next.is_some(),
                    "`next_parameter` names the parameter for what `next` finds in an answer; set `next` too"
                );
                self.take_poll(PollQuery::Rest { url: rest, next_parameter })?
            }
        };
        let start = self.start.take().map_or("now".to_owned(), |start| start.0);
        let of = match &reader {
            PullReader::Opencti(stream) => format!("{kind} {}", stream.id),
            PullReader::Poll(_) => kind.to_string(),
        };
        let start = Start::parse(&start, &of, is_stream).map_err(|error| anyhow!("`start`: {error}"))?;
        if let PullReader::Opencti(stream) = &reader {
            ensure!(
                stream.recover.is_none() || !start.is_now(),
                "`recover` is up to when objects come from the platform's database, from `start` on, which is `now`; set that"
            );
        }
        let headers = self.take_headers()?;
        let (authentication, connection) = (self.take_authentication()?, self.take_connection(is_stream)?);
        Ok(Some(Pull { endpoint: Endpoint::new(url, headers, authentication, connection)?, start, reader }))
    }

    fn take_stream(&mut self) -> Result<OpenctiStream> {
        let consumer_count = self.consumer_count.take().map_or(CONSUMER_COUNT, |count| count.0.get());
        ensure!(
            consumer_count <= CONSUMER_COUNT_MAX,
            "`consumer_count` is {consumer_count}; at most {CONSUMER_COUNT_MAX}"
        );
        Ok(OpenctiStream {
            id: self.stream.take().context("it needs a `stream`, the id of a live stream")?.0,
            listen_delete: self.listen_delete.take().is_none_or(|flag| flag.0),
            no_dependencies: self.no_dependencies.take().is_some_and(|flag| flag.0),
            with_inferences: self.with_inferences.take().is_some_and(|flag| flag.0),
            recover: self.recover.take().map(|time| time.0),
            consumer_count,
        })
    }

    fn take_poll(&mut self, query: PollQuery) -> Result<PullReader> {
        let interval = self.interval.take().map_or(INTERVAL, |time| time.0.into());
        ensure!(interval >= INTERVAL_MIN, "`interval` is shorter than a second");
        let ignore_duplicates = self.ignore_duplicates.take().is_none_or(|flag| flag.0);
        ensure!(
            ignore_duplicates || self.overlap.is_none(),
            "`overlap` reads items twice, which `ignore_duplicates: false` makes events twice; remove one of them"
        );
        let overlap = if ignore_duplicates { OVERLAP } else { Duration::ZERO };
        Ok(PullReader::Poll(Poll {
            interval,
            overlap: self.overlap.take().map_or(overlap, |time| time.0.into()),
            query,
            items: self.items.take().map_or_else(Pointer::default, |items| items.0),
            next: self.next.take().map(|next| next.0),
            retries: self.retries.take().map_or(RETRIES, |count| count.0),
            ignore_duplicates,
        }))
    }

    fn take_headers(&mut self) -> Result<HeaderMap> {
        let words = std::mem::take(&mut self.headers).into_iter();
        let headers = words.map(|(name, value)| {
            let parsed = header_name(&name, &name)?;
            let mut value = HeaderValue::from_str(&value.0)
                .ok()
                .with_context(|| format!("`{name}` has characters that a header cannot carry"))?;
            value.set_sensitive(true);
            Ok((parsed, value))
        });
        headers.collect::<Result<_>>().context("`headers`")
    }

    fn take_authentication(&mut self) -> Result<Authentication> {
        match (self.token.take(), self.auth.take()) {
            (Some(_), Some(_)) => Err(anyhow!("`token` and `auth` are both set; remove one of them")),
            (Some(token), None) => Authentication::bearer(&token.0).context("`token`"),
            (None, Some(words)) => words.into_authentication().context("`auth`"),
            (None, None) => Ok(Authentication::default()),
        }
    }

    fn take_connection(&mut self, is_stream: bool) -> Result<hookmill_connection::Connection> {
        // Its paths are whole already.
        let folder = Path::new("");
        let (key, password) = (self.client_key.take(), self.client_password.take());
        let options = ConnectionOptions {
            allow_networks: std::mem::take(&mut self.allow_networks).into_iter().map(|network| network.0).collect(),
            proxy: self.proxy.take().map(|url| url.0),
            ca: authorities(folder, self.ca.take(), self.ca_password.take())?,
            client: client_certificate(folder, self.client_certificate.take(), key, password)?,
            connect_timeout: self.connect_timeout.take().map(|time| time.0.into()),
            timeout: Some(match self.timeout.take() {
                Some(time) => time.0.into(),
                None if is_stream => STREAM_TIMEOUT,
                None => POLL_TIMEOUT,
            }),
            is_stream,
        };
        options.build()
    }
}
