//! The commands that talk to a host, with the answers of a newer version.

use crate::host::Folder;
use crate::server::{Page, Server};
use serde_json::{Value, json};

const ID: &str = "019c1f3e-5c00-7000-8000-000000000001";

/// With `--json`, members and values that this version does not know are printed, and the rest decides the exit code.
#[tokio::test(flavor = "multi_thread")]
async fn json_of_a_newer_host_is_passed_through() {
    let folder = Folder::new("");
    let dry_run = |ok: bool| json!({"ok": ok, "stages": [], "incidents": [], "deliveries": [], "new": 1});
    let report = |at: &str, passed: bool| {
        let plugin = json!({"name": "echo", "version": "1.0", "sha256": "9f86d081"});
        let none = json!({"count": 0, "payloads": []});
        json!({"plugin": plugin, "against": plugin, "at": at, "passed": passed, "payloads": 1, "left_out": 0, "same": 1,
            "changed": none, "newly_failing": none, "newly_succeeding": none, "new": 1})
    };
    let versions = |newest: &Value| {
        let former = report("2026-01-31T08:00:00Z", true);
        json!({"versions": [{"state": "new", "report": former}, {"report": null}, {"report": newest}]})
    };
    let (good, bad) = (report("2026-01-31T08:00:00.5Z", true), report("2026-01-31T08:00:00.5Z", false));
    let event = |status: &str| json!({"id": ID, "status": status, "error": {"code": "new", "message": null}, "new": 1});
    let incident = json!({"number": "INC-2026-0001", "severity": "new"});
    let notification = |error: Option<&str>| json!({"trigger": "new", "steps": [{"type": "new", "error": error}]});
    let cases: [(&[&str], Value, &Value, bool); 11] = [
        (&["incidents", "show", "INC-2026-0001"], incident.clone(), &incident, true),
        (&["webhook", "test", "edr"], dry_run(true), &dry_run(true), true),
        (&["webhook", "test", "edr"], dry_run(false), &dry_run(false), false),
        (&["plugin", "diff", "echo"], versions(&good), &good, true),
        (&["plugin", "diff", "echo"], versions(&bad), &bad, false),
        (&["events", "replay", ID], event("new"), &event("new"), true),
        (&["events", "replay", ID, "--dry-run"], event("new"), &event("new"), true),
        (&["events", "replay", ID], event("quarantined"), &event("quarantined"), false),
        (&["events", "discard", ID], event("new"), &event("new"), true),
        (&["notification", "test", "page"], notification(None), &notification(None), true),
        (&["notification", "test", "page"], notification(Some("no")), &notification(Some("no")), false),
    ];
    for (command, answer, printed, succeeds) in cases {
        let newer = Server::start([Page::json(&answer)]).await;
        let (success, output, errors) = folder.run(&[command, &["--url", &newer.url, "--json"]].concat());
        assert_eq!(success, succeeds, "{command:?}: {output}{errors}");
        assert_eq!(serde_json::from_str::<Value>(&output).unwrap(), *printed, "{command:?}");
    }
}

/// Events in quarantine are replayed, the oldest first, even if the list has values that this version does not know.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_newer_host_are_replayed_in_order() {
    let folder = Folder::new("");
    let page = |id: &str, cursor: Option<&str>| {
        let event = json!({"id": id, "status": "quarantined", "error": {"code": "new", "message": null}});
        Page::json(&json!({"data": [event], "next_cursor": cursor}))
    };
    let replayed = |status: &str| Page::json(&json!({"status": status}));
    let pages = [page("b", Some("further")), page("a", None), replayed("mapped"), replayed("new")];
    let newer = Server::start(pages).await;
    let (success, output, errors) = folder.run(&["events", "replay", "--quarantined", "--url", &newer.url, "--json"]);
    assert!(success, "{output}{errors}");
    let summary: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(summary, json!({"replayed": 2, "statuses": {"mapped": 1, "new": 1}}));
    let asked = newer.asked(4).await;
    let paths: Vec<&str> = asked.iter().map(|asked| asked.line.split(['?', ' ']).nth(1).unwrap()).collect();
    assert_eq!(paths, ["/api/events", "/api/events", "/api/events/a/replay", "/api/events/b/replay"]);
    assert!(asked[1].line.contains("cursor=further"), "{}", asked[1].line);
}
