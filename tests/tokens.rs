//! API tokens: scopes, expiry and revocation.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Answer, Folder, Host, client, send};
use crate::outcome::returns;
use reqwest::Method;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

async fn status(host: &Host<'_>, method: Method, path: &str, authorization: Option<&str>) -> (u16, String) {
    let mut request = client().request(method, format!("{}{path}", host.url)).body("{}");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let answer = send(request).await.unwrap();
    (answer.status, answer.body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn tokens_allow_what_their_scope_says() {
    let folder = Folder::new("");
    let create = |scope: &str, name: &str| {
        let (success, text, errors) = folder.run(&["token", "create", "--scope", scope, "--name", name]);
        assert!(success, "{errors}");
        let token = text.lines().find(|line| line.starts_with("hm_")).unwrap_or_else(|| panic!("no token in {text}"));
        format!("Bearer {}", token.trim())
    };
    // Without a running host and beside one
    let read = create("read", "reader");
    let host = folder.start().await;
    let admin = create("admin", "operator");

    let other = if read.ends_with('0') { '1' } else { '0' };
    let wrong = format!("{}{other}", &read[..read.len() - 1]);
    let basic = admin.replace("Bearer", "Basic");
    let unauthorized = (401, "unauthorized".to_owned());
    for path in
        ["/api/incidents", "/api/events", "/api/plugins", "/api/deliveries", "/api/incidents/INC-2026-0001/audit"]
    {
        for authorization in [None, Some("Bearer "), Some("Bearer hm_0"), Some(&*wrong), Some(&*basic), Some("hm_0")] {
            assert_eq!(status(&host, Method::GET, path, authorization).await, unauthorized, "{path} {authorization:?}");
        }
        for authorization in [&read, &admin] {
            assert!(matches!(status(&host, Method::GET, path, Some(authorization)).await.0, 200 | 404), "{path}");
        }
    }
    for (method, path) in [
        (Method::PATCH, "/api/incidents/INC-2026-0001"),
        (Method::DELETE, "/api/incidents/INC-2026-0001"),
        (Method::POST, "/api/events/0/replay"),
        (Method::POST, "/api/events/0/discard"),
        (Method::POST, "/api/deliveries/0/retry"),
    ] {
        let call = async |token: Option<&str>| status(&host, method.clone(), path, token).await;
        assert_eq!(call(None).await, unauthorized, "{method} {path}");
        assert_eq!(call(Some(&read)).await, (403, "forbidden".into()), "{method} {path}");
        assert_eq!(call(Some(&admin)).await, (404, "not_found".into()), "{method} {path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(status(&host, Method::GET, path, None).await.0, 200, "{path} is open");
    }

    let (_, list, _) = folder.run(&["token", "list"]);
    assert!(list.contains("reader") && list.contains("operator"), "{list}");
    assert!(!list.contains("hm_"), "a token is shown once: {list}");
    let (success, _, errors) = folder.run(&["token", "create", "--scope", "read", "--name", "reader"]);
    assert!(!success && errors.contains("token `reader` already exists"), "{errors}");
    let (success, _, errors) = folder.run(&["token", "revoke", "nobody"]);
    assert!(!success && errors.contains("no token `nobody`"), "{errors}");
    assert!(folder.run(&["token", "revoke", "reader"]).0);
    assert_eq!(
        status(&host, Method::GET, "/api/events", Some(&read)).await,
        unauthorized,
        "revocation must take effect immediately"
    );
    assert_eq!(status(&host, Method::GET, "/api/events", Some(&admin)).await.0, 200);

    let database = std::fs::read(folder.path("data/hookmill.db")).unwrap();
    let secret = admin.strip_prefix("Bearer hm_").unwrap().as_bytes();
    assert!(!database.windows(secret.len()).any(|bytes| bytes == secret), "only a digest is stored");
}

/// Tokens and sessions are listed without secrets and removed, by those who may change something.
#[tokio::test]
async fn operators_remove_tokens_and_sessions() {
    let folder = Folder::new("");
    let create = |scope: &str, name: &str| {
        folder.run(&["token", "create", "--scope", scope, "--name", name]).1.trim().to_owned()
    };
    let (reader, analyst) = (create("read", "reader"), create("read", "an analyst"));
    let host = folder.start().await;
    let begin = async |token: &str| {
        let body = json!({ "token": token }).to_string();
        let response = client().post(format!("{}/api/session", host.url)).body(body).send().await.unwrap();
        response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let cookies = [begin(&reader).await, begin(&analyst).await, begin(ADMIN_TOKEN).await];
    let status_of = async |cookie: &str| {
        send(client().get(format!("{}/api/session", host.url)).header("cookie", cookie)).await.unwrap().status
    };

    let tokens = host.list("/api/tokens").await;
    let names: Vec<&str> = tokens.iter().map(|token| token["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["an analyst", "reader"]);
    let sessions = host.list("/api/sessions").await;
    assert!(sessions.iter().all(|session| session["own"] == false), "the request has a token");
    let session_of = |token: &str| sessions.iter().find(|session| session["token"] == token).unwrap();
    let text = json!([tokens, sessions]).to_string();
    assert!([&reader, &analyst].into_iter().chain(&cookies).all(|secret| !text.contains(secret.as_str())), "{text}");
    for path in ["/api/tokens", "/api/sessions"] {
        assert_eq!(status(&host, Method::GET, path, Some(&format!("Bearer {reader}"))).await.0, 403, "{path}");
    }

    let of_environment = session_of("HOOKMILL_ADMIN_TOKEN")["id"].as_str().unwrap();
    let path = format!("/api/sessions/{of_environment}");
    assert_eq!(status(&host, Method::DELETE, &path, Some(&format!("Bearer {reader}"))).await.0, 403);
    let remove = async |path: &str| host.call(Method::DELETE, path, "").await.status;
    assert_eq!((remove(&path).await, remove(&path).await, remove("/api/sessions/0").await), (204, 404, 404));
    assert_eq!((status_of(&cookies[2]).await, status_of(&cookies[1]).await), (401, 200));
    let path = "/api/tokens/an%20analyst";
    assert_eq!((remove(path).await, remove(path).await), (204, 404));
    assert_eq!(
        (status_of(&cookies[1]).await, status_of(&cookies[0]).await),
        (401, 200),
        "sessions end with their token"
    );
    let left = host.list("/api/sessions").await;
    assert_eq!(left.iter().map(|session| &session["token"]).collect::<Vec<_>>(), ["reader"]);
    let actions = host.list("/api/operator-actions").await;
    assert!(actions.iter().any(|action| action["method"] == "DELETE" && action["path"] == path), "{actions:?}");
}

#[tokio::test]
async fn tokens_expire() {
    let folder = Folder::new("");
    let host = folder.start().await;
    let create =
        |expires: &str| folder.run(&["token", "create", "--scope", "read", "--name", expires, "--expires", expires]);
    let (success, _, errors) = create("2020-01-01T00:00:00Z");
    assert!(!success && errors.contains("in the past"), "{errors}");
    // Expiry is stored in whole milliseconds.
    let soon = jiff::Timestamp::from_millisecond(jiff::Timestamp::now().as_millisecond() + 3000).unwrap();
    let (success, text, errors) = create(&soon.to_string());
    assert!(success, "{errors}");
    let token = format!("Bearer {}", text.lines().find(|line| line.starts_with("hm_")).unwrap());
    crate::host::eventually("the token expires", async || {
        let requested_at = jiff::Timestamp::now();
        let (status, _) = status(&host, Method::GET, "/api/events", Some(&token)).await;
        assert!(status == 401 || requested_at <= soon);
        (status == 401).then_some(())
    })
    .await;
    assert!(jiff::Timestamp::now() >= soon, "it was refused too early");
}

/// Guesses leave a count and a line in the log, and their address is limited. Others are not, and neither is a client of
/// the same address whose token was valid before.
#[tokio::test]
async fn guessed_tokens_are_counted_logged_and_limited() {
    let folder = Folder::new("");
    let host = folder.start().await;
    assert!(host.list("/api/events").await.is_empty());
    let call = async |address: Ipv4Addr, token: &str| -> Answer {
        let client = reqwest::Client::builder().no_proxy().local_address(Some(address.into())).build().unwrap();
        send(client.get(format!("{}/api/events", host.url)).bearer_auth(token)).await.unwrap()
    };
    let attacker = Ipv4Addr::LOCALHOST;
    let mut limited = 0;
    for index in 0..60 {
        let answer = call(attacker, &format!("hm_{index}")).await;
        match answer.status {
            401 => assert_eq!((answer.error_code(), limited), ("unauthorized", 0)),
            _ => {
                assert_eq!((answer.status, answer.error_code()), (429, "rate_limited"), "{answer:?}");
                assert!(answer.retry_after.unwrap().parse::<u32>().unwrap() <= 61);
                limited += 1;
            }
        }
    }
    assert_eq!(limited, 30);
    assert_eq!(host.metric("unauthorized_requests_total").await, 60.0);
    host.logs("30 tokens in a minute were not valid").await;
    assert!(host.log().lines().any(|line| line.contains("not valid") && line.contains("127.0.0.1")), "{}", host.log());
    assert!(host.log().matches("not valid").count() <= 3, "{}", host.log());
    assert_eq!(call(attacker, ADMIN_TOKEN).await.status, 200, "known from this address");
    let other = Ipv4Addr::new(127, 0, 0, 2);
    assert_eq!(call(other, "hm_0").await.status, 401);
    assert_eq!(call(other, ADMIN_TOKEN).await.status, 200);
}

/// The trail names the token of every request that is to change something, and survives a restart.
#[tokio::test]
async fn changes_are_recorded_with_the_name_of_their_token() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: returns } }").with("returns", &guest("returns"));
    let create = |scope: &str, name: &str| {
        let (success, text, errors) = folder.run(&["token", "create", "--scope", scope, "--name", name]);
        assert!(success, "{errors}");
        text.lines().find(|line| line.starts_with("hm_")).unwrap().trim().to_owned()
    };
    let (admin, read) = (create("admin", "operator"), create("read", "reader"));
    let host = folder.start().await;
    let posted = host.post("lab", returns(&json!({"incidents": [{"source-ref": "one"}]}))).await;
    let incident = posted.body["incident_id"].as_str().unwrap().to_owned();
    let path = format!("/api/incidents/{incident}");
    let call = async |token: &str, method: Method, path: &str, body: &str| {
        let request = client().request(method, format!("{}{path}", host.url)).bearer_auth(token).body(body.to_owned());
        send(request).await.unwrap()
    };
    assert_eq!(call(&read, Method::GET, &path, "").await.status, 200);
    assert_eq!(call(&read, Method::DELETE, &path, "").await.status, 403);
    assert_eq!(call(&admin, Method::PATCH, &path, r#"{"assignee": "ann"}"#).await.status, 200);
    assert_eq!(call(&admin, Method::PATCH, &path, r#"{"assigne": "ann"}"#).await.status, 400);
    let deleted = call(&admin, Method::DELETE, &format!("{path}?x=secret"), "").await;
    assert_eq!(deleted.status, 204);
    drop(host);

    let host = folder.start().await;
    let actions = host.list("/api/operator-actions?limit=2").await;
    let shown: Vec<_> = actions
        .iter()
        .map(|action| json!([action["token"], action["method"], action["path"], action["http_status"]]))
        .collect();
    let expected: Vec<Value> = vec![
        json!(["operator", "DELETE", path, 204]),
        json!(["operator", "PATCH", path, 400]),
        json!(["operator", "PATCH", path, 200]),
        json!(["reader", "DELETE", path, 403]),
        json!(["local", "CLI", "token create reader --scope read", null]),
        json!(["local", "CLI", "token create operator --scope admin", null]),
    ];
    assert_eq!(shown, expected);
    assert_eq!((&actions[0]["id"], &actions[0]["address"]), (&json!(deleted.request_id), &json!("127.0.0.1")));
    let id = |action: usize| actions[action]["id"].as_str().unwrap();
    let some = host.list(&format!("/api/operator-actions?limit=1&id={}&id={}", id(1), id(0))).await;
    assert_eq!(some, actions[..2]);
    assert!(host.list("/api/operator-actions?id=00000000-0000-7000-8000-000000000000").await.is_empty());
    let (success, text, errors) = folder.run(&["operator-actions", "list", "--url", &host.url, "--token", ADMIN_TOKEN]);
    assert!(success && text.contains("operator") && text.contains("DELETE"), "{text}{errors}");
    assert!(folder.run(&["token", "revoke", "reader"]).0);
    assert!(!folder.run(&["token", "revoke", "reader"]).0, "nothing changes, and nothing is recorded");
    let actions = host.list("/api/operator-actions?limit=3").await;
    assert_eq!((actions.len(), &actions[0]["path"]), (7, &json!("token revoke reader")));

    // The audit entry of the deletion names the token, too.
    let audit = host.get(&format!("{path}/audit")).await;
    let last = audit["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["operation"], &last["details"]), (&json!("Delete"), &json!({"deleted_by": "operator"})));
}
