//! The HTTP API: lists, changes, replays, dry runs and metrics.

use crate::guest::{echo, guest};
use crate::host::{Folder, next_millisecond};
use crate::outcome::{incident, returns};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::time::Instant;

fn folder() -> Folder {
    Folder::new(
        "sources:
  edr: { scheme: none, plugin: returns }
  mail: { scheme: none, plugin: returns }
  traps: { scheme: none }
  late: { scheme: none }",
    )
    .with("returns", &guest("returns"))
    .with("traps", &guest("traps"))
}

fn refs(incidents: &[Value]) -> String {
    incidents.iter().map(|incident| incident["source_ref"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn incidents_are_listed_by_every_filter_and_in_pages() {
    let folder = folder();
    let host = folder.start().await;
    for (source, said) in [
        (
            "edr",
            json!({"source-ref": "a", "title": "Malware on WS-1", "severity": "high", "tags": ["x", "y"],
            "observables": [{"data-type": "ip", "value": "10.0.0.1"}]}),
        ),
        (
            "edr",
            json!({"source-ref": "b", "description": "some malware", "severity": "low", "tags": ["y"],
            "observables": [{"data-type": "ip", "value": "10.0.0.2"}]}),
        ),
        ("mail", json!({"source-ref": "c", "title": "Ärger", "severity": "low", "state": "resolved"})),
        ("mail", json!({"source-ref": "malware-d", "severity": "critical", "tags": ["x y", "100%"]})),
    ] {
        host.post(source, incident(said)).await;
        next_millisecond().await;
    }
    let middle = host.get("/api/incidents?source_ref=b").await["data"][0]["created_at"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("", "malware-d c b a"),
        ("?status=resolved", "c"),
        ("?status=resolved&status=new", "malware-d c b a"),
        ("?severity=low&source=mail", "c"),
        ("?severity=low&severity=high", "c b a"),
        ("?source=edr", "b a"),
        ("?source=nobody", ""),
        ("?source_ref=a&source_ref=c", "c a"),
        ("?tag=y", "b a"),
        ("?tag=x&tag=x%20y", "malware-d a"),
        ("?tag=100%25", "malware-d"),
        ("?observable=10.0.0.2", "b"),
        ("?q=MALWARE", "malware-d b a"),
        ("?q=malware&source=edr&severity=high", "a"),
        ("?q=100%25", ""),
        ("?created_after=2020-01-01T00:00:00Z", "malware-d c b a"),
        ("?created_before=2020-01-01T00:00:00Z", ""),
        ("?updated_after=2100-01-01T00:00:00%2B02:00", ""),
        (&format!("?created_before={middle}"), "a"),
        (&format!("?created_after={middle}"), "malware-d c"),
        ("?limit=5000", "malware-d c b a"),
    ] {
        let page = host.get(&format!("/api/incidents{query}")).await;
        assert_eq!(
            (refs(page["data"].as_array().unwrap()).as_str(), &page["next_cursor"]),
            (expected, &json!(null)),
            "{query}"
        );
    }
    for limit in 1..=4 {
        assert_eq!(refs(&host.list(&format!("/api/incidents?limit={limit}")).await), "malware-d c b a", "{limit}");
    }
    let page = host.get("/api/incidents?limit=2&source=edr&source=mail").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)), "{cursor}");
    // Incidents that arrive in between do not shift the pages.
    host.post("edr", incident(json!({"source-ref": "e"}))).await;
    let page = host.get(&format!("/api/incidents?limit=2&cursor={cursor}")).await;
    assert_eq!((refs(page["data"].as_array().unwrap()).as_str(), &page["next_cursor"]), ("b a", &json!(null)));

    for (query, word) in [
        ("status=open", "in_progress"),
        ("severity=huge", "informational"),
        ("limit=0", "1000"),
        ("limit=many", "1000"),
        ("cursor=%00", "next_cursor"),
        ("cursor=-5", "next_cursor"),
        ("created_after=yesterday", "2026-01-31T08:00:00Z"),
        ("q=a&q=b", "once"),
        ("colour=red", "colour"),
    ] {
        let answer = host.call(Method::GET, &format!("/api/incidents?{query}"), "").await;
        assert_eq!((answer.status, answer.error_code()), (400, "invalid_request"), "{query}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(word), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn incidents_are_changed_and_deleted() {
    let folder = folder();
    let host = folder.start().await;
    let answer = host.post("edr", incident(json!({"source-ref": "a"}))).await;
    let id = answer.body["incident_id"].as_str().unwrap();
    let number = answer.body["incident_number"].as_str().unwrap();
    let patch = async |path: &str, body: &str| {
        host.call(Method::PATCH, &format!("/api/incidents/{path}"), body.to_owned()).await
    };
    for (index, (body, name, value)) in [
        (r#"{"title": "T"}"#, "title", json!("T")),
        (r#"{"description": "D"}"#, "description", json!("D")),
        (r#"{"description": null}"#, "description", json!(null)),
        (r#"{"severity": "critical"}"#, "severity", json!("critical")),
        (r#"{"status": "in_progress", "revision": 5}"#, "status", json!("in_progress")),
        (r#"{"assignee": "ann"}"#, "assignee", json!("ann")),
        (r#"{"assignee": null}"#, "assignee", json!(null)),
        (r#"{"category": "C"}"#, "category", json!("C")),
        (r#"{"tlp": "amber-strict"}"#, "tlp", json!("amber-strict")),
        (r#"{"tags": ["a", "b", "a"]}"#, "tags", json!(["a", "b"])),
        (r#"{"tags": []}"#, "tags", json!([])),
    ]
    .into_iter()
    .enumerate()
    {
        let path = if index % 2 == 0 { id } else { number };
        let answer = patch(path, body).await;
        assert_eq!((answer.status, &answer.body[name]), (200, &value), "{body}: {answer:?}");
        assert_eq!(answer.body["revision"], index + 2, "{body}");
        assert_eq!(answer.body, host.get(&format!("/api/incidents/{number}")).await);
    }
    let noted = patch(id, r#"{"note": "looked at it"}"#).await;
    assert_eq!(noted.body["notes"][0]["text"], "looked at it");
    assert_eq!(noted.body["notes"][0]["by"], "HOOKMILL_ADMIN_TOKEN");
    assert!(noted.body["notes"][0]["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    for (body, status, code, word) in [
        (r#"{"status": "new", "revision": 1}"#, 409, "conflict", "13"),
        (r#"{"status": "open"}"#, 400, "invalid_request", "false_positive"),
        (r#"{"colour": "red"}"#, 400, "invalid_request", "colour"),
        (r#"{"title": ""}"#, 400, "invalid_request", "title"),
        (r#"{"severity": "awful"}"#, 400, "invalid_request", "critical"),
        (r#"{"title": null}"#, 400, "invalid_request", "null"),
        (r#"{"status": null}"#, 400, "invalid_request", "column 12"),
        (r#"{"tags": [""]}"#, 400, "invalid_request", "tag"),
        (r#"{"tags": "a"}"#, 400, "invalid_request", "sequence"),
        (r#"{"title": "#, 400, "invalid_request", "body"),
        ("", 400, "invalid_request", "body"),
    ] {
        let answer = patch(id, body).await;
        assert_eq!((answer.status, answer.error_code()), (status, code), "{body}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(word), "{body}: {answer:?}");
    }
    assert_eq!(
        host.get(&format!("/api/incidents/{id}")).await,
        noted.body,
        "a refused request must not change anything"
    );
    for unknown in ["INC-2026-9999", "INC-1999-0001", "INC-", "nonsense", answer.event_id()] {
        for (method, path) in [
            (Method::GET, format!("/api/incidents/{unknown}")),
            (Method::PATCH, format!("/api/incidents/{unknown}")),
            (Method::DELETE, format!("/api/incidents/{unknown}")),
            (Method::GET, format!("/api/incidents/{unknown}/audit")),
        ] {
            let answer = host.call(method.clone(), &path, "{}").await;
            assert_eq!((answer.status, answer.error_code()), (404, "not_found"), "{method} {path}");
        }
    }

    // Numbers continue after a deletion, also of the newest incident, and after a restart.
    let count = |number: &str| {
        let year = jiff::Timestamp::now().to_string()[..4].to_owned();
        let count = number.strip_prefix(&format!("INC-{year}-")).unwrap_or_else(|| panic!("{number}"));
        assert!(count.len() >= 4);
        count.parse::<u32>().unwrap()
    };
    assert_eq!(count(number), 1);
    assert_eq!(host.call(Method::DELETE, &format!("/api/incidents/{number}"), "").await.status, 204);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        assert_eq!(host.call(method, &format!("/api/incidents/{id}"), "{}").await.status, 404);
    }
    assert!(host.list("/api/incidents").await.is_empty());
    for path in [id, number] {
        let trail = host.list(&format!("/api/incidents/{path}/audit")).await;
        // The creation, the twelve changes above, the deletion.
        assert_eq!((trail.len(), &trail[12]["operation"]), (14, &json!("Update")), "{path}");
        assert_eq!((&trail[13]["operation"], &trail[13]["object"]["title"]), (&json!("Delete"), &json!("T")));
    }
    let again = host.post("edr", incident(json!({"source-ref": "a"}))).await;
    assert_eq!(
        (count(again.body["incident_number"].as_str().unwrap()), &again.body["incidents"][0]["created"]),
        (2, &json!(true))
    );
    host.kill();
    let host = folder.start().await;
    let after = host.post("edr", incident(json!({"source-ref": "b"}))).await;
    assert_eq!(count(after.body["incident_number"].as_str().unwrap()), 3);
}

#[tokio::test]
async fn events_are_listed_shown_replayed_and_discarded() {
    let folder = folder();
    let host = folder.start().await;
    let mapped = host.post("edr", incident(json!({"source-ref": "a", "title": "A"}))).await;
    let malformed = host.post("mail", returns(&json!({"malformed": "no id"}))).await;
    let trapped = host.post("traps", "x").await;
    let ignored = host.post("edr", returns(&json!({"skipped": ["a heartbeat"]}))).await;
    let partial =
        host.post("edr", returns(&json!({"incidents": [{"source-ref": "b"}], "problems": ["record 2"]}))).await;
    let all = [&mapped, &malformed, &trapped, &ignored, &partial].map(|answer| answer.event_id().to_owned());
    let incident_id = mapped.body["incident_id"].as_str().unwrap();
    for (query, expected) in [
        ("".to_owned(), vec![4, 3, 2, 1, 0]),
        ("?source=edr".into(), vec![4, 3, 0]),
        ("?status=quarantined".into(), vec![2, 1]),
        ("?status=mapped&status=partial".into(), vec![4, 0]),
        ("?code=malformed".into(), vec![1]),
        ("?code=trapped&code=malformed&source=traps".into(), vec![2]),
        (format!("?incident={incident_id}"), vec![0]),
        ("?created_after=2100-01-01T00:00:00Z".into(), vec![]),
        ("?limit=2".into(), vec![4, 3, 2, 1, 0]),
    ] {
        let listed = host.list(&format!("/api/events{query}")).await;
        let expected: Vec<&str> = expected.into_iter().map(|index: usize| all[index].as_str()).collect();
        let found: Vec<&str> = listed.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{query}");
        assert!(listed.iter().all(|event| event["body"].is_null()), "lists must not contain bodies");
    }
    for query in ["status=new", "code=nonsense", "incident=nonsense", "tag=x"] {
        assert_eq!(host.call(Method::GET, &format!("/api/events?{query}"), "").await.status, 400, "{query}");
    }
    let event = host.get(&format!("/api/events/{}", malformed.event_id())).await;
    assert_eq!(event["error"], json!({"code": "malformed", "message": "returns 1.0: no id"}));

    // Replaying a mapped event has no second effect.
    let act = async |id: &str, what: &str| host.call(Method::POST, &format!("/api/events/{id}/{what}"), "").await;
    let replayed = act(mapped.event_id(), "replay").await;
    assert_eq!((replayed.status, replayed.status_word()), (200, "mapped"));
    assert_eq!(replayed.body["incidents"][0]["id"], incident_id);
    let incident = host.get(&format!("/api/incidents/{incident_id}")).await;
    assert_eq!((&incident["occurrences"], &incident["revision"]), (&json!(1), &json!(1)), "{incident}");
    assert_eq!(act(trapped.event_id(), "replay").await.status_word(), "quarantined");

    assert_eq!(act(trapped.event_id(), "discard").await.status_word(), "discarded");
    for (id, what, status) in [
        (trapped.event_id(), "discard", 409),
        (trapped.event_id(), "replay", 409),
        (mapped.event_id(), "discard", 409),
        (incident_id, "replay", 404),
        (incident_id, "discard", 404),
        ("nonsense", "replay", 404),
    ] {
        assert_eq!(act(id, what).await.status, status, "{what} {id}");
    }
    let repeat = host.post("traps", "x").await;
    assert_eq!((repeat.status_word(), &repeat.body["duplicate"]), ("ignored", &json!(true)), "{repeat:?}");
}

/// A dry run shows the whole result and stores nothing.
#[tokio::test]
async fn a_dry_run_of_a_plugin_stores_nothing() {
    let folder = folder().with("echo", &echo("1.2")).with("floods", &guest("floods"));
    let host = folder.start().await;
    let run = async |plugin: &str, body: Value| {
        host.call(Method::POST, &format!("/api/plugins/{plugin}/run"), body.to_string()).await
    };
    let answer = run("echo", json!({"body": "a", "source": "edr", "headers": {"X-Kind": "k"}})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((&answer.body["plugin"]["name"], &answer.body["plugin"]["version"]), (&json!("echo"), &json!("1.2")));
    let shown = &answer.body["incidents"][0];
    assert_eq!((&shown["source_ref"], &shown["source"]), (&json!("a"), &json!("edr")));
    assert!(answer.body["memory_bytes"].as_u64().unwrap() >= 4 * 1024 * 1024);
    assert!(answer.body["duration_us"].is_u64());
    let answer = run("echo", json!({"payload": {"a": 1}})).await;
    assert_eq!(answer.body["incidents"][0]["source_ref"], r#"{"a":1}"#);
    assert_eq!(run("floods", json!({"body": "a"})).await.body["log"].as_array().unwrap().len(), 101);
    assert_eq!(run("traps", json!({"body": "a"})).await.body["outcome"]["error"]["code"], "trapped");
    for (plugin, body, status) in [
        ("nobody", json!({"body": "a"}), 404),
        ("echo", json!({"body": "a", "source": "nobody"}), 404),
        ("echo", json!({"body": "a", "payload": 1}), 400),
        ("echo", json!({}), 400),
        ("echo", json!({"boddy": "a"}), 400),
    ] {
        assert_eq!(run(plugin, body.clone()).await.status, status, "{plugin} {body}");
    }
    for path in ["/api/incidents", "/api/events", "/api/deliveries"] {
        assert!(host.list(path).await.is_empty(), "{path}");
    }
    // A dry run does not use up an incident number either.
    let answer = host.post("edr", incident(json!({"source-ref": "first"}))).await;
    assert!(answer.body["incident_number"].as_str().unwrap().ends_with("-0001"));
}

/// Metrics have the documented names, and labels never contain text from a sender.
/// However many clients read the metrics, the rows are counted once a second at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_counted_once_a_second_at_most() {
    let folder = Folder::new("sources: { edr: { scheme: none, plugin: returns } }").with("returns", &guest("returns"));
    let host = folder.start().await;
    let (started, mut shown) = (Instant::now(), BTreeSet::new());
    for index in 0..60 {
        host.post("edr", returns(&json!({"unsupported": index.to_string()}))).await;
        let reads = (0..8).map(|_| host.metric("quarantined_events"));
        shown.extend(futures_util::future::join_all(reads).await.into_iter().map(|count| count as u32));
    }
    let counted = started.elapsed().as_secs() + 2;
    assert!(shown.len() as u64 <= counted, "{shown:?} in {counted} s");
    crate::host::eventually("the last count", async || (host.metric("quarantined_events").await == 60.0).then_some(()))
        .await;
}

#[tokio::test]
async fn metrics_have_documented_names_and_known_labels() {
    let receiver = crate::receiver::Receiver::start([]).await;
    let folder = folder();
    folder.append(&format!("webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8] }} }}\n", receiver.url));
    let host = folder.start().await;
    host.post("edr", incident(json!({"source-ref": "a"}))).await;
    host.post("edr", returns(&json!({"unsupported": "x"}))).await;
    host.post("traps", "x").await;
    host.post("chosen-by-a-sender", "x").await;
    receiver.wait_for(1).await;
    let count = async |series: &str, expected: f64| {
        crate::host::eventually(series, async || (host.metric(series).await == expected).then_some(())).await;
    };
    count("webhook_received_total{source=\"edr\"}", 2.0).await;
    count("webhook_received_total{source=\"unknown\"}", 1.0).await;
    count("events_total{source=\"edr\",status=\"mapped\"}", 1.0).await;
    count("events_total{source=\"edr\",status=\"quarantined\"}", 1.0).await;
    count("webhook_errors_total{source=\"unknown\",code=\"unknown_source\"}", 1.0).await;
    count("webhook_errors_total{source=\"edr\",code=\"unsupported\"}", 1.0).await;
    count("webhook_errors_total{source=\"traps\",code=\"trapped\"}", 1.0).await;
    count("mapping_duration_seconds_count{plugin=\"returns\"}", 2.0).await;
    count("plugin_reloads_total{plugin=\"returns\",result=\"loaded\"}", 1.0).await;
    count("quarantined_events", 2.0).await;
    count("deliveries_total{destination=\"soc\",result=\"delivered\"}", 1.0).await;
    count("delivery_queue_depth{destination=\"soc\"}", 0.0).await;
    let plugins = host.list("/api/plugins").await;
    let plugin = plugins.iter().find(|plugin| plugin["name"] == "returns").unwrap();
    let sha256 = plugin["sha256"].as_str().unwrap();
    count(&format!("plugin_info{{plugin=\"returns\",version=\"1.0\",sha256=\"{sha256}\"}}"), 1.0).await;
    let (_, text) = host.get_open("/metrics").await;
    for name in ["store_commit_batch_size_count", "store_commit_duration_seconds_count"] {
        let value =
            text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        assert!(value.trim().parse::<f64>().unwrap() >= 3.0, "{name}{value}");
    }
    assert!(!text.contains("chosen-by-a-sender"));
}

#[tokio::test]
async fn events_are_counted_and_found_by_their_ids() {
    let folder = folder();
    let host = folder.start().await;
    let mut ids = Vec::new();
    for (source, body) in [("edr", "1"), ("mail", "2"), ("traps", "3"), ("late", "4"), ("edr", "5")] {
        let body = match source {
            "edr" | "mail" => incident(json!({"source-ref": body})),
            _ => body.into(),
        };
        ids.push(host.post(source, body).await.event_id().to_owned());
    }
    for (query, count) in [
        ("", 5),
        ("?source=edr", 2),
        ("?source=edr&source=mail&status=mapped", 3),
        ("?code=trapped", 2),
        ("?status=discarded", 0),
        ("?created_after=2020-01-01T00:00:00Z", 5),
        (&format!("?id={}&id={}", ids[0], ids[2]), 2),
        (&format!("?id={}&id={}&source=edr", ids[0], ids[2]), 1),
    ] {
        let counted = host.get(&format!("/api/events/count{query}")).await;
        assert_eq!(counted, json!({"count": count, "has_more": false}), "{query}");
        assert_eq!(host.list(&format!("/api/events{query}")).await.len(), count, "{query}");
    }
    let refused = host.call(Method::GET, "/api/events/count?limit=1", "").await;
    assert_eq!((refused.status, refused.error_code()), (400, "invalid_request"));
}

/// Answers in JSON are compressed for clients that accept that; streams, and answers to senders, are not.
#[tokio::test]
async fn answers_are_compressed_on_request() {
    use flate2::read::GzDecoder;
    let folder = folder();
    let host = folder.start().await;
    for number in 0..300 {
        let said = json!({"source-ref": format!("ref-{number}"), "title": "x".repeat(500)});
        host.post("edr", incident(said)).await;
    }
    let get = async |path: &str, encoding: Option<&str>| {
        let request = host.request(Method::GET, path);
        let request = encoding.into_iter().fold(request, |request, value| request.header("accept-encoding", value));
        let response = request.send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let headers = (header("content-encoding"), header("vary"));
        (headers, response.bytes().await.unwrap())
    };
    let (gzip, vary) = (Some("gzip".to_owned()), Some("accept-encoding".to_owned()));
    for path in ["/api/incidents?limit=3", "/api/incidents?limit=300", "/openapi.json"] {
        let (headers, whole) = get(path, None).await;
        assert_eq!(headers, (None, vary.clone()), "{path}");
        assert_eq!(get(path, Some("br, gzip;q=0")).await, (headers, whole.clone()), "{path}");
        let (headers, compressed) = get(path, Some("br, gzip")).await;
        assert_eq!(headers, (gzip.clone(), vary.clone()), "{path}");
        assert!(compressed.len() < whole.len() / 3, "{path}: {} of {}", compressed.len(), whole.len());
        let mut decoded = Vec::new();
        GzDecoder::new(&compressed[..]).read_to_end(&mut decoded).unwrap();
        assert!(decoded == whole, "{path}");
    }
    // A small answer is as large as its compressed form.
    assert_eq!(get("/api/destinations", Some("gzip")).await.0, (None, vary));
    let stream =
        host.request(Method::GET, "/api/stream?from=0").header("accept-encoding", "gzip").send().await.unwrap();
    assert!(stream.headers().get("content-encoding").is_none());
    let many: Vec<Value> = (0..100).map(|number| json!({"source-ref": format!("more-{number}")})).collect();
    let answer = host.webhook("edr").header("accept-encoding", "gzip").body(returns(&json!({"incidents": many})));
    let answer = answer.send().await.unwrap();
    assert!(answer.headers().get("content-encoding").is_none());
    assert!(answer.bytes().await.unwrap().len() > 4096);
}
