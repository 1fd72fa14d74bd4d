//! Receivers of deliveries, and servers of pulled sources, that ask to wait.

use crate::guest::{echo, guest};
use crate::host::{Folder, Host, eventually};
use crate::outcome::{incident, returns};
use crate::receiver::{Receiver, Reply};
use crate::server::{Page, Server};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn folder(config: &str) -> Folder {
    Folder::new(&format!("sources: {{ lab: {{ scheme: none, plugin: returns }} }}\n{config}"))
        .with("returns", &guest("returns"))
}

/// The times of the messages that a chat took.
type Taken = Arc<Mutex<Vec<Instant>>>;

async fn answer(State(taken): State<Taken>) -> Response {
    let (now, mut taken) = (Instant::now(), taken.lock().unwrap());
    if taken.last().is_some_and(|last| now - *last < Duration::from_secs(1)) {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
    }
    taken.push(now);
    "ok".into_response()
}

/// Starts a chat that takes one message a second and asks to wait a second otherwise. Returns its URL.
async fn chat(taken: Taken) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer)).with_state(taken)).await });
    url
}

async fn delivery(host: &Host<'_>, destination: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/deliveries?destination={destination}");
    eventually(&path, async || host.list(&path).await.pop().filter(&wanted)).await
}

/// Thirty incidents at once reach a chat that takes one a second, whether the host knows its limit or learns of it.
#[tokio::test]
async fn a_busy_chat_gets_all_messages_in_time() {
    let (known, learnt) = (Taken::default(), Taken::default());
    let folder = folder(&format!(
        "destinations:
  known: {{ type: slack, url: \"{}\", allow_networks: [127.0.0.0/8] }}
  learnt: {{ type: slack, url: \"{}\", allow_networks: [127.0.0.0/8], requests_per_second: 1000, retry_schedule: [] }}
notifications: [{{ name: n, trigger: incident_created, notify: [{{ to: known }}, {{ to: learnt }}] }}]\n",
        chat(known.clone()).await,
        chat(learnt.clone()).await
    ));
    let host = folder.start().await;
    let incidents: Vec<Value> = (0..30).map(|number| json!({"source-ref": number.to_string()})).collect();
    assert_eq!(host.post("lab", returns(&json!({"incidents": incidents}))).await.status, 202);
    for taken in [known, learnt] {
        eventually("all arrive", async || (taken.lock().unwrap().len() == 30).then_some(())).await;
        let taken = taken.lock().unwrap();
        let took = taken[29] - taken[0];
        assert!(took < Duration::from_secs(40), "{took:?}");
    }
    let deliveries = host.settled("/api/deliveries").await;
    assert!(deliveries.iter().all(|delivery| delivery["status"] == "delivered"));
}

/// A wait that the receiver asks for is none of the schedule's, which is empty here. Other waits are.
#[tokio::test]
async fn an_asked_wait_uses_no_step() {
    let busy = |code| Reply::With(code, "Retry-After", "0.2".into());
    let asks = Receiver::start([busy(429), busy(503), busy(429)]).await;
    let says_no_more = Receiver::start([Reply::Status(429)]).await;
    let folder = folder(&format!(
        "webhooks:
  asks: {{ url: \"{}\", allow_networks: [127.0.0.0/8], retry_schedule: [] }}
  dies: {{ url: \"{}\", allow_networks: [127.0.0.0/8], retry_schedule: [] }}\n",
        asks.url, says_no_more.url
    ));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    let delivered = delivery(&host, "asks", |delivery| delivery["status"] == "delivered").await;
    let codes: Vec<&Value> = delivered["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["code"]).collect();
    let asked = json!("asked_to_wait");
    assert_eq!(codes, [&asked, &asked, &asked, &Value::Null], "{delivered}");
    let dead = delivery(&host, "dies", |delivery| delivery["status"] == "dead").await;
    assert_eq!(dead["attempts"].as_array().unwrap().len(), 1, "{dead}");
}

/// The whole destination waits, also for longer than the circuit breaker's pause.
#[tokio::test]
async fn a_long_wait_is_for_all_deliveries() {
    let busy = Receiver::start([Reply::With(429, "retry-after", "99999999999999999999".into())]).await;
    let folder = folder(&format!("webhooks: {{ busy: {{ url: \"{}\", allow_networks: [127.0.0.0/8] }} }}\n", busy.url));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    host.logs("destination paused for 86400 s").await;
    host.post("lab", incident(json!({"source-ref": "b"}))).await;
    let waiting = delivery(&host, "busy", |delivery| delivery["attempts"].as_array().unwrap().len() == 1).await;
    assert_eq!(waiting["status"], "pending");
    assert_eq!(busy.received().len(), 1);
}

/// A busy server is asked again when it says, not when the backoff does, and no retry is used up.
#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says() {
    let busy = || Page::status(429, "").with("Retry-After", "0.5");
    let server = Server::start([busy(), busy(), busy(), busy(), Page::json(&json!([{"a": 1}]))]).await;
    let keys = "kind: http-poll, plugin: echo, allow_networks: [127.0.0.0/8], interval: 1h, retries: 0";
    let sources = format!("sources: {{ items: {{ {keys}, url: \"{}/items\" }} }}\n", server.url);
    let folder = Folder::new(&sources).with("echo", &echo("1.0"));
    let host = folder.start().await;
    server.asked(1).await;
    let started = Instant::now();
    eventually("the item", async || (host.get("/api/sources/items").await["accepted"] == 1).then_some(())).await;
    assert!(started.elapsed() < Duration::from_secs(12), "the backoff alone takes fifteen seconds");
    assert_eq!(server.asked(5).await.len(), 5);
}
