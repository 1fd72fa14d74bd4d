//! API tokens: scopes, expiry and revocation.

use crate::host::{Folder, Host, client, send};
use reqwest::Method;

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
