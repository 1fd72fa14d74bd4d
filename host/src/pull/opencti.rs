//! `opencti-stream`: reads a live stream of OpenCTI.
//!
//! Several events of a stream can have one id: what an object depends on comes before it, and under its id. So a source is
//! read up to an id only when another one follows. What comes again after that is known by stream id, topic and object.

use super::endpoint::Endpoint;
use super::sse::{Frame, Frames};
use super::{BATCH_BYTES, BATCH_ITEMS, Item, Pauses, Pull, Puller, Setback};
use crate::source::Source;
use bytes::Bytes;
use hookmill_connection::{Code, Failure};
use hookmill_incident::timestamp::unix_ms;
use jiff::Timestamp;
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

/// Events that say something of the connection, and nothing of an object.
const OF_CONNECTION: [&str; 4] = ["connected", "heartbeat", "consumer_metrics", NO_RECOVER];
/// Says that `recover` was asked for in vain.
const NO_RECOVER: &str = "no-recover";
/// How long to wait for more when something came: what is there at once is stored at once.
const LINGER: Duration = Duration::from_millis(2);
/// How far the platform's clock may be ahead.
const AHEAD_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// Which stream, and what of it.
#[derive(Debug)]
pub struct OpenctiStream {
    /// Its id.
    pub id: String,
    /// Whether what leaves it is told.
    pub listen_delete: bool,
    /// Whether objects come without what they depend on.
    pub no_dependencies: bool,
    /// Whether what rules inferred is in it.
    pub with_inferences: bool,
    /// Up to when objects are read from the platform's database and not from what the stream still has.
    pub recover: Option<Timestamp>,
    /// How many events are mapped at once.
    pub consumer_count: usize,
}

/// `<milliseconds>-<number>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct StreamId {
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

/// A stream that is being read.
pub(super) struct Reading<'p> {
    endpoint: &'p Endpoint,
    response: Response,
    frames: Frames,
    /// How it ended.
    end: Option<Result<(), Failure>>,
    /// The id that came last, of which there may be more.
    last_id: String,
    /// Up to where all of it came.
    done: StreamId,
}

/// What came of a stream at once.
#[derive(Default)]
pub(super) struct Batch {
    pub items: Vec<Item>,
    /// Events that are larger than a payload of the source may be.
    pub oversized: usize,
    /// The names of what came besides.
    pub signs: BTreeSet<&'static str>,
}

impl OpenctiStream {
    /// Reads the stream to its end, and stores what comes.
    pub(super) async fn read(
        &self,
        puller: &Arc<Puller>,
        source: &Arc<Source>,
        pull: &Pull,
        pauses: &mut Pauses,
    ) -> Result<(), Setback> {
        let position = puller.pipeline.store.cursor(source.name.clone(), pull.start.begin()).await?;
        let mut reading = self.connect(pull, &position, source.settings.payload_bytes_max).await?;
        let mut stored = reading.done;
        while let Some(batch) = reading.batch().await? {
            for _ in 0..batch.oversized {
                puller.refuse_item(source);
            }
            let position = (reading.done > stored).then(|| pull.start.reached(reading.done.to_string()));
            stored = reading.done;
            puller.take(source, batch.items, self.consumer_count, position).await?;
            source.tally.count(|tally| tally.last_success = Some(unix_ms()));
            pauses.succeed(reading.frames.retry());
        }
        Ok(())
    }

    /// Connects to the stream at a position.
    pub(super) async fn connect<'p>(
        &self,
        pull: &'p Pull,
        position: &str,
        payload_bytes_max: usize,
    ) -> Result<Reading<'p>, Setback> {
        let mut url = pull.endpoint.url().clone();
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
        let position =
            HeaderValue::from_str(position).map_err(|_| Failure::new(Code::Request, "its position is no id"))?;
        let flag = |flag: bool| HeaderValue::from_static(if flag { "true" } else { "false" });
        request.headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("text/event-stream")),
            (HeaderName::from_static("last-event-id"), position),
            (HeaderName::from_static("listen-delete"), flag(self.listen_delete)),
            (HeaderName::from_static("no-dependencies"), flag(self.no_dependencies)),
            (HeaderName::from_static("with-inferences"), flag(self.with_inferences)),
        ]);
        let response = pull.endpoint.send(request).await?;
        let is_stream = |value: &HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
        if !response.headers().get(CONTENT_TYPE).is_some_and(is_stream) {
            let text = "the server answers with no event stream; `url` is the platform's address, without /stream";
            return Err(Failure::new(Code::Answer, text).into());
        }
        let frames = Frames::new(payload_bytes_max);
        Ok(Reading { endpoint: &pull.endpoint, response, frames, end: None, last_id: String::new(), done })
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.signs.is_empty() && self.oversized == 0
    }
}

impl Reading<'_> {
    /// Waits for something to come, and takes what else is there already; none at the end of the stream.
    pub async fn batch(&mut self) -> Result<Option<Batch>, Failure> {
        let (mut batch, mut frames, mut bytes) = (Batch::default(), Vec::new(), 0);
        let mut lingers_until: Option<Instant> = None;
        while self.end.is_none() && (batch.is_empty() || (bytes < BATCH_BYTES && batch.items.len() < BATCH_ITEMS)) {
            let chunk = tokio::select! {
                biased;
                chunk = self.endpoint.in_time(self.endpoint.chunk(&mut self.response)) => chunk.flatten(),
                () = sleep_until(lingers_until.unwrap_or_else(Instant::now)), if lingers_until.is_some() => break,
            };
            match chunk {
                Ok(Some(chunk)) => {
                    bytes += chunk.len();
                    self.frames.read(&chunk, &mut frames);
                }
                Ok(None) => self.end = Some(Ok(())),
                Err(failure) => self.end = Some(Err(failure)),
            }
            frames.drain(..).for_each(|frame| self.sort(frame, &mut batch));
            if lingers_until.is_none() && !batch.is_empty() {
                lingers_until = Some(Instant::now() + LINGER);
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
            let latest = (unix_ms() + AHEAD_MS_MAX).unsigned_abs();
            // What is no id, or one of another time, is nothing to go on from.
            self.done = before.filter(|id| id.ms <= latest).map_or(self.done, |id| id.max(self.done));
        }
        if let Some(sign) = OF_CONNECTION.into_iter().find(|sign| *sign == frame.event) {
            if sign == NO_RECOVER {
                warn!("the platform recovers nothing: what the stream does not have any more is not read");
            }
            batch.signs.insert(sign);
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
    struct Message {
        data: Option<Object>,
    }
    #[derive(Deserialize)]
    struct Object {
        id: Option<String>,
    }
    let message: Option<Message> = serde_json::from_slice(&body).ok();
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
