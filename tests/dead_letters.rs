//! Dead letters: their groups, and the retry of a group or of all since a time.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder, Host, eventually};
use crate::outcome::incident;
use crate::receiver::{Receiver, Reply};
use reqwest::{Method, Url};
use serde_json::{Value, json};

/// Returns the groups as destination, beginning of the error, and count.
async fn groups(host: &Host<'_>, query: &str) -> Vec<(String, String, i64)> {
    let group = |group: Value| {
        let error = group["error"].as_str().unwrap().split(' ').take(5).collect::<Vec<_>>().join(" ");
        (group["destination"].as_str().unwrap().to_owned(), error, group["count"].as_i64().unwrap())
    };
    host.list(&format!("/api/dead-letters{query}")).await.into_iter().map(group).collect()
}

async fn groups_when(host: &Host<'_>, expected: &[(&str, &str, i64)]) {
    eventually(&format!("the groups are {expected:?}"), async || {
        let found = groups(host, "").await;
        let found: Vec<_> = found.iter().map(|(name, error, count)| (&**name, &**error, *count)).collect();
        (found == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_grouped_and_retried_by_cause_and_time() {
    let mut answers = vec![Reply::Status(400), Reply::Status(400), Reply::Status(500), Reply::Status(422)];
    let soc = Receiver::start(answers.clone()).await;
    answers.truncate(1);
    let other = Receiver::start(answers).await;
    let options = "allow_networks: [127.0.0.0/8], retry_schedule: [], concurrency: 1, ordering: none";
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}
destinations:
  soc: {{ type: webhook, url: \"{}\", {options} }}
  other: {{ type: http, url: \"{}/{{{{object.source_ref}}}}\", {options}, headers: {{ x-team: soc }} }}
notifications:
  - {{ name: all, trigger: incident_created, notify: [{{ to: soc }}] }}
  - {{ name: first, trigger: incident_created, filter: {{ _eq: {{ _field: object.source_ref, _value: a }} }}, notify: [{{ to: other }}] }}
",
        soc.url, other.url
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    let mut expected = Vec::new();
    for (reference, error) in [("a", "400 Bad"), ("b", "400 Bad"), ("c", "500 Internal"), ("d", "422 Unprocessable")] {
        host.post("lab", incident(json!({"source-ref": reference}))).await;
        expected.push(error);
        eventually("the delivery is dead", async || {
            (host.list("/api/deliveries?destination=soc&status=dead").await.len() == expected.len()).then_some(())
        })
        .await;
    }
    let said = |status: &str| format!("status: the server answered {status}");
    let (bad, internal, unprocessable) = (said("400"), said("500"), said("422"));
    groups_when(&host, &[("soc", &bad, 2), ("other", &bad, 1), ("soc", &unprocessable, 1), ("soc", &internal, 1)])
        .await;
    assert_eq!(groups(&host, "?destination=other").await.len(), 1);
    assert_eq!(groups(&host, "?limit=1").await, [("soc".to_owned(), bad.clone(), 2)]);

    let largest = host.list("/api/dead-letters?limit=1").await.remove(0);
    let error = largest["error"].as_str().unwrap();
    let query = [("destination", "soc"), ("status", "dead"), ("error", error)];
    let url = Url::parse_with_params(&host.url, query).unwrap();
    let listed = host.list(&format!("/api/deliveries?{}", url.query().unwrap())).await;
    assert_eq!(listed.iter().map(|row| &row["id"]).next(), Some(&largest["sample"]), "the newest is the sample");
    assert_eq!(listed.len(), 2);
    let first = largest["first_at"].as_str().unwrap();
    assert!(first < largest["last_at"].as_str().unwrap());

    // One delivery shows the message that would be sent, to those who may change something.
    let of_other = host.list("/api/dead-letters?destination=other").await.remove(0);
    let path = format!("/api/deliveries/{}", of_other["sample"].as_str().unwrap());
    let shown = host.get(&path).await;
    let request = &shown["message"]["request"];
    assert_eq!((&shown["attempts"][0]["http_status"], &request["method"]), (&json!(400), &json!("POST")), "{shown}");
    assert!(request["url"].as_str().unwrap().ends_with("/a"), "{shown}");
    assert!(request["headers"].as_array().unwrap().contains(&json!(["x-team", "soc"])), "{shown}");
    let (_, token, _) = folder.run(&["token", "create", "--scope", "read", "--name", "reader"]);
    let reader = host.client.get(format!("{}{path}", host.url)).bearer_auth(token.trim());
    assert_eq!(crate::host::send(reader).await.unwrap().body["message"], json!(null));
    let unknown = "/api/deliveries/019c1f3e-5c00-7000-8000-000000000001";
    assert_eq!(host.call(Method::GET, unknown, "").await.status, 404);

    let connection = ["--url", &host.url, "--token", ADMIN_TOKEN];
    let (_, table, _) = folder.run(&[&["deliveries", "dead", "--destination", "soc"], &connection[..]].concat());
    assert!(table.contains(&bad) && !table.contains("other"), "{table}");
    let retry = async |filter: Value| {
        host.call(Method::POST, "/api/deliveries/retry", filter.to_string()).await.body["retried"].clone()
    };
    assert_eq!(retry(json!({"destination": "soc", "error": error})).await, 2);
    groups_when(&host, &[("other", &bad, 1), ("soc", &unprocessable, 1), ("soc", &internal, 1)]).await;
    // What was queued later than the oldest: all but the delivery to `other`, which was queued with it.
    let after = host.list("/api/dead-letters?destination=other").await.remove(0)["last_at"].clone();
    assert_eq!(retry(json!({"created_after": after})).await, 2);
    groups_when(&host, &[("other", &bad, 1)]).await;
    assert_eq!(retry(json!({"created_after": "2999-01-01T00:00:00Z"})).await, 0);
    assert_eq!(soc.wait_for(8).await.len(), 8);
}
