//! Makes the settings for pulling a source from the source's declaration.

use super::source::{DetailDeclaration, FilesDeclaration, OperationsDeclaration, SourceDeclaration};
use super::typed::TypedDeclaration;
use super::value::{Interpolated, SECRET_BYTES_MIN};
use crate::pull::{
    Detail, DetailPages, Endpoint, Files, Follow, JoinedDetail, OpenctiStream, Operations, Paging, Placeholder,
    Pointer, Poll, PollMethod, PollQuery, PollWindow, Pull, PullReader, RequestBody, RequestText, RestRequest, Start,
    TimeFormat,
};
use crate::source::SourceKind;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_connection::{Authentication, Connection, ConnectionOptions, SystemTls, header_name};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(60);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const OVERLAP: Duration = Duration::from_secs(60);
const RETRIES: u32 = 3;
/// The time one request of a poll may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);
/// The time a stream may send nothing at all; OpenCTI sends a heartbeat every 5 s.
const STREAM_TIMEOUT: Duration = Duration::from_secs(45);
/// The number of ids in one request for details.
const BATCH: usize = 100;
const BATCH_MAX: usize = 1000;
const CONSUMER_COUNT: usize = 10;
const CONSUMER_COUNT_MAX: usize = 256;

impl SourceDeclaration {
    /// Takes the settings for pulling the source; returns `None` for a source that posts.
    ///
    /// # Errors
    /// Returns an error if a key is missing or wrong. The error shows no secret.
    pub(super) fn take_pull(&mut self, system_tls: &SystemTls) -> Result<Option<Pull>> {
        let kind = self.kind();
        if kind == SourceKind::Webhook {
            return Ok(None);
        }
        let mut fingerprint = DefaultHasher::new();
        self.hash(&mut fingerprint);
        let files = [&self.ca, &self.client_certificate, &self.client_key].into_iter().flatten();
        let of_auth = self.auth.iter().flat_map(TypedDeclaration::files).map(Path::new);
        for file in files.map(|file| file.0.as_path()).chain(of_auth) {
            std::fs::read(file).ok().hash(&mut fingerprint);
        }
        let text = self.url.take().context("`url` is missing")?.0;
        let default = if kind == SourceKind::HttpPoll { TimeFormat::Rfc3339 } else { TimeFormat::UnixMs };
        let format = self.time_format.take().map_or(default, |format| format.0);
        let rest = match kind {
            SourceKind::HttpPoll => Some(RequestText::parse(&text, format, Placeholder::OF_URL).context("`url`")?),
            _ => None,
        };
        let url: Result<Url, _> = rest.as_ref().map_or(text.clone(), RequestText::example).parse();
        // The error does not show the URL, which may hold a secret.
        let url = url.map_err(|error| anyhow!("`url` is not a URL such as https://octi.example: {error}"))?;
        let reader = match kind {
            SourceKind::OpenctiStream => PullReader::Opencti(self.take_stream()?),
            _ => {
                let details = self.take_details(&url, format)?;
                let follow = self.take_follow(&url, format)?;
                let query = match rest {
                    Some(address) => self.take_rest(address, format)?,
                    None => self.take_graphql(format)?,
                };
                PullReader::Poll(Box::new(Poll { follow, details, ..self.take_poll(query)? }))
            }
        };
        let start = self.take_start(&reader)?;
        if let PullReader::Poll(poll) = &reader {
            let PollWindow { longest, history, .. } = poll.window;
            ensure!(
                longest.is_none() || history.is_some() || !start.is_everything(),
                "`start: 0` with a `window` would read every window since 1970; set `history`, the time for which the server \
                 keeps items, or another `start`"
            );
        }
        let sent = bodies(&reader).flat_map(RequestBody::texts).filter(|text| text.len() >= SECRET_BYTES_MIN);
        let headers = self.take_headers()?;
        let is_stream = matches!(reader, PullReader::Opencti(_));
        let authentication = self.take_authentication()?.redacting(sent);
        let connection = self.take_endpoint_connection(is_stream, system_tls)?;
        let endpoint = Endpoint::new(url, headers, authentication, connection)?;
        Ok(Some(Pull { endpoint, start, reader, fingerprint: fingerprint.finish() }))
    }

    fn take_graphql(&mut self, format: TimeFormat) -> Result<PollQuery> {
        let query = self.query.take().context("`query` is missing")?.0;
        ensure!(
            self.next.is_none() || query.contains("$after"),
            "`next` finds the value of the query's variable `$after`, which the query does not have"
        );
        ensure!(
            self.items.is_some(),
            "`items` is missing; set the position of the items in an answer, such as /data/works/edges"
        );
        Ok(PollQuery::Graphql(
            RequestText::parse(&query, format, &[Placeholder::Time, Placeholder::Until]).context("`query`")?,
        ))
    }

    fn take_rest(&mut self, url: RequestText, format: TimeFormat) -> Result<PollQuery> {
        let (method, body) = (self.method.take().map(|method| method.0), self.body.take().map(|body| body.0));
        let request = rest_request(url, method, body.as_deref(), format, Placeholder::OF_BODY)?;
        let request = RestRequest { headers: self.take_headers_of_list(format)?, ..request };
        let next_parameter = self.next_parameter.take().map(|name| name.0);
        ensure!(
            next_parameter.is_none() || self.next.is_some(),
            "`next_parameter` is the parameter for the value that `next` finds in an answer; set `next` too"
        );
        let has = |name| request.has(name);
        let is_counted = has(Placeholder::Offset) || has(Placeholder::Page);
        let has_cursor = has(Placeholder::Cursor);
        let operations = self.operations.take().map(|declared| declared.into_operations(format)).transpose()?;
        ensure!(
            operations.is_some() == has(Placeholder::Operation),
            "`operations` are the values of the placeholder NEXT_OPERATION in `url` or `body`; set both, or none of the two"
        );
        ensure!(
            [is_counted, operations.is_some(), self.next.is_some()].into_iter().filter(|is_set| *is_set).count() <= 1,
            "`next`, `operations` and the placeholders NEXT_OFFSET and NEXT_PAGE are different ways to the next page; use one \
             of them"
        );
        ensure!(
            !has_cursor || self.next.is_some(),
            "`body` has NEXT_CURSOR, the value that `next` finds in an answer; set `next` too"
        );
        ensure!(
            !has_cursor || next_parameter.is_none(),
            "`next_parameter` and NEXT_CURSOR in `body` are two places for one value; remove one of the two"
        );
        let paging = match (next_parameter, operations) {
            (_, Some(operations)) => Paging::Operations(operations),
            // Pages with a number cannot overlap.
            _ if has(Placeholder::Page) => Paging::Number,
            _ if is_counted => Paging::Offset,
            _ if has_cursor => Paging::Cursor,
            (Some(parameter), None) => Paging::Parameter(parameter),
            (None, None) => Paging::Url,
        };
        Ok(PollQuery::Rest { request, paging })
    }

    fn take_start(&mut self, reader: &PullReader) -> Result<Start> {
        let kind = self.kind();
        let start = self.start.take().map_or("now".to_owned(), |start| start.0);
        let (of, is_stream) = match reader {
            PullReader::Opencti(stream) => (format!("{kind} {}", stream.id), true),
            PullReader::Poll(_) => (kind.to_string(), false),
        };
        let start = Start::parse(&start, &of, is_stream).map_err(|error| anyhow!("`start`: {error}"))?;
        if let PullReader::Opencti(stream) = reader {
            ensure!(
                stream.recover.is_none() || !start.is_now(),
                "`recover` reads objects from the platform's database since `start`, but `start` is `now`; set `start` to \
                 an earlier time"
            );
        }
        Ok(start)
    }

    fn take_stream(&mut self) -> Result<OpenctiStream> {
        let consumer_count = self.consumer_count.take().map_or(CONSUMER_COUNT, |count| count.0.get());
        ensure!(
            consumer_count <= CONSUMER_COUNT_MAX,
            "`consumer_count` is {consumer_count}; at most {CONSUMER_COUNT_MAX}"
        );
        Ok(OpenctiStream {
            id: self.stream.take().context("`stream` is missing; set the id of a live stream")?.0,
            listen_delete: self.listen_delete.take().is_none_or(|flag| flag.0),
            no_dependencies: self.no_dependencies.take().is_some_and(|flag| flag.0),
            with_inferences: self.with_inferences.take().is_some_and(|flag| flag.0),
            recover: self.recover.take().map(|time| time.0),
            consumer_count,
        })
    }

    fn take_poll(&mut self, query: PollQuery) -> Result<Poll> {
        let interval = self.interval.take().map_or(INTERVAL, |time| time.0.into());
        ensure!(interval >= INTERVAL_MIN, "`interval` is shorter than a second");
        let ignore_duplicates = self.ignore_duplicates.take().is_none_or(|flag| flag.0);
        ensure!(
            ignore_duplicates || self.overlap.is_none(),
            "`overlap` reads items twice, and with `ignore_duplicates: false` each item would become two events; \
             remove one of the two"
        );
        let keep_next = self.keep_next.take().is_some_and(|flag| flag.0);
        let is_counted =
            matches!(&query, PollQuery::Rest { paging: Paging::Offset | Paging::Number | Paging::Operations(_), .. });
        ensure!(
            !keep_next || !is_counted,
            "`keep_next` keeps what the server names as its next page, which this request does not use; remove it"
        );
        let window = self.take_window(ignore_duplicates, &query)?;
        let is_by_time = !keep_next && !matches!(&query, PollQuery::Rest { paging: Paging::Operations(_), .. });
        ensure!(
            window.longest.is_none() || is_by_time,
            "`window` is for requests by time, and `keep_next` and `operations` continue at a position of the server; remove \
             one of the two"
        );
        Ok(Poll {
            interval,
            window,
            query,
            items: self.items.take().map_or_else(Pointer::default, |items| items.0),
            items_optional: self.items_optional.take().is_some_and(|flag| flag.0),
            next: self.next.take().map(|next| next.0),
            keep_next,
            more: self.more.take().map(|more| more.0),
            retries: self.retries.take().map_or(RETRIES, |count| count.0),
            ignore_duplicates,
            follow: None,
            details: Vec::new(),
        })
    }

    fn take_window(&mut self, ignore_duplicates: bool, query: &PollQuery) -> Result<PollWindow> {
        let default = if ignore_duplicates { OVERLAP } else { Duration::ZERO };
        let overlap = self.overlap.take().map_or(default, |time| time.0.into());
        let longest: Option<Duration> = self.window.take().map(|time| time.0.into());
        let history: Option<Duration> = self.history.take().map(|time| time.0.into());
        if let Some(longest) = longest {
            ensure!(longest > overlap, "`window` must be longer than `overlap`, by which each poll looks back");
            let has_end = match query {
                PollQuery::Graphql(query) => query.has(Placeholder::Until),
                PollQuery::Rest { request, .. } => request.has(Placeholder::Until),
            };
            ensure!(
                has_end,
                "`window` sets the end of the time that is read, THIS_POLL_TIME, which the request does not have"
            );
        }
        ensure!(
            history.is_none_or(|history| history > overlap && longest.is_none_or(|longest| history >= longest)),
            "`history`, the time for which the server keeps items, must be longer than `overlap`, and not shorter than `window`"
        );
        Ok(PollWindow { overlap, longest, history })
    }

    fn take_follow(&mut self, url: &Url, format: TimeFormat) -> Result<Option<Follow>> {
        match (self.detail.take(), self.files.take()) {
            (Some(_), Some(_)) => Err(anyhow!("`detail` and `files` are both set; remove one of the two")),
            (Some(detail), None) => detail.into_detail(url, format).map(Follow::Detail).context("`detail`").map(Some),
            (None, Some(files)) => Ok(Some(Follow::Files(files.into_files()))),
            (None, None) => Ok(None),
        }
    }

    fn take_details(&mut self, url: &Url, format: TimeFormat) -> Result<Vec<JoinedDetail>> {
        let details = std::mem::take(&mut self.details);
        ensure!(
            details.is_empty() || self.files.is_none(),
            "`details` and `files` are both set; the lines of files have no details, remove one of the two"
        );
        let joined = details.into_iter().map(|declared| declared.into_joined(url, format));
        joined.collect::<Result<_>>().context("`details`")
    }

    /// Takes the headers with placeholders, which only requests for the list have.
    fn take_headers_of_list(&mut self, format: TimeFormat) -> Result<Vec<(HeaderName, RequestText)>> {
        let (of_list, others) =
            std::mem::take(&mut self.headers).into_iter().partition::<BTreeMap<_, _>, _>(|(_, value)| {
                Placeholder::ALL.iter().any(|name| value.0.contains(name.as_str()))
            });
        self.headers = others;
        let headers = of_list.into_iter().map(|(name, value)| {
            let text = RequestText::parse(&value.0, format, Placeholder::OF_URL).context(name.clone())?;
            header_value(&name, &text.example())?;
            Ok((header_name(&name, &name)?, text))
        });
        headers.collect::<Result<_>>().context("`headers`")
    }

    fn take_headers(&mut self) -> Result<HeaderMap> {
        let headers = std::mem::take(&mut self.headers).into_iter().map(|(name, value)| {
            let (parsed, mut value) = (header_name(&name, &name)?, header_value(&name, &value.0)?);
            value.set_sensitive(true);
            Ok((parsed, value))
        });
        headers.collect::<Result<_>>().context("`headers`")
    }

    fn take_authentication(&mut self) -> Result<Authentication> {
        match (self.token.take(), self.auth.take()) {
            (Some(_), Some(_)) => Err(anyhow!("`token` and `auth` are both set; remove one of the two")),
            (Some(token), None) => Authentication::bearer(&token.0).context("`token`"),
            (None, Some(auth)) => auth.into_authentication().context("`auth`"),
            (None, None) => Ok(Authentication::default()),
        }
    }

    fn take_endpoint_connection(&mut self, is_stream: bool, system_tls: &SystemTls) -> Result<Connection> {
        // `with_files` has made the paths absolute.
        let declared = self.take_connection(Path::new(""))?;
        let timeout = declared.timeout.unwrap_or(if is_stream { STREAM_TIMEOUT } else { POLL_TIMEOUT });
        let system_tls = system_tls.clone();
        ConnectionOptions { timeout: Some(timeout), is_stream, system_tls, ..declared }.build()
    }
}

impl DetailDeclaration {
    /// Returns the request for details that are put into the items of a list at `url`.
    ///
    /// # Errors
    /// Returns an error if a key is wrong.
    fn into_joined(mut self, url: &Url, format: TimeFormat) -> Result<JoinedDetail> {
        let into = self.into.take().map(|into| into.0).filter(|into| !into.is_whole());
        let into = into.context("`into` is missing; set the position in the item for the details, such as /alerts")?;
        let detail = self.into_detail(url, format)?;
        let has_ids = detail.request.has(Placeholder::Ids);
        ensure!(!has_ids, "ITEM_IDS are several items, and details are put into one item; use ITEM_ID");
        Ok(JoinedDetail { detail, into })
    }

    /// Returns the request for details of a list at `url`.
    ///
    /// # Errors
    /// Returns an error if a key is wrong.
    fn into_detail(self, url: &Url, format: TimeFormat) -> Result<Detail> {
        ensure!(
            self.into.is_none(),
            "the answers to `detail` become events in place of the items; `into` is a key of `details`, whose answers are put \
             into the items"
        );
        let address = RequestText::parse(&self.url.0, format, Placeholder::OF_DETAIL_URL).context("`url`")?;
        let (method, body) = (self.method.map(|method| method.0), self.body.map(|body| body.0));
        let request = rest_request(address, method, body.as_deref(), format, Placeholder::OF_DETAIL_BODY)?;
        let detail_url = url.join(&request.url.example()).map_err(|error| anyhow!("`url` is not a URL: {error}"))?;
        ensure!(
            detail_url.origin() == url.origin(),
            "`url` is at another scheme, host or port than the `url` of the source, from which alone a source is read"
        );
        let has = |name| request.body.as_ref().is_some_and(|body| body.has(name));
        let has_ids = has(Placeholder::Ids);
        ensure!(
            has_ids || has(Placeholder::Id) || request.url.has(Placeholder::Id),
            "neither `url` nor `body` has ITEM_ID or ITEM_IDS, the ids of the items of the list"
        );
        ensure!(
            !has_ids || !(has(Placeholder::Id) || request.url.has(Placeholder::Id)),
            "ITEM_ID is one id and ITEM_IDS are several; use one of the two"
        );
        ensure!(
            has_ids || self.batch.is_none(),
            "`batch` is the number of ids in ITEM_IDS, which `body` does not have"
        );
        let batch = self.batch.map_or(if has_ids { BATCH } else { 1 }, |count| count.0.get());
        ensure!(batch <= BATCH_MAX, "`batch` is {batch}; at most {BATCH_MAX}");
        let pointer = |declared: Option<Interpolated<Pointer>>| declared.map_or_else(Pointer::default, |at| at.0);
        let pages = match (self.next, self.next_parameter, self.list) {
            (None, None, None) => None,
            (Some(next), Some(parameter), Some(list)) => {
                ensure!(!has_ids, "`next` finds further pages of one item, and ITEM_IDS are several; use ITEM_ID");
                Some(DetailPages { next: next.0, next_parameter: parameter.0, list: list.0 })
            }
            _ => bail!(
                "further pages of details need `next`, their position in an answer, `next_parameter`, the parameter of the URL \
                 for that value, and `list`, the position of the list that they continue; set all three, or none"
            ),
        };
        Ok(Detail { request, id: pointer(self.id), item: pointer(self.item), batch, pages })
    }
}

impl FilesDeclaration {
    fn into_files(self) -> Files {
        let url = self.url.map_or_else(Pointer::default, |url| url.0);
        Files { url, hosts: self.hosts.into_iter().map(|host| host.0).collect() }
    }
}

impl OperationsDeclaration {
    fn into_operations(self, format: TimeFormat) -> Result<Operations> {
        let first = RequestText::parse(&self.first.0, format, &[Placeholder::Time]);
        Ok(Operations::new(first.context("`operations.first`")?, self.next.0, self.again.0))
    }
}

/// Returns the bodies of a source's requests.
fn bodies(reader: &PullReader) -> impl Iterator<Item = &RequestBody> {
    let poll = match reader {
        PullReader::Poll(poll) => Some(poll),
        PullReader::Opencti(_) => None,
    };
    let of_list = poll.and_then(|poll| match &poll.query {
        PollQuery::Rest { request, .. } => request.body.as_ref(),
        PollQuery::Graphql(_) => None,
    });
    let of_detail = poll.and_then(|poll| match &poll.follow {
        Some(Follow::Detail(detail)) => detail.request.body.as_ref(),
        Some(Follow::Files(_)) | None => None,
    });
    let of_details = poll.into_iter().flat_map(|poll| &poll.details);
    let of_details = of_details.filter_map(|joined| joined.detail.request.body.as_ref());
    of_list.into_iter().chain(of_detail).chain(of_details)
}

fn rest_request(
    url: RequestText,
    method: Option<PollMethod>,
    body: Option<&str>,
    format: TimeFormat,
    allowed: &[Placeholder],
) -> Result<RestRequest> {
    let body = body.map(|text| RequestBody::parse(text, format, allowed)).transpose().context("`body`")?;
    let method = method.unwrap_or(if body.is_some() { PollMethod::Post } else { PollMethod::Get });
    ensure!(body.is_none() || method == PollMethod::Post, "`body` needs `method: POST`; a GET request has none");
    Ok(RestRequest { method, url, headers: Vec::new(), body })
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value).ok().with_context(|| format!("`{name}` has characters that a header cannot carry"))
}
