//! Sessions of browsers: how they begin, what they allow, and when they end.

use crate::host::{ADMIN_TOKEN, Answer, Folder, client, send};
use hookmill_incident::Clock;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const CONSOLE: &str = "x-hookmill-console";
const SITE: &str = "sec-fetch-site";
/// What a trusted proxy adds to a request of another machine.
const FORWARDED: (&str, &str) = ("x-forwarded-for", "203.0.113.7");

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Creates a token and returns its text.
fn token(folder: &Folder, scope: &str, name: &str, more: &[&str]) -> String {
    let (success, text, errors) = folder.run(&[&["token", "create", "--scope", scope, "--name", name], more].concat());
    assert!(success, "{errors}");
    text.lines().find(|line| line.starts_with("hm_")).unwrap().trim().to_owned()
}

/// Adds headers, of which `{host}` is the host's own address.
fn with(request: RequestBuilder, url: &str, headers: Headers<'_>) -> RequestBuilder {
    let own = url.strip_prefix("http://").unwrap();
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value.replace("{host}", own)))
}

fn sign_in(url: &str, token: &str) -> RequestBuilder {
    client().post(format!("{url}/api/session")).body(json!({ "token": token }).to_string())
}

/// Begins a session and returns the cookie as a browser sends it.
async fn cookie(request: RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    cookie.split(';').next().unwrap().to_owned()
}

async fn call(method: Method, url: &str, cookie: &str, headers: Headers<'_>) -> Answer {
    let (base, _) = url.split_once("/api").unwrap();
    let request = client().request(method, url).header("cookie", cookie);
    send(with(request, base, headers)).await.unwrap()
}

async fn status(url: &str, cookie: &str) -> u16 {
    call(Method::GET, &format!("{url}/api/session"), cookie, &[]).await.status
}

/// The cookie is for the transport that the browser uses, and none is given where others could read it.
#[tokio::test]
async fn a_session_begins_with_a_valid_token_and_a_safe_transport() {
    let folder = Folder::new("trusted_proxies: [127.0.0.2/32]");
    let host = folder.start().await;
    let tls = "__Host-hookmill=";
    let loopback = "hookmill=";
    let (local, proxy) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let attempts: [(&str, Ipv4Addr, &str, Headers, &str); 11] = [
        ("a program", local, ADMIN_TOKEN, &[], loopback),
        ("a wrong token", local, "hm_0", &[], "unauthorized"),
        ("no token", local, "", &[], "unauthorized"),
        ("a page", local, ADMIN_TOKEN, &[("origin", "http://{host}"), (SITE, "same-origin")], loopback),
        ("TLS", local, ADMIN_TOKEN, &[("host", "soc.example"), ("origin", "https://soc.example")], tls),
        ("no TLS", local, ADMIN_TOKEN, &[("host", "soc.example"), ("origin", "http://soc.example")], "forbidden"),
        ("another machine", proxy, ADMIN_TOKEN, &[FORWARDED], "forbidden"),
        ("a false origin", proxy, ADMIN_TOKEN, &[FORWARDED, ("origin", "http://{host}")], "forbidden"),
        ("another site", local, ADMIN_TOKEN, &[("origin", "https://evil.example")], "forbidden"),
        ("another port", local, ADMIN_TOKEN, &[("origin", "http://{host}"), (SITE, "same-site")], "forbidden"),
        ("a sandboxed page", local, ADMIN_TOKEN, &[("origin", "null")], "forbidden"),
    ];
    for (who, address, token, headers, expected) in attempts {
        let client = reqwest::Client::builder().no_proxy().local_address(Some(address.into())).build().unwrap();
        let request = client.post(format!("{}/api/session", host.url)).body(json!({ "token": token }).to_string());
        let response = with(request, &host.url, headers).send().await.unwrap();
        let status = response.status().as_u16();
        let cookie = response.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
        let body: Value = response.json().await.unwrap();
        if let Some(cookie) = cookie {
            let shown = (status, &body["token"], &body["scope"]);
            assert_eq!(shown, (201, &json!("HOOKMILL_ADMIN_TOKEN"), &json!("admin")), "{who}");
            assert!(cookie.starts_with(expected) && cookie.contains("; HttpOnly; SameSite=Strict"), "{who}: {cookie}");
            assert_eq!(cookie.contains("; Secure"), expected == tls, "{who}: {cookie}");
        } else {
            let expected_status = if expected == "unauthorized" { 401 } else { 403 };
            assert_eq!((status, &body["error"]["code"]), (expected_status, &json!(expected)), "{who}: {body}");
        }
    }
    let bodies = [("[]", 400), (r#"{"token": "a", "more": 1}"#, 400), ("{}", 400), (&"x".repeat(2000), 413)];
    for (body, expected) in bodies {
        let answer = send(client().post(format!("{}/api/session", host.url)).body(body.to_owned())).await.unwrap();
        assert_eq!(answer.status, expected, "{answer:?}");
    }
}

/// A session may do what its token may, but changes need what only the host's own pages can send.
#[tokio::test]
async fn changes_by_a_session_come_from_the_hosts_own_pages() {
    let folder = Folder::new("");
    let (admin, read) = (token(&folder, "admin", "operator", &[]), token(&folder, "read", "reader", &[]));
    let host = folder.start().await;
    let admin = cookie(sign_in(&host.url, &admin)).await;
    let read = cookie(sign_in(&host.url, &read)).await;
    let own: Headers = &[(CONSOLE, "1"), (SITE, "same-origin")];
    let by_origin: Headers = &[(CONSOLE, "1"), ("origin", "http://{host}")];
    // The event does not exist: 404 shows that the request was allowed.
    let change = format!("{}/api/events/0/discard", host.url);
    for (what, cookie, headers, expected) in [
        ("a page of the host", &admin, own, 404),
        ("an older browser", &admin, by_origin, 404),
        ("no header of the console", &admin, &[(SITE, "same-origin")], 403),
        ("a poll", &admin, &[(CONSOLE, "poll"), (SITE, "same-origin")], 403),
        ("no origin", &admin, &[(CONSOLE, "1")], 403),
        ("another site", &admin, &[(CONSOLE, "1"), (SITE, "cross-site"), ("origin", "http://{host}")], 403),
        ("another port", &admin, &[(CONSOLE, "1"), ("origin", "http://127.0.0.1:1")], 403),
        ("scope read", &read, own, 403),
    ] as [(&str, &String, Headers, u16); 8]
    {
        assert_eq!(call(Method::POST, &change, cookie, headers).await.status, expected, "{what}");
    }
    for path in ["/api/incidents", "/api/events", "/api/session", "/api/operator-actions"] {
        for cookie in [&admin, &read] {
            assert_eq!(call(Method::GET, &format!("{}{path}", host.url), cookie, &[]).await.status, 200, "{path}");
        }
        assert_eq!(call(Method::GET, &format!("{}{path}", host.url), "hookmill=0", &[]).await.status, 401, "{path}");
    }

    let session = format!("{}/api/session", host.url);
    let shown = call(Method::GET, &session, &read, &[]).await.body;
    assert_eq!((&shown["token"], &shown["scope"]), (&json!("reader"), &json!("read")));
    assert_eq!(call(Method::DELETE, &session, &read, &[]).await.status, 403);
    assert_eq!(call(Method::GET, &session, &read, &[]).await.status, 200);
    assert_eq!(call(Method::DELETE, &session, &read, own).await.status, 204);
    assert_eq!(call(Method::GET, &session, &read, &[]).await.status, 401);
    assert_eq!(host.call(Method::DELETE, "/api/session", "").await.status, 404, "a token is no session");

    let actions = host.list("/api/operator-actions").await;
    let named = |name: &str, method: &str, path: &str| {
        actions.iter().any(|action| action["token"] == name && action["method"] == method && action["path"] == path)
    };
    assert!(named("operator", "POST", "/api/session") && named("operator", "POST", "/api/events/0/discard"));
    assert!(named("reader", "DELETE", "/api/session"), "{actions:?}");
    let database = std::fs::read(folder.path("data/hookmill.db-wal")).unwrap();
    let id = admin.split_once('=').unwrap().1.as_bytes();
    assert!(!database.windows(id.len()).any(|bytes| bytes == id), "only a digest is stored");
}

/// A session ends after 30 minutes without a request of a person, after 12 hours, and with its token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end() {
    let folder = Folder::new("");
    let [idle, used] = ["idle", "used"].map(|name| token(&folder, "read", name, &[]));
    let revoked = token(&folder, "read", "revoked", &[]);
    let clock = Clock::default();
    let at = jiff::Timestamp::from_millisecond(clock.now_ms() + HOUR_MS).unwrap();
    let expiring = token(&folder, "read", "expiring", &["--expires", &at.to_string()]);
    let host = folder.start_with(&clock).await;
    let url = format!("http://{}", host.address);
    let idle = cookie(sign_in(&url, &idle)).await;
    let used = cookie(sign_in(&url, &used)).await;
    let revoked = cookie(sign_in(&url, &revoked)).await;
    let expiring = cookie(sign_in(&url, &expiring)).await;
    let expires_at = |answer: Answer| answer.body["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let shown = call(Method::GET, &format!("{url}/api/session"), &used, &[]).await;
    assert!((expires_at(shown).as_millisecond() - clock.now_ms() - 12 * HOUR_MS).abs() < HOUR_MS);

    assert_eq!(status(&url, &revoked).await, 200);
    assert!(folder.run(&["token", "revoke", "revoked"]).0);
    assert_eq!(status(&url, &revoked).await, 401, "it ends with its token");

    clock.shift_ms(20 * MINUTE_MS);
    assert_eq!((status(&url, &used).await, status(&url, &expiring).await), (200, 200));
    let polled = call(Method::GET, &format!("{url}/api/session"), &idle, &[(CONSOLE, "poll")]).await;
    assert_eq!(polled.status, 200);
    clock.shift_ms(20 * MINUTE_MS);
    assert_eq!((status(&url, &used).await, status(&url, &expiring).await), (200, 200));
    assert_eq!(status(&url, &idle).await, 401, "a page that polls does not keep a session");
    clock.shift_ms(21 * MINUTE_MS);
    assert_eq!((status(&url, &used).await, status(&url, &expiring).await), (200, 401), "the token has expired");
    for _ in 0..26 {
        clock.shift_ms(25 * MINUTE_MS);
        assert_eq!(status(&url, &used).await, 200, "it is used");
    }
    clock.shift_ms(25 * MINUTE_MS);
    assert_eq!(status(&url, &used).await, 401, "after 12 hours");
    host.stop().await;
}

/// An address with a code signs in once, soon after it was made, and with the token that it stands for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_begins_one_session() {
    let folder = Folder::new("");
    let clock = Clock::default();
    let host = folder.start_with(&clock).await;
    let url = format!("http://{}", host.address);
    let code = || {
        let signing_in = host.signing_in_url().unwrap();
        let (console, code) = signing_in.split_once("#code=").unwrap();
        assert_eq!(console, format!("{url}/console/"));
        code.to_owned()
    };
    let begin = |body: Value| client().post(format!("{url}/api/session")).body(body.to_string());
    let first = code();
    let session = cookie(begin(json!({"code": first}))).await;
    let shown = call(Method::GET, &format!("{url}/api/session"), &session, &[]).await;
    assert_eq!((&shown.body["token"], &shown.body["scope"]), (&json!("HOOKMILL_ADMIN_TOKEN"), &json!("admin")));
    let (late, replaced, newest) = (code(), code(), code());
    for used in [first, late, replaced, "0".into(), String::new(), ADMIN_TOKEN.into()] {
        let answer = send(begin(json!({"code": used}))).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), (401, "unauthorized"), "{used}");
    }
    for body in [json!({"code": "a", "token": "b"}), json!({"code": null}), json!({"code": 1}), json!({})] {
        assert_eq!(send(begin(body.clone())).await.unwrap().status, 400, "{body}");
    }
    cookie(begin(json!({"code": newest}))).await;
    let late = code();
    clock.shift_ms(10 * MINUTE_MS);
    assert_eq!(send(begin(json!({"code": late}))).await.unwrap().status, 401, "it has ended");
    host.stop().await;
}

/// A flood of sessions and guesses of tokens are bounded, and an ended session does not lock its user out.
#[tokio::test]
async fn sessions_and_attempts_are_limited() {
    let folder = Folder::new("");
    let token = token(&folder, "read", "reader", &[]);
    let host = folder.start().await;
    let first = cookie(sign_in(&host.url, &token)).await;
    let second = cookie(sign_in(&host.url, &token)).await;
    for _ in 0..31 {
        cookie(sign_in(&host.url, &token)).await;
    }
    assert_eq!((status(&host.url, &first).await, status(&host.url, &second).await), (401, 200));

    let statuses = async |count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(status(&host.url, "hookmill=0").await);
        }
        statuses
    };
    assert_eq!(statuses(40).await.iter().filter(|status| **status == 429).count(), 11, "29 more are looked up");
    let new = cookie(sign_in(&host.url, &token)).await;
    assert_eq!(status(&host.url, &new).await, 200);

    let mut guesses = Vec::new();
    for index in 0..32 {
        guesses.push(send(sign_in(&host.url, &format!("hm_{index}"))).await.unwrap());
    }
    let limited = guesses.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(limited, 2);
    assert!(guesses.last().unwrap().retry_after.is_some());
    assert_eq!(host.metric("unauthorized_requests_total").await, 73.0);
    cookie(sign_in(&host.url, &token)).await;
}
