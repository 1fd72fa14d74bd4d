//! Deliveries to webhooks: their content, retries, dead letters and disabled destinations.

use crate::guest::guest;
use crate::host::{Folder, Host, eventually, unix_s};
use crate::outcome::{incident, returns};
use crate::receiver::{Received, Receiver, Reply};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeSet;
use std::time::Duration;

/// `whsec_` and 32 bytes that are all `k`.
const KEY: [u8; 32] = [b'k'; 32];

fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

fn folder(webhooks: &str) -> Folder {
    Folder::new(&format!("sources: {{ lab: {{ scheme: none, plugin: returns }} }}\nwebhooks:\n{webhooks}"))
        .with("returns", &guest("returns"))
}

/// Verifies the signature as Standard Webhooks specifies, independently of the host's code. Returns id and timestamp.
fn verify(received: &Received) -> (String, u64) {
    let (id, timestamp) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(&KEY).unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&received.bytes);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(received.header("webhook-signature"), expected);
    (id.to_owned(), timestamp.parse().unwrap())
}

#[tokio::test]
async fn audit_entries_have_the_format_of_thehives_webhooks() {
    let (signed, plain) = (Receiver::start([]).await, Receiver::start([]).await);
    let folder = folder(&format!(
        "  signed: {{ url: \"{}\", secret: {}, allow_networks: [127.0.0.1/32] }}
  plain: {{ url: \"{}\", allow_networks: [127.0.0.1/32] }}",
        signed.url,
        secret(),
        plain.url
    ));
    let host = folder.start().await;
    let answer = host.post("lab", incident(json!({"source-ref": "a-1", "title": "A title", "severity": "high"}))).await;
    let path = format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap());
    signed.wait_for(1).await;
    let patched = host.call(Method::PATCH, &path, r#"{"status": "triaged", "note": "seen"}"#).await;
    signed.wait_for(2).await;
    // This payload changes nothing, so there is neither an entry nor a delivery.
    assert_eq!(host.call(Method::PATCH, &path, r#"{"status": "triaged"}"#).await.body["revision"], 2);
    assert_eq!(host.call(Method::DELETE, &path, "").await.status, 204);
    let received = signed.wait_for(3).await;
    plain.wait_for(3).await;

    let entries: Vec<&Value> = received.iter().map(|received| &received.body).collect();
    let operations: Vec<&str> = entries.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["Creation", "Update", "Delete"]);
    let id = &answer.body["incident_id"];
    for entry in &entries {
        let members: BTreeSet<&str> = entry.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = "base details object objectId objectType operation requestId rootId startDate";
        assert_eq!(members, expected.split(' ').collect());
        assert_eq!((&entry["objectType"], &entry["base"]), (&json!("incident"), &json!(true)));
        assert_eq!((&entry["objectId"], &entry["rootId"], &entry["object"]["id"]), (id, id, id));
        assert!(entry["startDate"].as_u64().unwrap().abs_diff(unix_s() * 1000) < 120_000);
        assert!(!entry["requestId"].as_str().unwrap().is_empty());
    }
    assert_eq!(entries[0]["requestId"], answer.event_id());
    let details = &entries[0]["details"];
    assert_eq!(
        (&details["title"], &details["severity"], &details["status"]),
        (&json!("A title"), &json!("high"), &json!("new"))
    );
    let details = &entries[1]["details"];
    assert_eq!(details["status"], "triaged");
    assert_eq!(details["notes"][0]["text"], "seen");
    assert_eq!(details.as_object().unwrap().len(), 2);
    assert_eq!(entries[1]["object"], patched.body, "the object after the operation");
    assert_eq!(entries[2]["object"]["revision"], 2);

    // The audit trail can still be read and equals what was delivered.
    let by_id = format!("/api/incidents/{}/audit", id.as_str().unwrap());
    assert_eq!(host.get(&by_id).await["data"], json!(entries));

    let ids: BTreeSet<String> = received.iter().map(|received| verify(received).0).collect();
    assert_eq!(ids.len(), 3);
    for received in &received {
        assert!(verify(received).1.abs_diff(unix_s()) < 120);
        assert_eq!((received.path.as_str(), received.header("content-type")), ("/hook", "application/json"));
    }
    for received in plain.received() {
        assert!(!received.headers.contains_key("webhook-signature"));
        assert!(!ids.contains(received.header("webhook-id")), "every delivery has its own id");
    }
    for destination in ["signed", "plain"] {
        let series = format!("deliveries_total{{destination=\"{destination}\",result=\"delivered\"}}");
        eventually("the metric", async || (host.metric(&series).await == 3.0).then_some(())).await;
    }
}

/// Waits until the only delivery to a destination has this status.
async fn delivery(host: &Host<'_>, destination: &str, status: &str) -> Value {
    eventually(&format!("{destination} is {status}"), async || {
        host.list(&format!("/api/deliveries?destination={destination}&status={status}")).await.pop()
    })
    .await
}

#[tokio::test]
async fn each_answer_of_a_receiver_has_its_result() {
    let status = Reply::Status;
    let redirect = |code| Reply::With(code, "location", "/elsewhere".into());
    let long_ago = "Fri, 31 Dec 1999 23:59:59 GMT";
    // Two retries: after the third failed attempt the delivery is dead.
    let cases = vec![
        ("ok", vec![], "delivered", 1),
        ("no-content", vec![status(204)], "delivered", 1),
        ("fails-once", vec![status(500)], "delivered", 2),
        ("fails-twice", vec![status(503), status(502)], "delivered", 3),
        ("fails", vec![status(500), status(500), status(500)], "dead", 3),
        ("redirects", vec![redirect(302), redirect(307)], "delivered", 3),
        ("not-found", vec![status(404)], "delivered", 2),
        ("too-many", vec![Reply::With(429, "retry-after", long_ago.into())], "delivered", 2),
        ("silent", vec![Reply::Never], "delivered", 2),
        ("bad", vec![status(400)], "dead", 1),
        ("no-method", vec![status(405)], "dead", 1),
        ("too-large", vec![status(413)], "dead", 1),
        ("no-media", vec![status(415)], "dead", 1),
        ("invalid", vec![status(422)], "dead", 1),
        ("gone", vec![status(410)], "dead", 1),
    ];
    let mut webhooks = String::new();
    let mut receivers = Vec::new();
    for (name, replies, ..) in &cases {
        let receiver = Receiver::start(replies.clone()).await;
        webhooks += &format!(
            "  {name}: {{ url: \"{}\", secret: {}, allow_networks: [127.0.0.0/8], timeout: 2s, \
             retry_schedule: [20ms, 20ms] }}\n",
            receiver.url,
            secret()
        );
        receivers.push(receiver);
    }
    let folder = folder(&webhooks);
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    for ((name, replies, expected, attempts), receiver) in cases.iter().zip(&receivers) {
        let delivery = delivery(&host, name, expected).await;
        let tries = delivery["attempts"].as_array().unwrap();
        assert_eq!(tries.len(), *attempts, "{name}: {delivery}");
        let received = receiver.received();
        assert_eq!(received.len(), *attempts, "{name}");
        let received_first = &received[0];
        for (index, (attempt, received)) in tries.iter().zip(&received).enumerate() {
            assert_eq!(attempt["number"], 1 + index);
            assert_eq!(verify(received).0, delivery["id"].as_str().unwrap(), "the id is the same for every attempt");
            assert_eq!((received.path.as_str(), &received.bytes), ("/hook", &received_first.bytes));
            let (status, error) = match replies.get(index) {
                None => (json!(200), None),
                Some(Reply::Status(204)) => (json!(204), None),
                Some(Reply::Status(code) | Reply::With(code, ..) | Reply::Echo(code, _)) => {
                    (json!(code), Some(code.to_string()))
                }
                Some(Reply::Never) => (json!(null), Some("did not answer in time".into())),
            };
            assert_eq!(attempt["http_status"], status, "{name}: {delivery}");
            match error {
                None => assert_eq!(attempt["error"], json!(null), "{name}"),
                Some(words) => assert!(attempt["error"].as_str().unwrap().contains(&words), "{name}: {attempt}"),
            }
        }
    }
}

/// After 410 nothing is sent until a retry succeeds, also across a restart.
#[tokio::test]
async fn an_answer_of_410_disables_the_destination() {
    let receiver = Receiver::start([Reply::Status(410)]).await;
    let folder = folder(&format!("  gone: {{ url: \"{}\", allow_networks: [127.0.0.0/8] }}", receiver.url));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    delivery(&host, "gone", "dead").await;
    host.logs("destination disabled").await;
    host.kill();

    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "b"}))).await;
    let dead = host.list("/api/deliveries?status=dead").await;
    assert_eq!(dead.len(), 2);
    assert!(dead[0]["error"].as_str().unwrap().contains("410"), "{}", dead[0]);
    assert_eq!(receiver.received().len(), 1);

    let retried =
        host.call(Method::POST, &format!("/api/deliveries/{}/retry", dead[0]["id"].as_str().unwrap()), "").await;
    assert_eq!((retried.status, &retried.body["status"]), (200, &json!("pending")));
    delivery(&host, "gone", "delivered").await;
    eventually("it is enabled", async || {
        host.post("lab", incident(json!({"source-ref": "c"}))).await;
        (receiver.received().len() > 2).then_some(())
    })
    .await;
}

/// A port without a listener.
const CLOSED: &str = "http://127.0.0.1:9/hook";

fn webhook(name: &str, url: &str, more: &str) -> String {
    format!("  {name}: {{ url: \"{url}\", allow_networks: [127.0.0.0/8], concurrency: 1{more} }}\n")
}

/// Creates this many incidents, named by their number.
async fn pile_up(host: &Host<'_>, count: usize) {
    for first in (0..count).step_by(100) {
        let numbers = first..count.min(first + 100);
        let incidents: Vec<Value> = numbers.map(|number| json!({"source-ref": number.to_string()})).collect();
        assert_eq!(host.post("lab", returns(&json!({"incidents": incidents}))).await.status, 202);
    }
}

async fn take_over(host: &Host<'_>, folder: &Folder, webhooks: &str) {
    folder.configure(&format!("sources: {{ lab: {{ scheme: none, plugin: returns }} }}\nwebhooks:\n{webhooks}"));
    host.signal("HUP");
    host.logs("hookmill.yaml applied").await;
}

/// All waiting deliveries of a disabled or removed destination become dead and are listed.
#[tokio::test]
async fn waiting_deliveries_of_a_disabled_or_removed_destination_become_dead() {
    let gone = Receiver::start([Reply::Status(410)]).await;
    let folder = folder(&(webhook("gone", CLOSED, "") + &webhook("removed", CLOSED, "")));
    let host = folder.start().await;
    pile_up(&host, 2500).await;
    take_over(&host, &folder, &webhook("gone", &gone.url, "")).await;
    eventually("all are given up", async || {
        let state = host.get("/api/destinations").await["data"][0].clone();
        (state["pending"] == 0 && state["dead"] == 2500).then_some(())
    })
    .await;
    assert_eq!(gone.received().len(), 1);
    let pending = host.list("/api/deliveries?destination=removed&status=pending").await;
    assert!(pending.is_empty(), "{pending:?}");
    let dead = host.list("/api/deliveries?destination=removed&status=dead&limit=1").await;
    assert!(dead[0]["error"].as_str().unwrap().contains("no longer configured"), "{}", dead[0]);
}

/// After a pause that a receiver requested, the oldest deliveries are sent first, even if newer deliveries were already
/// loaded.
#[tokio::test]
async fn after_a_pause_the_oldest_come_first() {
    let pause = || [Reply::With(503, "retry-after", "1".into())];
    let busy = Receiver::start(pause().into_iter().chain([const { Reply::Status(200) }; 5]).chain(pause())).await;
    let folder = folder(&webhook("busy", &busy.url, ", retry_schedule: [1ms]"));
    let host = folder.start().await;
    pile_up(&host, 200).await;
    // The two refused deliveries, the first and the seventh, come again at some time.
    let received = busy.wait_for(202).await;
    let number = |received: &Received| received.body["object"]["source_ref"].as_str().unwrap().parse::<u32>().unwrap();
    let numbers: Vec<u32> = received.iter().map(number).filter(|number| *number > 6).collect();
    assert!(numbers.is_sorted(), "the oldest come first: {numbers:?}");
    assert_eq!(numbers.len(), 193);
}

#[tokio::test]
async fn retry_after_extends_the_wait() {
    let receiver = Receiver::start([Reply::With(503, "retry-after", "3".into())]).await;
    let folder = folder(&format!(
        "  busy: {{ url: \"{}\", secret: {}, allow_networks: [127.0.0.0/8], retry_schedule: [1ms] }}",
        receiver.url,
        secret()
    ));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    let pending = eventually("the first attempt is recorded", async || {
        let pending = host.list("/api/deliveries?status=pending").await.pop()?;
        (pending["attempts"].as_array().unwrap().len() == 1).then_some(pending)
    })
    .await;
    assert!(pending["next_attempt_at"].is_string(), "{pending}");
    assert_eq!(host.metric("delivery_queue_depth{destination=\"busy\"}").await, 1.0);
    let received = receiver.wait_for(2).await;
    assert!(received[1].at - received[0].at >= Duration::from_millis(2900), "the retry came too early");
    let (first, second) = (verify(&received[0]), verify(&received[1]));
    assert!(first.0 == second.0 && first.1 < second.1, "the same id, a fresh time: {first:?} {second:?}");
}

#[tokio::test]
async fn a_slow_receiver_does_not_delay_others() {
    let slow = Receiver::start(vec![Reply::Never; 100]).await;
    let fast = Receiver::start([]).await;
    let folder = folder(&format!(
        "  slow: {{ url: \"{}\", allow_networks: [127.0.0.0/8], timeout: 10m, concurrency: 2 }}
  fast: {{ url: \"{}\", allow_networks: [127.0.0.0/8] }}",
        slow.url, fast.url
    ));
    folder.append("drain_timeout: 1s\n");
    let mut host = folder.start().await;
    for index in 0..20 {
        host.post("lab", incident(json!({"source-ref": index.to_string()}))).await;
    }
    fast.wait_for(20).await;
    slow.wait_for(2).await;
    assert_eq!(slow.received().len(), 2, "no more concurrent attempts than `concurrency`");
    eventually("all of the fast one's are recorded", async || {
        (host.list("/api/deliveries?status=pending").await.len() == 20).then_some(())
    })
    .await;
    assert_eq!(host.list("/api/deliveries?destination=fast&status=delivered").await.len(), 20);
    // It delays shutdown by `drain_timeout` at most.
    host.terminate();
    assert_eq!(host.end().await.code(), Some(0));
    host.logs("stopped before all requests and deliveries were finished").await;
}

/// Addresses that are not globally routable are refused in every spelling, unless the destination allows them.
#[tokio::test]
async fn addresses_that_are_not_global_are_refused() {
    let receiver = Receiver::start([]).await;
    let port = receiver.url.rsplit_once(':').unwrap().1;
    let hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "169.254.169.254"];
    let mut webhooks = String::new();
    for (index, name) in hosts.iter().enumerate() {
        webhooks += &format!(
            "  at-{index}: {{ url: \"http://{name}:{port}\", allow_networks: [10.0.0.0/8], retry_schedule: [] }}\n"
        );
    }
    let folder = folder(&webhooks);
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    for (index, name) in hosts.iter().enumerate() {
        let dead = delivery(&host, &format!("at-{index}"), "dead").await;
        let attempt = &dead["attempts"][0];
        let error = attempt["error"].as_str().unwrap();
        assert!(error.contains("is not globally routable") && error.contains("allow_networks"), "{name}: {error}");
        assert_eq!(attempt["http_status"], json!(null));
    }
    assert!(receiver.received().is_empty());
}

/// The receiver starts to listen only after the delivery is dead.
#[tokio::test]
async fn dead_letters_are_listed_and_retried() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let folder = folder(&format!(
        "  closed: {{ url: \"http://{address}/\", allow_networks: [127.0.0.0/8], retry_schedule: [1ms, 1ms, 1ms] }}"
    ));
    let host = folder.start().await;
    let answer = host.post("lab", incident(json!({"source-ref": "a"}))).await;
    let dead = delivery(&host, "closed", "dead").await;
    assert_eq!(dead["attempts"].as_array().unwrap().len(), 4, "{dead}");
    assert!(dead["attempts"][3]["error"].as_str().unwrap().to_lowercase().contains("refused"), "{dead}");
    assert_eq!(host.metric("deliveries_total{destination=\"closed\",result=\"retry\"}").await, 3.0);
    assert_eq!(host.metric("deliveries_total{destination=\"closed\",result=\"dead\"}").await, 1.0);
    let of_incident = |id: &str| format!("/api/deliveries?incident={id}");
    assert_eq!(host.list(&of_incident(answer.body["incident_id"].as_str().unwrap())).await.len(), 1);
    assert!(host.list(&of_incident(answer.event_id())).await.is_empty());

    let retry = format!("/api/deliveries/{}/retry", dead["id"].as_str().unwrap());
    assert_eq!(host.call(Method::POST, &retry, "").await.status, 200);
    eventually("another attempt", async || {
        let delivery = host.list("/api/deliveries").await.remove(0);
        (delivery["attempts"].as_array().unwrap().len() > 4 && delivery["status"] == "dead").then_some(())
    })
    .await;
    let unknown = host.call(Method::POST, &format!("/api/deliveries/{}/retry", answer.event_id()), "").await;
    assert_eq!((unknown.status, unknown.error_code()), (404, "not_found"));
}
