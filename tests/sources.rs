//! Sources that are added, changed and removed while the host runs: API, command line and configuration file.

use crate::guest::{echo, guest_for, wit};
use crate::host::{Folder, Host, SECRET, client, eventually, send, signed, unix_s};
use crate::receiver::Receiver;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

async fn register(host: &Host<'_>, body: Value) -> (u16, Value) {
    let answer = host.call(Method::POST, "/api/webhooks", body.to_string()).await;
    (answer.status, answer.body)
}

async fn source(host: &Host<'_>, name: &str) -> Value {
    host.get(&format!("/api/sources/{name}")).await
}

#[tokio::test]
async fn a_registered_source_works_at_once_and_after_a_restart() {
    let folder = Folder::new("").with("echo", &echo("1.0"));
    let host = folder.start().await;
    assert_eq!(host.signed("email-gateway", "{}").await.error_code(), "unknown_source");
    let (status, registered) = register(
        &host,
        json!({"source": "email-gateway", "secret": SECRET, "auto_triage": true, "playbook": "phishing_triage",
            "plugin": "echo", "severity_mapping": {"P1": "critical"}, "settings": {"team": "soc"}}),
    )
    .await;
    assert_eq!(status, 201, "{registered}");
    for (key, value) in [
        ("name", json!("email-gateway")),
        ("origin", json!("registered")),
        ("scheme", json!("hookmill")),
        ("plugin", json!("echo")),
        ("auto_triage", json!(true)),
        ("playbook", json!("phishing_triage")),
        ("settings", json!({"team": "soc"})),
        ("last_success", Value::Null),
        ("last_error", Value::Null),
    ] {
        assert_eq!(registered[key], value, "{key} in {registered}");
    }
    assert!(!registered.to_string().contains(SECRET));
    assert_eq!(register(&host, json!({"source": "email-gateway", "secret": SECRET})).await.0, 409);

    let first = host.signed("email-gateway", "one").await;
    assert_eq!((first.status, first.status_word()), (202, "accepted"));
    let incident = host.get(&format!("/api/incidents/{}", first.body["incident_number"].as_str().unwrap())).await;
    assert_eq!(incident["playbook"], "phishing_triage");
    assert_eq!(host.post("email-gateway", "unsigned").await.status, 401);
    drop(host);

    let host = folder.start().await;
    assert_eq!(host.signed("email-gateway", "two").await.status_word(), "accepted");
    // The database does not contain the secret.
    let mut files = vec![folder.path("data/hookmill.db")];
    files.extend(Some(folder.path("data/hookmill.db-wal")).filter(|path| path.exists()));
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let found = bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        assert!(!found, "{} holds the secret", file.display());
    }
    let mode = fs::metadata(folder.path("data/secret.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn counts_of_a_source_are_kept() {
    let folder = Folder::new(&format!("sources: {{ lab: {{ secret: {SECRET}, plugin: none }} }}"));
    let mut host = folder.start().await;
    let at = unix_s();
    for body in ["one", "two", "two"] {
        send(signed(host.webhook("lab"), at, body)).await.unwrap();
    }
    host.post("lab", "unsigned").await;
    let check = |shown: &Value| {
        assert_eq!(shown["received"], 4, "{shown}");
        assert_eq!((&shown["accepted"], &shown["duplicates"], &shown["refused"]), (&json!(2), &json!(1), &json!(1)));
        assert_eq!(shown["last_error"]["code"], "invalid_signature");
        assert!(shown["last_success"].is_string());
    };
    check(&source(&host, "lab").await);
    host.terminate();
    host.end().await;
    drop(host);
    check(&source(&folder.start().await, "lab").await);
}

#[tokio::test]
async fn an_unusable_source_does_not_affect_others() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    for name in ["rotates", "goes"] {
        assert_eq!(register(&host, json!({"source": name, "secret": SECRET, "plugin": "none"})).await.0, 201);
    }
    host.kill();
    // The key file is lost.
    fs::remove_file(folder.path("data/secret.key")).unwrap();
    let host = folder.start().await;
    assert_eq!(host.post("lab", "as ever").await.status, 202);
    for name in ["rotates", "goes"] {
        let refused = host.signed(name, "{}").await;
        assert_eq!((refused.status, refused.error_code()), (500, "internal"));
        let listed = host.list("/api/sources").await.into_iter().find(|source| source["name"] == name).unwrap();
        assert_eq!(listed, source(&host, name).await);
        assert_eq!(listed["last_error"]["code"], "unusable");
        assert!(listed["last_error"]["message"].as_str().unwrap().contains("another key"), "{listed}");
    }
    assert_eq!(register(&host, json!({"source": "goes", "secret": SECRET})).await.0, 409);
    assert_eq!(host.call(Method::DELETE, "/api/sources/goes", "").await.status, 204);
    let with = |overlap: &str| json!({"secret": SECRET, "overlap": overlap}).to_string();
    assert_eq!(host.call(Method::POST, "/api/sources/rotates/rotate", with("1h")).await.status, 400);
    assert_eq!(host.call(Method::POST, "/api/sources/rotates/rotate", with("0s")).await.status, 200);
    assert_eq!(host.signed("rotates", "{}").await.status, 202);
    let names: Vec<Value> = host.list("/api/sources").await.iter().map(|source| source["name"].clone()).collect();
    assert_eq!(names, ["lab", "rotates"]);
}

#[tokio::test]
async fn the_scheme_of_a_source_can_be_changed() {
    let folder = Folder::new("");
    let host = folder.start().await;
    register(&host, json!({"source": "lab", "secret": SECRET, "plugin": "none"})).await;
    let change = async |changes: Value| host.call(Method::PATCH, "/api/sources/lab", changes.to_string()).await;
    let alone = change(json!({"secret": SECRET})).await;
    assert_eq!(alone.status, 400);
    assert!(alone.body["error"]["message"].as_str().unwrap().contains("rotate"), "{alone:?}");
    assert_eq!(change(json!({"scheme": "none"})).await.status, 200);
    assert_eq!(host.post("lab", "unsigned").await.status, 202);
    assert_eq!(source(&host, "lab").await["secrets"], json!([]));
    assert_eq!(change(json!({"scheme": "gitlab"})).await.status, 400);
    assert_eq!(change(json!({"scheme": "gitlab", "secret": SECRET})).await.status, 200);
    assert_eq!(host.post("lab", "unsigned").await.status, 401);
    let gitlab = host.webhook("lab").header("x-gitlab-token", SECRET).body("{}");
    assert_eq!(send(gitlab).await.unwrap().status, 202);
}

#[tokio::test]
async fn secrets_rotate_with_an_overlap() {
    let folder = Folder::new("");
    let host = folder.start().await;
    register(&host, json!({"source": "lab", "secret": SECRET, "plugin": "none"})).await;
    let rotate = async |body: Value| {
        let answer = host.call(Method::POST, "/api/sources/lab/rotate", body.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let rotated = rotate(json!({"overlap": "1h"})).await;
    let made = rotated["secret"].as_str().unwrap().to_owned();
    assert!(made.len() >= 24, "{made}");
    let ends: Vec<bool> =
        rotated["secrets"].as_array().unwrap().iter().map(|secret| secret["not_after"].is_string()).collect();
    assert_eq!(ends, [true, false]);
    assert!(!source(&host, "lab").await.to_string().contains(&made), "a secret is shown once");
    let with = async |secret: &str, body: &str| {
        let at = unix_s().to_string();
        let signature = crate::host::signature_with(secret, at.as_bytes(), body.as_bytes());
        let request = host.webhook("lab").header("x-webhook-timestamp", &at);
        send(request.header("x-webhook-signature", format!("sha256={signature}")).body(body.to_owned()))
            .await
            .unwrap()
            .status
    };
    assert_eq!((with(SECRET, "old").await, with(&made, "new").await), (202, 202));

    for wrong in ["366d", "soon", "-1h"] {
        let body = json!({"overlap": wrong}).to_string();
        let answer = host.call(Method::POST, "/api/sources/lab/rotate", body).await;
        assert_eq!(answer.error_code(), "invalid_request", "{wrong}");
    }
    rotate(json!({"secret": "another-secret-of-the-tests", "overlap": "0s"})).await;
    assert_eq!((with(SECRET, "old again").await, with(&made, "new again").await), (401, 401));
    assert_eq!(with("another-secret-of-the-tests", "newest").await, 202);
}

#[tokio::test]
async fn a_source_can_be_changed_and_removed() {
    let folder = Folder::new("").with("echo", &echo("1.0"));
    let host = folder.start().await;
    register(&host, json!({"source": "lab", "secret": SECRET, "plugin": "absent"})).await;
    let waiting = host.signed("lab", "early").await;
    assert_eq!(waiting.status_word(), "queued");
    let change = async |body: Value| host.call(Method::PATCH, "/api/sources/lab", body.to_string()).await;
    assert_eq!(change(json!({"plugin": "echo", "playbook": "x"})).await.body["playbook"], "x");
    host.event_when(waiting.event_id(), |event| event["status"] == "mapped").await;
    assert_eq!(change(json!({"playbook": null})).await.body["playbook"], Value::Null);
    for wrong in
        [json!({"plugin": "../x"}), json!({"name": "x"}), json!({"colour": "red"}), json!({"secret": "y"}), json!([])]
    {
        assert_eq!(change(wrong.clone()).await.error_code(), "invalid_request", "{wrong}");
    }
    assert_eq!(host.call(Method::DELETE, "/api/sources/lab", "").await.status, 204);
    assert_eq!(host.call(Method::DELETE, "/api/sources/lab", "").await.status, 404);
    assert_eq!(host.signed("lab", "late").await.error_code(), "unknown_source");
    assert_eq!(host.list("/api/events").await.len(), 1, "its events must be kept");
}

#[tokio::test]
async fn invalid_registrations_are_refused_with_a_reason() {
    let folder = Folder::new(&format!("sources: {{ file: {{ secret: {SECRET} }} }}"));
    let host = folder.start().await;
    for (body, status, words) in [
        (json!({"source": "a/b", "secret": SECRET}), 400, "A-Z a-z 0-9"),
        (json!({"secret": SECRET}), 400, "source"),
        (json!({"source": "a", "secret": "short"}), 400, "5 bytes"),
        (json!({"source": "a", "secret": SECRET, "scheme": "hookmil"}), 400, "hookmil"),
        (json!({"source": "a", "secret": SECRET, "scheme": "none"}), 400, "none"),
        (json!({"source": "a", "secret": SECRET, "colour": "red"}), 400, "colour"),
        (json!({"source": "a", "secret": SECRET, "settings": {"a": {"b": 1}}}), 400, "settings"),
        (json!({"source": "a", "secret": 123_456_789}), 400, "`secret` must be text"),
        (json!({"source": "a", "secrets": [{"secret": SECRET}], "secret": SECRET}), 400, "rotate"),
        (
            json!({"source": "a", "scheme": {"type": "aws-sns", "topics": ["arn:aws:sns:eu-west-1:1:a"],
                "certificate": "/etc/hostname"}}),
            400,
            "not the path",
        ),
        (json!({"source": "file", "secret": SECRET}), 409, "file"),
    ] {
        let (found, answer) = register(&host, body.clone()).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(found == status && message.contains(words), "{body}: {found} {answer}");
        assert!(!answer.to_string().contains(SECRET), "{answer}");
    }
    // `${NAME}` is replaced in the configuration file only, not in API requests.
    let (status, answer) = register(
        &host,
        json!({"source": "env", "secret": "${HOOKMILL_ADMIN_TOKEN}-and-more",
        "settings": {"a": "${HOOKMILL_ADMIN_TOKEN}"}}),
    )
    .await;
    assert_eq!((status, &answer["settings"]["a"]), (201, &json!("${HOOKMILL_ADMIN_TOKEN}")), "{answer}");
    for (method, path) in [
        (Method::PATCH, "/api/sources/file"),
        (Method::DELETE, "/api/sources/file"),
        (Method::POST, "/api/sources/file/rotate"),
    ] {
        let answer = host.call(method, path, "{}").await;
        assert_eq!((answer.status, answer.error_code()), (409, "conflict"), "{path}: {answer:?}");
    }
    assert_eq!(source(&host, "file").await["origin"], "config");
    drop(host);

    folder.configure("sources: { env: { scheme: none } }");
    assert!(folder.refusal().contains("is both registered and defined in the configuration file"));
    folder.configure("");
    fs::write(folder.path("data/secret.key"), "AAAA\n").unwrap();
    let refusal = folder.refusal();
    assert!(refusal.contains("secret.key") && refusal.contains("openssl rand -base64 32"), "{refusal}");
}

#[tokio::test]
async fn the_configuration_is_reloaded_completely_or_not_at_all() {
    let lab = |more: &str| format!("sources: {{ lab: {{ scheme: none, plugin: none }}{more} }}\n");
    let folder = Folder::new(&lab(""));
    let host = folder.start().await;
    assert_eq!(host.post("new", "1").await.error_code(), "unknown_source");
    folder.configure(&lab(", new: { scheme: none, plugin: none }"));
    eventually("the new source", async || (host.post("new", "2").await.status == 202).then_some(())).await;

    for (config, words) in [
        (lab(", new: { scheme: nothing }"), "nothing"),
        (format!("{}dedup_window: 1m\n", lab("")), "dedup_window or dedup_retention takes effect only at a start"),
        ("sources: {".to_owned(), "line"),
    ] {
        folder.configure(&config);
        host.logs(words).await;
        assert_eq!(host.post("new", config).await.status, 202, "the previous configuration must stay active");
    }
    let receiver = Receiver::start([]).await;
    let webhooks = format!("webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8] }} }}\n", receiver.url);
    folder.put("echo", &echo("1.0"));
    host.plugin_when("echo", |plugin| plugin["state"] == "loaded").await;
    folder.configure(&format!("sources: {{ lab: {{ scheme: none, plugin: echo }} }}\n{webhooks}"));
    eventually("the source is gone", async || (host.post("new", "3").await.status == 404).then_some(())).await;
    host.post("lab", "an incident").await;
    receiver.wait_for(1).await;

    // SIGHUP reloads it too.
    folder.configure(&lab(""));
    host.signal("HUP");
    let mut bodies = 4..;
    eventually("the change", async || {
        let body = bodies.next()?.to_string();
        (host.post("lab", body).await.status_word() == "ignored").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_command_line_manages_sources() {
    let vendor = "crowdstrike";
    let folder = Folder::new("").with(vendor, &guest_for("echo", &wit(), "mapper-plugin"));
    let host = folder.start().await;
    let run = |arguments: &[&str], input: Option<&str>| {
        let mut command = folder.hookmill(arguments);
        command.env("HOOKMILL_URL", &host.url).env("HOOKMILL_TOKEN", crate::host::ADMIN_TOKEN);
        if let Some(text) = input {
            fs::write(folder.path("input"), text).unwrap();
            command.stdin(fs::File::open(folder.path("input")).unwrap());
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let add = ["webhook", "add", "email-gateway", "--secret", "your-secret-key", "--auto-triage", "true"];
    let (success, text, errors) = run(&[&add[..], &["--playbook", "phishing_triage"]].concat(), None);
    assert!(success && text.contains("/api/webhooks/email-gateway"), "{text}{errors}");
    let (success, _, errors) = run(&["webhook", "add", "stdin", "--secret", "-"], Some(&format!("{SECRET}\n")));
    assert!(success, "{errors}");
    assert_eq!(host.signed("stdin", "x").await.status, 202);
    fs::write(folder.path("secret.txt"), SECRET).unwrap();
    assert!(run(&["webhook", "add", "filed", "--secret-file", "secret.txt"], None).0);
    assert_eq!(host.signed("filed", "x").await.status, 202);
    let (success, text, _) = run(&["webhook", "add", "made"], None);
    assert!(success && text.contains("shown this once"), "{text}");

    let (_, text, _) = run(&["webhook", "list"], None);
    assert!(["email-gateway", "stdin", "filed", "made", "hookmill"].iter().all(|word| text.contains(word)), "{text}");
    let (success, text, errors) = run(&["webhook", "rotate", "made", "--overlap", "1h"], None);
    assert!(success && text.contains("shown this once") && text.contains("valid until"), "{text}{errors}");
    assert!(run(&["webhook", "remove", "made"], None).0);
    let (success, _, errors) = run(&["webhook", "remove", "made"], None);
    assert!(!success && errors.contains("made"), "{errors}");

    let read = folder.run(&["token", "create", "--scope", "read"]).1;
    let answer = client().post(format!("{}/api/webhooks", host.url)).bearer_auth(read.trim()).body("{}");
    assert_eq!(send(answer).await.unwrap().status, 403);
}

#[tokio::test]
async fn a_dry_run_goes_through_every_stage_and_stores_nothing() {
    let folder = Folder::new(&format!(
        "sources:
           lab: {{ secret: {SECRET}, plugin: echo }}
           far: {{ scheme: url-token, secret: {SECRET}, plugin: echo, allow_ips: [192.0.2.0/24] }}
           graph: {{ scheme: microsoft-graph, secret: {SECRET}, plugin: none }}
           alone: {{ scheme: github, secret: {SECRET}, plugin: absent }}
           late: {{ scheme: slack, secrets: [{{ secret: {SECRET}, not_after: 2001-01-01T00:00:00Z }}], plugin: echo }}
           topic: {{ scheme: {{ type: aws-sns, topics: [\"arn:aws:sns:eu-west-1:123456789012:alerts\"] }}, plugin: echo }}"
    ))
    .with("echo", &echo("1.0"));
    let host = folder.start().await;
    let all = ["sign", "receive", "verify", "map", "store", "deliver"];
    for (source, ok, stages) in [
        ("lab", true, &all[..]),
        ("far", true, &all),
        ("graph", true, &all),
        ("alone", false, &all[..4]),
        ("late", false, &all[..1]),
        ("topic", true, &["sign", "map", "store", "deliver"]),
    ] {
        let answer = host.call(Method::POST, &format!("/api/sources/{source}/test"), "{}").await.body;
        let names: Vec<&str> =
            answer["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
        assert_eq!((&answer["ok"], &names[..]), (&json!(ok), stages), "{source}: {answer}");
        let (success, text, errors) = folder
            .run(&[&["webhook", "test", source, "--url", &host.url, "--token", crate::host::ADMIN_TOKEN][..]].concat());
        assert_eq!(success, ok, "{text}{errors}");
        assert!(stages.iter().all(|stage| text.contains(stage)), "{text}");
        assert_eq!(source_received(&host, source).await, 0);
    }
    assert!(host.list("/api/events").await.is_empty() && host.list("/api/incidents").await.is_empty());
    let posted = host.post("graph", json!({"value": [{"clientState": SECRET, "id": "1"}]}).to_string()).await;
    let event = host.get(&format!("/api/events/{}", posted.event_id())).await;
    assert_eq!(event["body"]["data"], r#"{"value":[{"id":"1"}]}"#, "the secret in it is not kept");
}

async fn source_received(host: &Host<'_>, name: &str) -> u64 {
    source(host, name).await["received"].as_u64().unwrap()
}
