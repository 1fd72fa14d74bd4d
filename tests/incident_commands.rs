//! The commands that change incidents.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder};
use crate::outcome::{incident, returns};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A change of all incidents that match is counted first. Its result has those that were so already and those that failed.
#[tokio::test]
async fn the_command_line_changes_all_incidents_that_match() {
    // More than the incidents of one step.
    const MATCHING: usize = 450;
    let config = "sources: { lab: { scheme: none, plugin: returns } }";
    let folder = Folder::new(config).with("returns", &guest("returns"));
    let mut host = folder.start().await;
    let incidents: Vec<Value> =
        (0..MATCHING).map(|n| json!({"source-ref": n.to_string(), "severity": "medium"})).collect();
    host.post("lab", returns(&json!({"incidents": incidents}))).await;
    host.post("lab", incident(json!({"source-ref": "other", "severity": "critical"}))).await;
    let number = host.list("/api/incidents?source_ref=7").await[0]["number"].as_str().unwrap().to_owned();
    host.terminate();
    host.end().await;
    drop(host);
    let disk = Connection::open(folder.path("data/hookmill.db")).unwrap();
    disk.execute("UPDATE incidents SET record = '?' WHERE source_ref = '9'", []).unwrap();
    drop(disk);
    let host = folder.start().await;
    let run = |arguments: &[&str]| {
        let connection = ["--url", &host.url, "--token", ADMIN_TOKEN];
        folder.run(&[&["incidents", "change"], arguments, &connection].concat())
    };
    assert!(run(&[&number, "--status", "closed"]).0);

    let all = ["--matching", "severity=medium", "--matching", "source=lab", "--status", "closed"];
    let (done, output, errors) = run(&all);
    assert!(done && output == "would change 450 incidents; add --yes to change them\n", "{output}{errors}");
    let (_, output, _) = run(&[&all[..], &["--json"]].concat());
    assert_eq!(serde_json::from_str::<Value>(&output).unwrap(), json!({"count": MATCHING, "has_more": false}));
    assert_eq!(host.list("/api/incidents?status=closed").await.len(), 1, "nothing is changed without --yes");
    let (done, output, errors) = run(&[&all[..], &["--yes"]].concat());
    assert!(!done && output.contains("the incident cannot be read"), "{output}{errors}");
    assert!(output.ends_with("changed 448 incidents; 1 were so already\n"), "{output}{errors}");
    assert!(errors.contains("1 of 450 incidents were not changed"), "{errors}");
    assert_eq!(host.list("/api/incidents?severity=critical").await[0]["status"], "new");
    let (_, output, errors) = run(&[&all[..], &["--yes", "--json"]].concat());
    let again: Value = serde_json::from_str(&output).unwrap_or_default();
    assert_eq!((&again["changed"], &again["unchanged"]), (&json!(0), &json!(MATCHING - 1)), "{output}{errors}");
    assert_eq!(again["failed"][0]["error"]["code"], "conflict", "{again}");

    for (arguments, expected) in [
        (&["--matching", "colour=red", "--note", "n"][..], "colour"),
        (&["--matching", "new", "--note", "n"], "expected NAME=VALUE"),
        (&["--matching", "limit=1", "--note", "n", "--yes"], "limit"),
        (&["--matching", "status=new"], "--status"),
        (&["--matching", "status=new", "--note", "n", &number], "cannot be used with"),
        (&[&number, "--note", "n", "--yes"], "cannot be used with"),
        (&["--note", "n", "--yes"], "--matching"),
        (&["--note", "n"], "NUMBER"),
    ] {
        let (done, output, errors) = run(arguments);
        assert!(!done && errors.contains(expected), "{arguments:?}: {output}{errors}");
    }
}
