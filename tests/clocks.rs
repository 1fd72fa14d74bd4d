//! The one clock of a host: clocks that are wrong, go ahead and are set back.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder, client, eventually};
use crate::receiver::{Receiver, Reply};
use hookmill_host::running::Running;
use hookmill_incident::{Clock, STEADY_FOR};
use jiff::Timestamp;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use std::time::Instant;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Longer than anything is kept.
const AGES_MS: i64 = 500 * DAY_MS;

/// Returns a clock that has kept pace for long enough.
fn steady() -> Clock {
    Clock::steady_since(Instant::now().checked_sub(STEADY_FOR).unwrap())
}

pub async fn call(host: &Running, method: Method, path: &str, body: impl Into<Body>) -> Value {
    let request = client().request(method, format!("http://{}{path}", host.address)).bearer_auth(ADMIN_TOKEN);
    request.body(body).send().await.unwrap().json().await.unwrap()
}

pub async fn get(host: &Running, path: &str) -> Value {
    call(host, Method::GET, path, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_ahead_for_a_moment_puts_nothing_off() {
    let receiver = Receiver::start([Reply::Status(200), Reply::Status(500)]).await;
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: none }} }}
destinations: {{ relay: {{ type: http, url: \"{}\", allow_networks: [127.0.0.0/8] }} }}
notifications: [{{ name: relay, trigger: event_received, notify: [{{ to: relay }}] }}]",
        receiver.url
    ));
    let clock = Clock::default();
    let host = folder.start_with(&clock).await;
    let post = async |body: &'static str| call(&host, Method::POST, "/api/webhooks/lab", body).await;
    let is_repeat = |answer: Value| answer["duplicate"] == json!(true);
    assert!(!is_repeat(post("before").await));
    clock.shift_ms(DAY_MS);
    assert!(!is_repeat(post("ahead").await));
    eventually("the attempt that fails is recorded", async || {
        let pending = get(&host, "/api/deliveries?status=pending").await;
        (pending["data"][0]["attempts"].as_array()?.len() == 1).then_some(())
    })
    .await;
    clock.shift_ms(-DAY_MS);
    // Ids stay ahead, and times of arrival do not.
    assert!(!is_repeat(post("after").await));
    assert!(is_repeat(post("after").await));
    assert!(is_repeat(post("before").await));
    // The retry of the failed attempt would be due in a day.
    receiver.wait_for(4).await;
    host.stop().await;
}

/// Operators' actions are kept for 400 days, by a clock that has kept pace for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_went_ahead_removes_no_records() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let change = async |host: &Running| call(host, Method::POST, "/api/events/0/discard", "").await;
    let records = async |host: &Running| get(host, "/api/operator-actions").await["data"].as_array().unwrap().len();
    let past = Clock::default();
    past.shift_ms(-AGES_MS);
    // A host that has just started does not know whether its clock is right.
    for (clock, expected) in [(past, 1), (Clock::default(), 2)] {
        let host = folder.start_with(&clock).await;
        change(&host).await;
        assert_eq!(records(&host).await, expected);
        host.stop().await;
    }
    let (clock, late) = (steady(), steady());
    let host = folder.start_with(&clock).await;
    clock.shift_ms(AGES_MS);
    change(&host).await;
    clock.shift_ms(-AGES_MS);
    change(&host).await;
    assert_eq!(records(&host).await, 4, "the clock may be wrong again");
    host.stop().await;
    let host = folder.start_with(&late).await;
    change(&host).await;
    assert_eq!(records(&host).await, 4, "the oldest is gone");
    host.stop().await;
}

/// Whatever has a time has that of the host's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_plugins_and_notices_have_the_time_of_the_hosts_clock() {
    let receiver = Receiver::start([]).await;
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: none }} }}
destinations:
  relay:
    type: webhook
    url: \"{}\"
    format: standard-webhooks
    secret: whsec_{}
    allow_networks: [127.0.0.0/8]
notifications: [{{ name: relay, trigger: plugin_refused, notify: [{{ to: relay }}] }}]",
        receiver.url,
        "A".repeat(40)
    ))
    .with("returns", &guest("returns"))
    .with("refused", b"no component");
    let clock = Clock::default();
    clock.shift_ms(AGES_MS);
    let host = folder.start_with(&clock).await;
    let is_now = |time: &Value| {
        let time: Timestamp = time.as_str().unwrap().parse().unwrap();
        (clock.now_ms() - time.as_millisecond()).abs() < DAY_MS
    };
    let notice = receiver.wait_for(1).await.remove(0);
    assert!(is_now(&notice.body["timestamp"]), "{}", notice.body);
    let signed_at: i64 = notice.header("webhook-timestamp").parse().unwrap();
    assert!((clock.now_ms() - signed_at * 1000).abs() < DAY_MS, "{signed_at}");
    let plugin = eventually("the plugin is loaded", async || {
        let plugins = get(&host, "/api/plugins").await["data"].as_array().unwrap().clone();
        plugins.into_iter().find(|plugin| plugin["name"] == "returns" && plugin["loaded_at"].is_string())
    })
    .await;
    assert!(is_now(&plugin["loaded_at"]), "{plugin}");
    host.stop().await;
}
