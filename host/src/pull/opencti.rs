//! `opencti-stream`: reads a live stream of OpenCTI.
//!
//! Several events of a stream can have the same id: the dependencies of an object precede it under its id. So an id counts
//! as read only when another id follows. Events that are read again are recognized by stream id, topic and object.

use super::endpoint::Endpoint;
use super::item::{BATCH_BYTES, BATCH_ITEMS, Item};
use super::read_error::ReadError;
use super::sse::{Frame, FrameParser};
use crate::traces::Trace;
use bytes::Bytes;
use hookmill_connection::{Code, Failure};
use hookmill_incident::Clock;
use jiff::Timestamp;
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

/// The names of events about the connection, which are not items.
const CONNECTION_EVENTS: [&str; 4] = ["connected", "heartbeat", "consumer_metrics", NO_RECOVER];
/// The event with which the platform refuses `recover`.
const NO_RECOVER: &str = "no-recover";
/// The wait for more events after the first, so that events that arrive together are stored together.
const BATCH_WAIT: Duration = Duration::from_millis(2);
/// Stream ids further ahead of the host's clock are ignored.
const AHEAD_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// The settings of a live stream of OpenCTI.
#[derive(Debug)]
pub struct OpenctiStream {
    /// The id of the stream.
    pub id: String,
    /// Whether the stream reports objects that leave it.
    pub listen_delete: bool,
    /// Whether objects come without their dependencies.
    pub no_dependencies: bool,
    /// Whether the stream includes objects inferred by rules.
    pub with_inferences: bool,
    /// The time up to which objects are read from the platform's database, because the stream does not keep them.
    pub recover: Option<Timestamp>,
    /// The number of events that are mapped at the same time.
    pub consumer_count: usize,
}

/// The id of an event: `<milliseconds>-<number>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId {
    ms: u64,
    number: u64,
}

impl FromStr for StreamId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let count = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let (ms, number) = text.split_once('-').ok_or(())?;
        Ok(Self { ms: count(ms).ok_or(())?, number: count(number).ok_or(())? })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}-{}", self.ms, self.number)
    }
}

/// A connection to a stream.
pub(super) struct StreamConnection<'p> {
    endpoint: &'p Endpoint,
    clock: &'p Clock,
    response: Response,
    parser: FrameParser,
    /// The end of the stream.
    end: Option<Result<(), Failure>>,
    /// The last id received; more events with this id may follow.
    last_id: String,
    /// The last id of which all events were received.
    pub done: StreamId,
}

/// Events that arrived together.
#[derive(Default)]
pub(super) struct Batch {
    pub items: Vec<Item>,
    /// The number of events that exceed the source's payload limit.
    pub oversized: usize,
    /// The names of the events about the connection.
    pub connection_events: BTreeSet<&'static str>,
}

impl OpenctiStream {
    /// Connects to the stream at a position.
    pub(super) async fn connect<'p>(
        &self,
        endpoint: &'p Endpoint,
        position: &str,
        payload_bytes_max: usize,
        clock: &'p Clock,
    ) -> Result<StreamConnection<'p>, ReadError> {
        let mut url = endpoint.url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["stream", &self.id]);
        }
        let is_before = |until: &Timestamp| {
            position.split('-').next().and_then(|ms| ms.parse().ok()) < Some(until.as_millisecond())
        };
        if let Some(until) = self.recover.filter(is_before) {
            url.query_pairs_mut().append_pair("recover", &until.to_string());
        }
        let mut request = Endpoint::get(url);
        let done = position.parse().unwrap_or_default();
        let position = HeaderValue::from_str(position)
            .map_err(|_| Failure::new(Code::Request, "the stored position is not a stream id"))?;
        let flag = |flag: bool| HeaderValue::from_static(if flag { "true" } else { "false" });
        request.headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("text/event-stream")),
            (HeaderName::from_static("last-event-id"), position),
            (HeaderName::from_static("listen-delete"), flag(self.listen_delete)),
            (HeaderName::from_static("no-dependencies"), flag(self.no_dependencies)),
            (HeaderName::from_static("with-inferences"), flag(self.with_inferences)),
        ]);
        let response = endpoint.send(request, clock, &Trace::default()).await?;
        let media_type = |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b';').next().map(<[u8]>::to_vec);
        let is_stream = |value: &HeaderValue| {
            media_type(value).is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
        };
        if !response.headers().get(CONTENT_TYPE).is_some_and(is_stream) {
            let text = "the answer of the server is not an event stream; set `url` to the address of the platform, without /stream";
            return Err(Failure::new(Code::Answer, text).into());
        }
        let parser = FrameParser::new(payload_bytes_max);
        Ok(StreamConnection { endpoint, clock, response, parser, end: None, last_id: String::new(), done })
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.connection_events.is_empty() && self.oversized == 0
    }
}

impl StreamConnection<'_> {
    /// Returns the time that the server asks clients to wait before they reconnect.
    pub fn server_wait(&self) -> Option<Duration> {
        self.parser.retry()
    }

    /// Waits for an event and returns it with those that arrive right after it; `None` at the end of the stream.
    pub async fn batch(&mut self) -> Result<Option<Batch>, Failure> {
        let (mut batch, mut frames, mut bytes) = (Batch::default(), Vec::new(), 0);
        let mut wait_until: Option<Instant> = None;
        while self.end.is_none() && (batch.is_empty() || (bytes < BATCH_BYTES && batch.items.len() < BATCH_ITEMS)) {
            let chunk = tokio::select! {
                biased;
                chunk = self.endpoint.in_time(self.endpoint.chunk(&mut self.response)) => chunk.flatten(),
                () = sleep_until(wait_until.unwrap_or_else(Instant::now)), if wait_until.is_some() => break,
            };
            match chunk {
                Ok(Some(chunk)) => {
                    bytes += chunk.len();
                    self.parser.parse(&chunk, &mut frames);
                }
                Ok(None) => self.end = Some(Ok(())),
                Err(failure) => self.end = Some(Err(failure)),
            }
            frames.drain(..).for_each(|frame| self.sort(frame, &mut batch));
            if wait_until.is_none() && !batch.is_empty() {
                wait_until = Some(Instant::now() + BATCH_WAIT);
            }
        }
        match &self.end {
            _ if !batch.is_empty() => Ok(Some(batch)),
            Some(Err(failure)) => Err(failure.clone()),
            _ => Ok(None),
        }
    }

    fn sort(&mut self, frame: Frame, batch: &mut Batch) {
        if !frame.id.is_empty() && frame.id != self.last_id {
            let before: Option<StreamId> = std::mem::replace(&mut self.last_id, frame.id.clone()).parse().ok();
            let latest = (self.clock.now_ms() + AHEAD_MS_MAX).unsigned_abs();
            // An invalid id, or one far in the future, is not a position to continue from.
            self.done = before.filter(|id| id.ms <= latest).map_or(self.done, |id| id.max(self.done));
        }
        if let Some(name) = CONNECTION_EVENTS.into_iter().find(|name| *name == frame.event) {
            if name == NO_RECOVER {
                warn!("the platform refused `recover`: objects that the stream does not keep are not read");
            }
            batch.connection_events.insert(name);
            return;
        }
        match frame.data {
            Some(data) => batch.items.push(item(frame.event, frame.id, data.into())),
            None => batch.oversized += 1,
        }
    }
}

fn item(event: String, id: String, body: Bytes) -> Item {
    #[derive(Deserialize)]
    struct StreamMessage {
        data: Option<Object>,
    }
    #[derive(Deserialize)]
    struct Object {
        id: Option<String>,
    }
    let message: Option<StreamMessage> = serde_json::from_slice(&body).ok();
    let object = message.and_then(|message| message.data?.id);
    let mut digest = Sha256::new_with_prefix(&event).chain_update(" ");
    match &object {
        Some(object) => digest.update(object),
        None => digest.update(&body),
    }
    let identity = id.clone();
    Item {
        digest: digest.finalize().into(),
        identity,
        body,
        context: vec![("sse.event".into(), event), ("sse.id".into(), id)],
    }
}
