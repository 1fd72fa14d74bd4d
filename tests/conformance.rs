//! `hookmill plugin test --conformance`: the bundled mappers pass it, and mappers that misbehave do not.

use crate::guest::{guest, guest_in, project};
use crate::host::Folder;
use hookmill_host::vendors::bundled;
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};
use tokio::task::JoinSet;

/// The number of mutants of each payload without `HOOKMILL_MUTATIONS`.
const MUTANTS: usize = 25;
/// Tests share the machine, and interpreters are slow on a busy one.
const DEADLINE_MS: &str = "60000";
/// Mappers with an interpreter get a fifth of the mutants.
const SLOW: [&str; 4] = ["cybereason", "google-workspace", "guardduty", "okta"];
/// The number of mappers that are checked at the same time.
const AT_ONCE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_mappers_conform() {
    let count = std::env::var("HOOKMILL_MUTATIONS").map_or(MUTANTS, |count| count.parse().unwrap());
    let mut mappers: Vec<String> = bundled().unwrap().into_iter().map(|vendor| vendor.name).collect();
    // Those that take longest come first.
    mappers.sort_by_key(|name| !SLOW.contains(&name.as_str()));
    let (mut running, mut faults, mut calls) = (JoinSet::new(), String::new(), 0);
    for name in mappers {
        if running.len() == AT_ONCE {
            add(running.join_next().await.unwrap().unwrap(), &mut faults, &mut calls);
        }
        let mutants = if SLOW.contains(&name.as_str()) { count.div_ceil(5) } else { count };
        running.spawn_blocking(move || report(&name, mutants));
    }
    while let Some(report) = running.join_next().await {
        add(report.unwrap(), &mut faults, &mut calls);
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(calls > 200 * MUTANTS as u64, "only {calls} calls");
}

/// Checks one bundled mapper. Its compiled code is kept in the target folder.
fn report(name: &str, mutants: usize) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_hookmill"))
        .args(["plugin", "test", "--conformance", "--json", "--deadline-ms", DEADLINE_MS])
        .args(["--mutants", &mutants.to_string(), "--plugin"])
        .arg(project(&format!("target/plugins/{name}.wasm")))
        .arg(project(&format!("plugins/{name}")))
        .env("XDG_CACHE_HOME", project("target/conformance"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{name}: {errors}"));
    assert_eq!(report["passed"], output.status.success(), "{name}: {errors}");
    report
}

fn add(report: Value, faults: &mut String, calls: &mut u64) {
    for check in report["checks"].as_array().unwrap() {
        *calls += check["calls"].as_u64().unwrap();
        for failure in check["failures"].as_array().unwrap() {
            *faults += &format!("{} {}: {failure}\n", report["folder"], check["check"]);
        }
    }
}

/// A guest with its file, the declarations, the checks that it fails, and one of these with a part of its first problem.
type Case<'a> = (&'a str, Vec<u8>, &'a Value, &'a [&'a str], &'a str, &'a str);

#[test]
fn a_mapper_that_misbehaves_fails_the_check_that_is_about_it() {
    let folder = Folder::new("");
    let payload = |name: &str, text: &str| {
        fs::create_dir_all(folder.path("acme/payloads")).unwrap();
        fs::write(folder.path(&format!("acme/payloads/{name}.json")), text).unwrap();
    };
    payload("one", r#"{"id": 1}"#);
    payload("two", r#"{"id": 2}"#);
    payload("with-list", r#"{"id": 3, "ids": ["a-10001"]}"#);
    let conformance = |declared: &Value| fs::write(folder.path("acme/conformance.json"), declared.to_string()).unwrap();
    let essential = json!({"essential": ["id"]});
    let updates = json!({"essential": ["id"], "updates": [["one", "two"]]});
    let all = ["mutations", "determinism", "identity", "limits"];
    let cases: [Case; 7] = [
        ("traps", guest("traps"), &essential, &all, "mutations", "trapped"),
        ("counts", guest("counts"), &essential, &["determinism"], "determinism", "`/incidents/0/source_ref`"),
        ("clock", guest_in("clock", "wasi"), &essential, &["identity"], "identity", "other source-refs"),
        ("random", guest_in("random", "wasi"), &essential, &["identity"], "identity", "other source-refs"),
        ("varied", guest("varied"), &essential, &["limits"], "limits", "trapped"),
        ("grows", guest("grows"), &essential, &["mutations", "limits"], "limits", "memory_exceeded"),
        // The source-ref is the body.
        ("echo", guest("echo"), &updates, &["mutations", "identity", "limits"], "identity", "no source-ref in common"),
    ];
    for (name, wasm, declared, failing, check, problem) in cases {
        fs::write(folder.path("acme.wasm"), wasm).unwrap();
        conformance(declared);
        let arguments = ["plugin", "test", "acme", "--plugin", "acme.wasm", "--conformance"];
        let (success, text, errors) = folder.run(&[&arguments[..], &["--json", "--deadline-ms", DEADLINE_MS]].concat());
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{name}: {errors}"));
        assert_eq!((success, &report["passed"]), (false, &json!(false)), "{name}");
        let failed = |check: &&Value| !check["failures"].as_array().unwrap().is_empty();
        let checks: Vec<&Value> = report["checks"].as_array().unwrap().iter().filter(failed).collect();
        let names: Vec<&str> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
        assert_eq!(names, failing, "{name}: {report}");
        let found = checks.iter().find(|report| report["check"] == check).unwrap();
        assert!(found["failures"][0]["problem"].as_str().unwrap().contains(problem), "{name}: {report}");
        let (_, shown, errors) = folder.run(&[&arguments[..], &["--deadline-ms", DEADLINE_MS]].concat());
        assert!(shown.contains(&format!("✗ {}", failing[0])) && shown.contains(problem), "{name}: {shown}");
        assert!(errors.contains("not every check is passed by acme"), "{errors}");
    }
    conformance(&json!({"essentials": []}));
    let (success, _, errors) = folder.run(&["plugin", "test", "acme", "--plugin", "acme.wasm", "--conformance"]);
    assert!(!success && errors.contains("conformance.json") && errors.contains("essentials"), "{errors}");
    assert!(!folder.run(&["plugin", "test", "acme", "--json"]).0, "--json is for the checks");
}
