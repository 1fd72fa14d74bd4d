//! A client of the stream gets every audit entry once and in order: live, later, after a restart, slowly, and beside a
//! thousand other clients.

use crate::guest::guest;
use crate::host::{Folder, Host, client, eventually, next_millisecond, send};
use crate::outcome::incident;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// The memory that each of a thousand clients may take, with what the allocator keeps.
const READER_BYTES_MAX: f64 = 96.0 * 1024.0;
/// Much shorter than the drain timeout for requests in progress.
const AT_ONCE: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

impl Event {
    fn new(block: &str) -> Self {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("no {name} in {block}"))
        };
        let data = serde_json::from_str(field("data")).unwrap();
        Self { id: field("id").into(), name: field("event").into(), data }
    }

    /// Parses every complete event.
    fn all(text: &str) -> Vec<Self> {
        let (whole, _) = text.rsplit_once("\n\n").unwrap();
        whole.split("\n\n").map(Self::new).collect()
    }

    fn is_entry(&self) -> bool {
        ["create", "update", "delete"].contains(&self.name.as_str())
    }
}

/// A client of the stream.
pub struct Reader {
    response: Response,
    text: String,
    come: VecDeque<Event>,
    /// The id of the `connected` event.
    pub connected: Event,
}

impl Reader {
    async fn of(host: &Host<'_>, query: &str, last: Option<&str>) -> Self {
        Self::at(host, &format!("/api/stream{query}"), last).await
    }

    pub async fn at(host: &Host<'_>, path: &str, last: Option<&str>) -> Self {
        let mut request = host.request(Method::GET, path);
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let connected = Event { id: String::new(), name: String::new(), data: Value::Null };
        let mut reader = Self { response, text: String::new(), come: VecDeque::new(), connected };
        reader.connected = reader.next().await.unwrap();
        assert_eq!(reader.connected.name, "connected");
        reader
    }

    /// Returns the next event; `None` if the host has ended the stream.
    pub async fn next(&mut self) -> Option<Event> {
        while self.come.is_empty() {
            let bytes = self.response.chunk().await.unwrap()?;
            self.text += std::str::from_utf8(&bytes).unwrap();
            if let Some((whole, rest)) = self.text.rsplit_once("\n\n") {
                self.come.extend(whole.split("\n\n").map(Event::new));
                self.text = rest.to_owned();
            }
        }
        self.come.pop_front()
    }

    /// Returns the next entries.
    pub async fn entries(&mut self, count: usize) -> Vec<Event> {
        let mut entries = Vec::new();
        while entries.len() < count {
            entries.extend(self.next().await.filter(Event::is_entry));
        }
        entries
    }
}

fn folder(config: &str) -> Folder {
    let sources = "sources: { lab: { scheme: none, plugin: returns }, other: { scheme: none, plugin: returns } }";
    Folder::new(&format!("{config}\n{sources}")).with("returns", &guest("returns"))
}

/// Creates an incident and returns its id.
async fn create(host: &Host<'_>, source: &str, what: Value) -> String {
    let answer = host.post(source, incident(what)).await;
    assert_eq!(answer.status_word(), "accepted", "{answer:?}");
    answer.body["incident_id"].as_str().unwrap().to_owned()
}

async fn patch(host: &Host<'_>, id: &str, what: Value) {
    let answer = host.call(Method::PATCH, &format!("/api/incidents/{id}"), what.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

fn assert_in_order(events: &[Event]) {
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id), "{:?}", names(events));
}

#[tokio::test]
async fn entries_come_as_they_are_written() {
    let folder = folder("");
    let host = folder.start().await;
    let mut all = Reader::of(&host, "", None).await;
    let first = create(&host, "lab", json!({"source-ref": "1", "title": "A", "severity": "high"})).await;
    patch(&host, &first, json!({"title": "B", "severity": "low"})).await;
    // This payload only increases `occurrences`, so there is no entry.
    create(&host, "lab", json!({"source-ref": "1"})).await;
    let second = create(&host, "other", json!({"source-ref": "1", "severity": "high"})).await;
    let path = format!("/api/incidents/{first}");
    assert_eq!(host.call(Method::DELETE, &path, "").await.status, 204);

    let seen = all.entries(4).await;
    assert_eq!(names(&seen), ["create", "update", "create", "delete"]);
    assert_in_order(&seen);
    for id in [first, second] {
        let of_it = seen.iter().map(|event| &event.data).filter(|entry| entry["objectId"] == *id);
        let trail = host.list(&format!("/api/incidents/{id}/audit")).await;
        assert!(of_it.eq(&trail), "each with the object as it was then: {trail:#?}");
    }

    // Reading later gives the same entries, all or from a position.
    let picks: [(&str, &[usize]); 8] = [
        ("", &[0, 1, 2, 3]),
        ("&source=lab", &[0, 1, 3]),
        ("&severity=high", &[0, 2]),
        ("&severity=high&severity=low", &[0, 1, 2, 3]),
        ("&type=create", &[0, 2]),
        ("&type=update&type=delete", &[1, 3]),
        ("&type=create&source=other&severity=high", &[2]),
        ("&source=nobody", &[]),
    ];
    let mut last = None;
    let mut readers = Vec::new();
    for (filter, picked) in picks {
        let mut reader = Reader::of(&host, &format!("?from=0{filter}"), None).await;
        let expected: Vec<Event> = picked.iter().map(|&index| seen[index].clone()).collect();
        assert_eq!(reader.entries(picked.len()).await, expected, "{filter}");
        readers.push((filter, reader));
    }
    // New entries are filtered too.
    for severity in ["low", "high"] {
        create(&host, "other", json!({"source-ref": severity, "severity": severity})).await;
        last = all.entries(1).await.pop();
    }
    let last = last.unwrap();
    for (filter, reader) in &mut readers {
        if ["", "&severity=high", "&type=create&source=other&severity=high"].contains(filter) {
            let count = if filter.is_empty() { 2 } else { 1 };
            assert_eq!(reader.entries(count).await.last(), Some(&last), "{filter}");
        }
    }
    // A client without matching entries still gets the position.
    let (filter, quiet) = readers.last_mut().unwrap();
    let heartbeat = quiet.next().await.unwrap();
    assert_eq!((heartbeat.name.as_str(), &heartbeat.id), ("heartbeat", &last.id), "{filter}");
}

#[tokio::test]
async fn no_entry_is_lost_or_repeated_over_a_restart() {
    let folder = folder("");
    let host = folder.start().await;
    let mut reader = Reader::of(&host, "", None).await;
    let start = reader.connected.id.clone();
    create(&host, "lab", json!({"source-ref": "0"})).await;
    create(&host, "lab", json!({"source-ref": "1"})).await;
    let before = reader.entries(2).await;
    host.kill();

    let host = folder.start().await;
    create(&host, "lab", json!({"source-ref": "2"})).await;
    let mut resumed = Reader::of(&host, "?from=0", Some(&before[1].id)).await;
    assert_eq!(resumed.connected.id, before[1].id);
    let missed = resumed.entries(1).await;
    next_millisecond().await;
    create(&host, "lab", json!({"source-ref": "3"})).await;
    let live = resumed.entries(1).await;
    let all = [before.clone(), missed, live].concat();
    let references: Vec<&Value> = all.iter().map(|event| &event.data["object"]["source_ref"]).collect();
    assert_eq!(references, ["0", "1", "2", "3"]);
    assert_in_order(&all);

    let time = all[3].data["object"]["created_at"].as_str().unwrap();
    let rows = [
        ("?from=0".to_owned(), None, 0),
        ("?from=0-0".to_owned(), None, 0),
        ("?from=1970-01-01T00:00:00Z".to_owned(), None, 0),
        (String::new(), Some("0"), 0),
        // The position of a client that has got no entry yet.
        (String::new(), Some(start.as_str()), 0),
        (format!("?from={}", all[0].id), None, 1),
        (format!("?from={}", all[0].id), Some(all[1].id.as_str()), 2),
        (format!("?from={time}"), None, 3),
    ];
    for (query, last, first) in rows {
        let mut reader = Reader::of(&host, &query, last).await;
        assert_eq!(reader.entries(all.len() - first).await, all[first..], "{query} {last:?}");
    }
    // From now on, and from a time in the future.
    let mut readers =
        vec![Reader::of(&host, "", None).await, Reader::of(&host, "?from=2100-01-01T00:00:00Z", None).await];
    create(&host, "lab", json!({"source-ref": "4"})).await;
    for reader in &mut readers {
        assert_eq!(reader.connected.id, all[3].id);
        assert_eq!(reader.entries(1).await[0].data["object"]["source_ref"], "4");
    }
}

#[tokio::test]
async fn invalid_requests_for_the_stream_are_refused() {
    let folder = folder("limits: { connections: 8 }");
    let token = folder.run(&["token", "create", "--scope", "read", "--name", "reader"]).1;
    let token = token.lines().find(|line| line.starts_with("hm_")).unwrap().trim();
    let host = folder.start().await;
    let places = "the `id` of an event, a time such as 2026-01-31T08:00:00Z, or 0 for all events";
    for (query, last, said) in [
        ("?from=yesterday", None, places),
        ("?from=1", None, places),
        ("?from=", None, places),
        // Not the id of an entry: UUID version 4.
        ("?from=7f9c24e8-3b12-4fef-91e0-5a1d3c9f6d5e", None, places),
        ("", Some("1700000000000-0"), places),
        ("", Some("\u{e4}"), places),
        ("?from=0&from=0", None, "once"),
        ("?severity=urgent", None, "informational, low, medium, high, critical"),
        ("?type=merge", None, "create, update, delete"),
        ("?limit=1", None, "unknown parameter `limit`"),
    ] {
        let mut request = host.request(Method::GET, &format!("/api/stream{query}"));
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        let answer = send(request).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), (400, "invalid_request"), "{query} {last:?}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(said), "{query}: {answer:?}");
    }

    let get = |token: &str| client().get(format!("{}/api/stream", host.url)).bearer_auth(token);
    assert_eq!(send(get("hm_wrong")).await.unwrap().status, 401);
    assert_eq!(send(client().get(format!("{}/api/stream", host.url))).await.unwrap().status, 401);
    let first = get(token).send().await.unwrap();
    assert_eq!(first.status(), 200);
    // A quarter of the connections may follow the stream, so that some are left for other requests.
    let _second = Reader::of(&host, "", None).await;
    let refused = send(get(token)).await.unwrap();
    assert_eq!((refused.status, refused.error_code(), refused.retry_after.as_deref()), (503, "overloaded", Some("1")));
    assert_eq!(host.metric("stream_readers").await, 2.0);
    drop(first);
    eventually("a place for another one", async || (host.metric("stream_readers").await == 1.0).then_some(())).await;
    Reader::of(&host, "", None).await;
}

/// Clients that join under load, from the beginning or from a position, get the same entries as the others.
#[tokio::test]
async fn clients_that_join_under_load_get_every_entry() {
    const WRITERS: usize = 8;
    const EACH: usize = 60;
    let folder = folder("");
    let host = folder.start().await;
    let writers = async {
        let mut requests = JoinSet::new();
        for writer in 0..WRITERS {
            let webhook = host.webhook("lab");
            requests.spawn(async move {
                for round in 0..EACH {
                    // Every writer changes one incident repeatedly.
                    let body = incident(json!({"source-ref": writer.to_string(), "title": format!("{round}")}));
                    let answer = send(webhook.try_clone().unwrap().body(body)).await.unwrap();
                    assert_eq!(answer.status_word(), "accepted", "{answer:?}");
                }
            });
        }
        requests.join_all().await;
    };
    let mut first = Reader::of(&host, "", None).await;
    let readers = async {
        let seen = first.entries(WRITERS * EACH / 4).await;
        let mut late = Reader::of(&host, "?from=0", None).await;
        let mut resumed = Reader::of(&host, "", Some(&seen[10].id)).await;
        let all = [seen, first.entries(WRITERS * EACH * 3 / 4).await].concat();
        assert_eq!(late.entries(all.len()).await, all);
        assert_eq!(resumed.entries(all.len() - 11).await, all[11..]);
        all
    };
    let ((), all) = tokio::join!(writers, readers);
    assert_in_order(&all);
    for writer in 0..WRITERS {
        let name = writer.to_string();
        let of_one = all.iter().filter(|event| event.data["object"]["source_ref"] == name);
        let revisions: Vec<&Value> = of_one.map(|event| &event.data["object"]["revision"]).collect();
        assert_eq!(revisions, (1..=EACH).collect::<Vec<_>>(), "each with the object after that change");
    }
}

/// Connects a client with a small receive buffer that reads only when the test does.
async fn slow(host: &Host<'_>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut wire = socket.connect(host.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    // HTTP/1.0 has no chunks between the events.
    let head = format!("GET /api/stream HTTP/1.0\r\nauthorization: Bearer {}\r\n\r\n", crate::host::ADMIN_TOKEN);
    wire.write_all(head.as_bytes()).await.unwrap();
    wire
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_disconnected_and_can_resume() {
    const COUNT: usize = 60;
    let folder = folder("limits: { head_timeout: 1s, deadline_ms: 20000 }");
    let host = folder.start().await;
    let mut quick = Reader::of(&host, "", None).await;
    let mut slow = slow(&host).await;
    eventually("both follow", async || (host.metric("stream_readers").await == 2.0).then_some(())).await;
    // A client without new entries is not disconnected.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(host.metric("stream_readers").await, 2.0);
    let mut all = Vec::new();
    for reference in 0..COUNT {
        create(&host, "lab", json!({"source-ref": reference.to_string(), "description": "d".repeat(30_000)})).await;
        all.extend(quick.entries(1).await);
    }
    eventually("the slow one is closed", async || (host.metric("stream_readers").await == 1.0).then_some(())).await;

    let mut bytes = Vec::new();
    let _ = slow.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (_, text) = text.split_once("\r\n\r\n").unwrap();
    let mut seen = Event::all(text);
    seen.retain(Event::is_entry);
    assert!((1..COUNT).contains(&seen.len()), "{} of {COUNT}", seen.len());
    assert_eq!(seen, all[..seen.len()]);
    let mut resumed = Reader::of(&host, "", Some(&seen.last().unwrap().id)).await;
    assert_eq!(resumed.entries(COUNT - seen.len()).await, all[seen.len()..]);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_clients() {
    let folder = folder("limits: { head_timeout: 10m, deadline_ms: 20000 }");
    let mut host = folder.start().await;
    let mut quick = Reader::of(&host, "", None).await;
    let mut slow = slow(&host).await;
    eventually("both follow", async || (host.metric("stream_readers").await == 2.0).then_some(())).await;
    for reference in 0..60 {
        create(&host, "lab", json!({"source-ref": reference.to_string(), "description": "d".repeat(30_000)})).await;
        quick.entries(1).await;
    }
    let started = Instant::now();
    host.terminate();
    assert_eq!(quick.next().await, None);
    assert!(host.end().await.success());
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    let _ = slow.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_thousand_clients_get_every_entry_in_limited_memory() {
    const READERS: usize = 1000;
    const COUNT: usize = 50;
    let folder = folder("limits: { connections: 4000, deadline_ms: 20000 }");
    let host = folder.start().await;
    for reference in 0..COUNT {
        create(&host, "lab", json!({"source-ref": reference.to_string()})).await;
    }
    let before = host.resident_bytes();
    let mut readers = Vec::new();
    for number in 0..READERS {
        // Half of the readers start at the first entry.
        let (query, count) = if number % 2 == 0 { ("?from=0", 2 * COUNT) } else { ("", COUNT) };
        readers.push((Reader::of(&host, query, None).await, count));
    }
    let full = send(host.request(Method::GET, "/api/stream")).await.unwrap();
    assert_eq!((full.status, full.retry_after.as_deref()), (503, Some("1")));
    for reference in 0..COUNT {
        create(&host, "other", json!({"source-ref": reference.to_string()})).await;
    }
    let mut newest: Option<Vec<Event>> = None;
    for (reader, count) in &mut readers {
        let entries = reader.entries(*count).await;
        assert_in_order(&entries);
        let these = entries[*count - COUNT..].to_vec();
        assert_eq!(newest.get_or_insert_with(|| these.clone()), &these);
    }
    let each = (host.resident_bytes() - before) / READERS as f64;
    eprintln!("each of {READERS} readers costs {each:.0} bytes");
    assert!(each < READER_BYTES_MAX, "{each}");
}
