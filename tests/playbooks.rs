//! Triage by playbooks: actions, waiting requests and failures.

use crate::guest::{at_version, guest, guest_of_kind, mapper, project};
use crate::host::{Folder, Host, SECRET, eventually};
use crate::outcome::{incident, judgement};
use crate::receiver::Receiver;
use reqwest::Method;
use serde_json::{Value, json};

fn folder(more: &str) -> Folder {
    let source = "scheme: none, plugin: returns, auto_triage: true, playbook: judges";
    Folder::new(&format!("sources: {{ lab: {{ {source} }} }}\n{more}")).with("returns", &guest("returns"))
}

fn judges() -> Vec<u8> {
    guest_of_kind("judges", "playbook")
}

/// Posts an incident and returns its path.
async fn post(host: &Host<'_>, incident_json: Value) -> String {
    let answer = host.post("lab", incident(incident_json)).await;
    assert_eq!(answer.status_word(), "accepted", "{answer:?}");
    format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap())
}

/// Waits until the incident's triage has this status.
async fn triaged(host: &Host<'_>, path: &str, status: &str) -> Value {
    eventually(&format!("{path} is {status}"), async || {
        Some(host.get(path).await).filter(|incident| incident["triage"]["status"] == status)
    })
    .await
}

async fn audit(host: &Host<'_>, path: &str) -> Vec<Value> {
    host.list(&format!("{path}/audit")).await
}

#[tokio::test]
async fn all_actions_make_one_audit_entry_that_names_the_playbook() {
    let receiver = Receiver::start([]).await;
    let webhooks = format!("webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8] }} }}", receiver.url);
    let folder = folder(&webhooks).with("judges", &judges());
    let host = folder.start().await;
    let description = judgement(&json!([
        {"set-severity": "critical"}, {"set-status": "triaged"}, {"set-category": "phishing"}, {"set-assignee": "ann"},
        {"add-tag": "seen"}, {"add-tag": "known"},
        {"add-observable": {"data-type": "ip", "value": "192.0.2.1", "message": "m", "tags": ["t"], "ioc": true}},
        {"add-note": "why"}, {"notify": "soc"}, {"notify": "nowhere"},
    ]));
    let path =
        post(&host, json!({"source-ref": "a-1", "severity": "low", "description": description, "tags": ["known"]}))
            .await;
    let shown = triaged(&host, &path, "done").await;
    let expected = json!({"severity": "critical", "status": "triaged", "category": "phishing", "assignee": "ann",
        "tags": ["known", "seen"], "revision": 2,
        "observables": [{"data_type": "ip", "value": "192.0.2.1", "message": "m", "tags": ["t"], "ioc": true}]});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[name], value, "`{name}` of {shown:#}");
    }
    let note = &shown["notes"][0];
    assert_eq!((&note["by"], &note["text"]), (&json!("playbook judges"), &json!("why")));
    let triage = &shown["triage"];
    assert_eq!((&triage["playbook"], &triage["plugin"]["name"]), (&json!("judges"), &json!("judges")));
    assert_eq!(triage["problems"], json!(["unknown destination `nowhere`"]));

    // There is one entry, with the request id of the event that made the incident, and it is delivered.
    let entries = audit(&host, &path).await;
    assert_eq!((entries.len(), &entries[1]["operation"]), (2, &json!("Update")), "{entries:#?}");
    assert_eq!(entries[1]["requestId"], entries[0]["requestId"]);
    assert_eq!((&entries[1]["details"]["triage"], &entries[1]["object"]["triage"]), (triage, triage));
    assert_eq!(
        (&entries[0]["object"]["triage"]["status"], &entries[0]["object"]["severity"]),
        (&json!("waiting"), &json!("low"))
    );
    assert!(entries[0]["details"].get("triage").is_none());
    let received = receiver.wait_for(2).await;
    assert!(received.iter().any(|received| received.body == entries[1]));

    // Payloads do not change fields that the playbook set, but still add to lists. An update requests no triage.
    post(&host, json!({"source-ref": "a-1", "severity": "low", "category": "other", "tags": ["later"]})).await;
    let shown = host.get(&path).await;
    assert_eq!((&shown["severity"], &shown["category"]), (&json!("critical"), &json!("phishing")));
    assert_eq!((&shown["tags"], &shown["revision"]), (&json!(["known", "seen", "later"]), &json!(3)));
    assert_eq!(host.metric("triages_total{playbook=\"judges\",result=\"done\"}").await, 1.0);
    // Reopening requests a triage.
    for state in ["resolved", "open"] {
        post(&host, json!({"source-ref": "a-1", "state": state})).await;
    }
    eventually("it looks again", async || {
        (host.metric("triages_total{playbook=\"judges\",result=\"done\"}").await == 2.0).then_some(())
    })
    .await;
    let shown = host.get(&path).await;
    assert_eq!((&shown["status"], shown["notes"].as_array().unwrap().len()), (&json!("triaged"), 1), "{shown:#}");

    // Without actions there is no entry, unless a destination is to be notified.
    for (name, actions, entries) in [("nothing", json!([]), 1), ("told", json!([{"notify": "soc"}]), 2)] {
        let path = post(&host, json!({"source-ref": name, "description": judgement(&actions)})).await;
        let shown = triaged(&host, &path, "done").await;
        assert_eq!((audit(&host, &path).await.len(), &shown["revision"]), (entries, &json!(entries)), "{name}");
    }
}

#[tokio::test]
async fn triage_requests_survive_a_restart() {
    let folder = folder("");
    let host = folder.start().await;
    let description = judgement(&json!([{"set-severity": "high"}]));
    let path = post(&host, json!({"source-ref": "a", "description": description})).await;
    let late = post(&host, json!({"source-ref": "b", "description": description})).await;
    let waiting = triaged(&host, &path, "waiting").await;
    assert_eq!(waiting["triage"]["error"], json!({"code": "not_loaded", "message": "plugin `judges` is not loaded"}));
    assert_eq!(host.metric("triage_waiting").await, 2.0);
    host.logs("incidents wait for a playbook: plugin `judges` is not loaded").await;
    assert_eq!(host.get("/api/sources/lab").await["playbook_error"], "plugin `judges` is not loaded");
    let asked = host.call(Method::POST, &format!("{path}/triage"), "").await;
    assert_eq!((asked.status, asked.error_code()), (409, "conflict"), "{asked:?}");

    // An incident that is no longer new is skipped.
    let taken = host.call(Method::PATCH, &late, r#"{"status": "in_progress"}"#).await;
    assert_eq!(taken.status, 200);
    // A plugin of another kind does not serve the request.
    folder.put("judges", &guest("echo"));
    host.plugin_when("judges", |plugin| plugin["kind"] == "mapper").await;
    let waiting = host.get(&path).await;
    assert_eq!(waiting["triage"]["error"]["message"], "plugin `judges` is a mapper and not a playbook");
    host.kill();

    folder.put("judges", &judges());
    let host = folder.start().await;
    // A plugin changes its kind only by `promote`.
    let refused =
        |plugin: &Value| plugin["error"].as_str().is_some_and(|error| error.contains("the file is a playbook"));
    assert_eq!(host.plugin_when("judges", refused).await["kind"], "mapper");
    let promoted = host.call(Method::POST, "/api/plugins/judges/promote", "").await;
    assert_eq!(promoted.status, 200, "{promoted:?}");
    let plugin = host.plugin_when("judges", |plugin| plugin["error"].is_null()).await;
    assert_eq!(plugin["kind"], "playbook");
    assert_eq!(host.get("/api/sources/lab").await["playbook_error"], Value::Null);
    let shown = triaged(&host, &path, "done").await;
    assert_eq!((&shown["severity"], &shown["triage"]["error"]), (&json!("high"), &json!(null)));
    let shown = triaged(&host, &late, "skipped").await;
    assert_eq!((&shown["severity"], &shown["status"]), (&json!("medium"), &json!("in_progress")));
    assert_eq!(shown["triage"]["problems"], json!(["the status of the incident was already in_progress"]));
    assert_eq!(host.metric("triage_waiting").await, 0.0);
    // A manual request is processed.
    let asked = host.call(Method::POST, &format!("{late}/triage"), r#"{"playbook": "judges"}"#).await;
    assert_eq!((asked.status, &asked.body["triage"]["status"]), (202, &json!("waiting")), "{asked:?}");
    assert_eq!(triaged(&host, &late, "done").await["severity"], "high");
    assert_eq!(audit(&host, &late).await.pop().unwrap()["requestId"], asked.request_id);
}

#[tokio::test]
async fn a_failing_playbook_affects_its_own_triage_only() {
    let folder = folder("limits: { deadline_ms: 400 }").with("judges", &judges());
    let host = folder.start().await;
    let bad = |actions: Value| judgement(&actions);
    let good = judgement(&json!([{"add-note": "at last"}]));
    let cases = [
        ("traps", "T".to_owned(), "trapped", "unreachable"),
        ("loops", "L".to_owned(), "deadline_exceeded", "400 ms"),
        ("refuses", bad(json!("no host is named")), "refused", "judges 1.0: no host is named"),
        (
            "empty tag",
            bad(json!([{"set-severity": "high"}, {"add-tag": ""}])),
            "invalid_action",
            "action 2 of 2: the tag has 0 bytes",
        ),
        ("long note", bad(json!([{"add-note": "x".repeat(16 * 1024 + 1)}])), "invalid_action", "16385 bytes"),
        ("many actions", bad(json!(vec![json!({"add-tag": "x"}); 1501])), "invalid_action", "1501 actions"),
        ("many notes", bad(json!(vec![json!({"add-note": "x"}); 11])), "invalid_action", "11 notes"),
        (
            "odd observable",
            bad(json!([{"add-observable": {"data-type": "IP", "value": "x"}}])),
            "invalid_action",
            "`IP`",
        ),
        ("no such status", bad(json!([{"set-status": 77}])), "trapped", "discriminant"),
        ("no such destination's name", bad(json!([{"notify": "../etc"}])), "invalid_action", "is not a valid name"),
    ];
    let mut paths = Vec::new();
    for (name, description, ..) in &cases {
        paths.push(post(&host, json!({"source-ref": name, "description": description})).await);
    }
    for ((name, _, code, words), path) in cases.iter().zip(&paths) {
        let shown = triaged(&host, path, "failed").await;
        let error = &shown["triage"]["error"];
        assert!(error["code"] == *code && error["message"].as_str().unwrap().contains(words), "{name}: {error}");
        assert_eq!(
            (&shown["revision"], &shown["severity"], &shown["status"]),
            (&json!(1), &json!("medium"), &json!("new")),
            "{name}"
        );
        assert_eq!(audit(&host, path).await.len(), 1, "{name}");
    }
    assert_eq!(host.metric("triages_total{playbook=\"judges\",result=\"again\"}").await, 2.0);
    assert_eq!(host.metric("triage_waiting").await, 0.0);

    // The same version is called again on request only; another version of the playbook is called automatically.
    for path in &paths {
        let patch = json!({"description": good}).to_string();
        assert_eq!(host.call(Method::PATCH, path, patch).await.status, 200);
    }
    let (asked, retried) = paths.split_first().unwrap();
    let (success, text, errors) = folder.run(&[
        "incidents",
        "triage",
        asked.rsplit('/').next().unwrap(),
        "--url",
        &host.url,
        "--token",
        crate::host::ADMIN_TOKEN,
    ]);
    assert!(success && text.contains("judges will be called for INC-"), "{text}{errors}");
    triaged(&host, asked, "done").await;
    assert_eq!(host.get(&retried[0]).await["triage"]["status"], "failed");
    folder.put("judges", &at_version(judges(), "1.1"));
    for path in retried {
        let shown = triaged(&host, path, "done").await;
        assert_eq!(
            (&shown["triage"]["plugin"]["version"], &shown["notes"][0]["text"]),
            (&json!("1.1"), &json!("at last"))
        );
    }
}

#[tokio::test]
async fn a_triage_by_an_unknown_playbook_or_of_an_unknown_incident_is_refused() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: returns } }").with("returns", &guest("returns"));
    let host = folder.start().await;
    let path = post(&host, json!({"source-ref": "a"})).await;
    assert_eq!(host.get(&path).await["triage"], Value::Null);
    for (path, body, status) in [
        (format!("{path}/triage"), "", 409),
        (format!("{path}/triage"), r#"{"playbook": "returns"}"#, 409),
        (format!("{path}/triage"), r#"{"play": 1}"#, 400),
        ("/api/incidents/INC-1999-0001/triage".to_owned(), "", 404),
    ] {
        assert_eq!(host.call(Method::POST, &path, body).await.status, status, "{path} {body}");
    }
    assert_eq!(host.list("/api/plugins").await[0]["kind"], "mapper");
}

/// The bundled playbooks triage incidents of bundled mappers. Playbooks are never chosen as mappers.
#[tokio::test]
async fn bundled_playbooks_triage_incidents_of_bundled_mappers() {
    let playbook = |name: &str| format!("{{ secret: {SECRET}, auto_triage: true, playbook: {name} }}");
    let mut folder = Folder::new(&format!(
        "sources: {{ mail: {}, edr: {}, phishing_triage: {} }}",
        playbook("phishing_triage"),
        playbook("malware_triage"),
        playbook("malware_triage"),
    ));
    for name in ["defender-office365", "crowdstrike", "phishing_triage", "malware_triage"] {
        folder = folder.with(name, &mapper(name));
    }
    let host = folder.start().await;
    let seed = |mapper: &str| std::fs::read(project(&format!("plugins/{mapper}/payloads/seed.json"))).unwrap();
    for (source, mapper, category) in [
        ("mail", "defender-office365", "phishing"),
        ("edr", "crowdstrike", "malware"),
        ("phishing_triage", "crowdstrike", "malware"),
    ] {
        let answer = host.signed(source, seed(mapper)).await;
        assert_eq!(answer.status_word(), "accepted", "{answer:?}");
        let path = format!("/api/incidents/{}", answer.body["incident_id"].as_str().unwrap());
        let shown = triaged(&host, &path, "done").await;
        assert_eq!((&shown["status"], &shown["category"]), (&json!("triaged"), &json!(category)), "{shown:#}");
        assert!(shown["notes"][0]["text"].as_str().unwrap().contains("First steps:\n1. "), "{shown:#}");
        assert!(shown["tags"].as_array().unwrap().contains(&json!(category)));
        let file = folder.path(&format!("{source}.json"));
        std::fs::write(&file, shown.to_string()).unwrap();

        // The same as a dry run, by command line and API: the category is already set.
        let plugin = folder.plugin(shown["playbook"].as_str().unwrap());
        let run =
            folder.run(&["plugin", "run", plugin.to_str().unwrap(), "--payload", file.to_str().unwrap(), "--json"]);
        let (success, text, errors) = run;
        assert!(success, "{errors}");
        let tried: Value = serde_json::from_str(&text).unwrap();
        assert!(
            tried["actions"].as_array().unwrap().iter().all(|action| action.get("set_category").is_none()),
            "{tried}"
        );
        let path = format!("/api/plugins/{}/run", shown["playbook"].as_str().unwrap());
        let answer = host.call(Method::POST, &path, json!({"payload": shown}).to_string()).await;
        assert_eq!((answer.status, &answer.body["actions"]), (200, &tried["actions"]), "{answer:?}");
    }
    let (success, text, errors) = folder.run(&["plugin", "check", folder.plugin("phishing_triage").to_str().unwrap()]);
    assert!(success && text.contains("playbook, API 0.1.0"), "{text}{errors}");
}
