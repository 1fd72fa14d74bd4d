//! Tokens that the host requests itself, for sources that it reads and for destinations.

use crate::guest::guest;
use crate::host::{Folder, eventually};
use crate::outcome::incident;
use crate::pull::{NETWORKS, bodies, folder, poll_of, source_when};
use crate::receiver::{Receiver, Reply};
use crate::server::{Asked, Page, Server};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use reqwest::{Method, Url};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PSS_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use ring::{digest, hmac};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

const RSA_KEY: &str = include_str!("../signatures/tests/sns/key.pem");
const RSA_CERTIFICATE: &str = include_str!("../signatures/tests/sns/certificate.pem");
const SECRET: &str = "a-secret-of-the-client";

fn oauth2(server: &Server, keys: &str) -> String {
    format!(
        ", auth: {{ type: oauth2, token_url: \"{}/token\", client_id: \"soc&co\", client_secret: {SECRET}{keys} }}",
        server.url
    )
}

fn token(text: &str) -> Page {
    Page::json(&json!({"access_token": text, "token_type": "bearer", "expires_in": 3600}))
}

/// Returns the names and values of a form.
fn form(asked: &Asked) -> BTreeMap<String, String> {
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    Url::parse(&format!("http://form.example/?{}", asked.text)).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_token_is_kept_and_renewed_once_when_it_is_refused() {
    let tokens = Server::start([token("the-first-token"), token("the-second-token")]).await;
    let refused = Page::status(401, "the-first-token is expired");
    let api = Server::start([
        Page::json(&json!([{"a": 1}])),
        Page::json(&json!([{"a": 2}])),
        refused,
        Page::json(&json!([{"a": 3}])),
    ])
    .await;
    let keys = oauth2(&tokens, ", scope: \"alerts:read\", audience: the-api");
    let folder = folder(&poll_of("items", &api, "/items", &keys));
    let host = folder.start().await;
    let source = source_when(&host, "items", |source| source["accepted"] == 3).await;
    assert_eq!(source["last_error"], Value::Null, "{source}");
    assert_eq!(bodies(&host, "items").await, [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
    let sent: Vec<_> =
        api.asked(4).await[..4].iter().map(|asked| asked.header("authorization").unwrap().to_owned()).collect();
    let (first, second) = ("Bearer the-first-token", "Bearer the-second-token");
    assert_eq!(sent, [first, first, first, second]);
    let asked = tokens.asked(2).await;
    assert_eq!((asked.len(), asked[0].line.as_str()), (2, "POST /token"));
    let expected = [
        ("audience", "the-api"),
        ("client_id", "soc&co"),
        ("client_secret", SECRET),
        ("grant_type", "client_credentials"),
        ("scope", "alerts:read"),
    ];
    assert_eq!(form(&asked[0]), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let shown = format!("{source} {} {}", host.get("/api/config").await, host.log());
    for secret in [SECRET, "the-first-token", "the-second-token"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

/// A token is used until shortly before its end, by the time that passes and not by the clock.
#[tokio::test]
async fn a_token_that_ends_is_renewed_before_it_is_refused() {
    let short = |text: &str| Page::json(&json!({"access_token": text, "expires_in": "2"}));
    let tokens = Server::start([short("one"), short("two")]).await;
    let api = Server::start([Page::json(&json!([]))]).await;
    let folder = folder(&poll_of("items", &api, "/items", &oauth2(&tokens, ", client_auth: basic")));
    let _host = folder.start().await;
    let renewed = eventually("a renewed token", async || {
        api.asked(0).await.into_iter().find(|asked| asked.header("authorization") == Some("Bearer two"))
    });
    renewed.await;
    let asked = tokens.asked(2).await;
    // The id and the secret are encoded before they are joined.
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("soc%26co:{SECRET}"));
    assert_eq!(asked[0].header("authorization"), Some(&*format!("Basic {basic}")));
    assert!(!form(&asked[0]).contains_key("client_secret"));
}

/// Each failure to get a token has its code and message, shows no secret, and the host recovers from it.
#[tokio::test]
async fn failures_of_a_token_endpoint_are_shown_and_recovered_from() {
    let late = SystemTime::now() - Duration::from_secs(7200);
    let text = |status, text: &str| Page::status(status, text);
    let long = "x".repeat(20 * 1024);
    let cases = [
        (text(503, "").with("retry-after", "1"), "status", "the server answered 503"),
        (text(429, "slow down").with("retry-after", "1"), "status", "429 Too Many Requests: slow down"),
        (text(400, &format!("{{\"error\":\"invalid_client\",\"sent\":\"{SECRET}\"}}")), "status", r#""sent":"***""#),
        (text(401, "no").with("date", httpdate::fmt_http_date(late)), "status", "s behind the host's"),
        (text(302, "").with("location", "http://192.0.2.1/login"), "status", "redirects are not followed"),
        (text(200, "<html>"), "answer", "its answer is not JSON"),
        (text(200, ""), "answer", "its answer is not JSON"),
        (text(200, r#"{"error":"invalid_scope"}"#), "answer", r#"no `access_token`, but the error "invalid_scope""#),
        (text(200, r#"{"access_token":""}"#), "answer", "its token is empty"),
        (text(200, r#"{"access_token":"a\nb"}"#), "answer", "characters that a header cannot carry"),
        (text(200, r#"{"access_token":"a","token_type":"mac"}"#), "answer", "not of the type Bearer"),
        (text(200, &format!(r#"{{"access_token":"{long}"}}"#)), "answer", "longer than 16 KiB"),
        (text(200, &long.repeat(10)), "answer", "longer than 64 KiB"),
    ];
    let (mut sources, mut servers) = (String::new(), Vec::new());
    let api = Server::start([Page::json(&json!([{"a": 1}]))]).await;
    for (index, (page, ..)) in cases.iter().enumerate() {
        let server = Server::start([page.clone()]).await;
        sources += &poll_of(&format!("source-{index}"), &api, "/items", &oauth2(&server, ", scope: x"));
        servers.push(server);
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = |url: &str| {
        let auth = format!(", auth: {{ type: oauth2, token_url: \"{url}\", client_id: soc, client_secret: {SECRET} }}");
        poll_of("name", &api, "/items", &auth)
    };
    sources += &elsewhere(&format!("http://{closed}/token")).replace("name:", "closed:");
    sources += &elsewhere("http://10.0.0.1/token").replace("name:", "inner:");
    let folder = folder(&sources);
    let host = folder.start().await;
    for (index, ((_, code, text), server)) in cases.iter().zip(&servers).enumerate() {
        let source = source_when(&host, &format!("source-{index}"), |source| !source["last_error"].is_null()).await;
        let (found, message) = (&source["last_error"]["code"], source["last_error"]["message"].as_str().unwrap());
        let is_expected = found == code && message.contains(text) && message.starts_with("no token from 127.0.0.1: ");
        assert!(is_expected, "{text}: {source}");
        server.answer_next([token("a-good-token")]);
    }
    for (name, code) in [("closed", "connect"), ("inner", "refused_address")] {
        let source = source_when(&host, name, |source| !source["last_error"].is_null()).await;
        assert_eq!(source["last_error"]["code"], code, "{source}");
    }
    for index in 0..cases.len() {
        source_when(&host, &format!("source-{index}"), |source| source["accepted"] == 1).await;
    }
    assert!(!host.log().contains(SECRET) && !host.log().contains(&long));
}

/// Concurrent deliveries wait for one token, and a refused token costs none of them an attempt.
#[tokio::test]
async fn deliveries_share_one_token() {
    let tokens = Server::start([token("the-first-token"), token("the-second-token")]).await;
    let receiver = Receiver::start([Reply::Status(401)]).await;
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}\nwebhooks: {{ soc: {{ url: \"{}\", retry_schedule: [], \
         {NETWORKS}{} }} }}\n",
        receiver.url,
        oauth2(&tokens, "")
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    for number in 0..8 {
        let payload = incident(json!({"source-ref": format!("ref-{number}")}));
        assert_eq!(host.post("lab", payload).await.status, 202);
    }
    let received = receiver.wait_for(9).await;
    let delivered = eventually("all are delivered", async || {
        Some(host.list("/api/deliveries?status=delivered").await).filter(|delivered| delivered.len() == 8)
    });
    for delivery in delivered.await {
        assert_eq!(
            delivery["attempts"].as_array().map_or(delivery["attempts"].as_u64(), |all| Some(all.len() as u64)),
            Some(1)
        );
    }
    assert_eq!(tokens.asked(2).await.len(), 2);
    assert!(received.iter().filter(|one| one.header("authorization") == "Bearer the-second-token").count() >= 1);
}

/// A destination whose token endpoint is busy waits as long as the endpoint asks, and uses up no step of its schedule.
#[tokio::test]
async fn a_busy_token_endpoint_uses_up_no_attempt() {
    let tokens = Server::start([Page::status(429, "").with("retry-after", "1"), token("the-token")]).await;
    let receiver = Receiver::start([]).await;
    let auth = oauth2(&tokens, "");
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}\nwebhooks: {{ soc: {{ url: \"{}\", retry_schedule: [], \
         {NETWORKS}{auth} }} }}\n",
        receiver.url
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "ref"}))).await;
    assert_eq!(receiver.wait_for(1).await[0].header("authorization"), "Bearer the-token");
    assert_eq!(host.settled("/api/deliveries?status=delivered").await.len(), 1);
}

/// Returns a part of a token as JSON.
fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_client_signs_with_its_key() {
    let key = KeyPair::generate().unwrap();
    let tokens = Server::start([token("the-token")]).await;
    let api = Server::start([Page::json(&json!([{"a": 1}]))]).await;
    let url = format!("{}/token", tokens.url);
    let auth = |keys: &str| {
        format!(
            ", interval: 1h, auth: {{ type: oauth2, token_url: \"{url}\", client_id: soc, client_key: client.key, scope: read{keys} }}"
        )
    };
    let google = poll_of("google", &api, "/a", &auth(", grant: jwt, subject: admin@soc.example"));
    let other = poll_of("other", &api, "/b", &auth(", key_id: the-key"));
    let folder = folder(&(google + &other));
    fs::write(folder.path("client.key"), key.serialize_pem()).unwrap();
    fs::set_permissions(folder.path("client.key"), Permissions::from_mode(0o600)).unwrap();
    let host = folder.start().await;
    for name in ["google", "other"] {
        source_when(&host, name, |source| source["accepted"] == 1).await;
    }
    let mut forms: Vec<_> = tokens.asked(2).await.iter().map(form).collect();
    forms.sort_by_key(|form| form["grant_type"].clone());
    let (client, google) = (&forms[0], &forms[1]);
    assert_eq!(
        (&*client["grant_type"], &*client["client_id"], &*client["scope"]),
        ("client_credentials", "soc", "read")
    );
    assert_eq!(client["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(google["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key_raw());
    for (assertion, header, subject) in [
        (&client["client_assertion"], json!({"alg": "ES256", "typ": "JWT", "kid": "the-key"}), "soc"),
        (&google["assertion"], json!({"alg": "ES256", "typ": "JWT"}), "admin@soc.example"),
    ] {
        let (content, signature) = assertion.rsplit_once('.').unwrap();
        public.verify(content.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        assert_eq!(part(assertion, 0), header);
        let claims = part(assertion, 1);
        assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!("soc"), &json!(subject), &json!(url)));
        let (from, until) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        let now = crate::host::unix_s();
        assert!(from < now && now < until && until - from <= 3600, "{claims}");
    }
    assert_eq!(part(&google["assertion"], 1)["scope"], "read");
    assert!(!host.log().contains(&client["client_assertion"]));
}

/// Microsoft finds the certificate of a client by its digest, and asks for PS256.
#[tokio::test]
async fn a_client_names_the_certificate_of_its_key() {
    let tokens = Server::start([token("the-token")]).await;
    let api = Server::start([Page::json(&json!([{"a": 1}]))]).await;
    let auth = format!(
        ", auth: {{ type: oauth2, token_url: \"{}/token\", client_id: soc, client_key: rsa.key, client_certificate: rsa.pem }}",
        tokens.url
    );
    let folder = folder(&poll_of("items", &api, "/items", &auth));
    fs::write(folder.path("rsa.key"), RSA_KEY).unwrap();
    fs::set_permissions(folder.path("rsa.key"), Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.path("rsa.pem"), RSA_CERTIFICATE).unwrap();
    let host = folder.start().await;
    source_when(&host, "items", |source| source["accepted"] == 1).await;
    let assertion = &form(&tokens.asked(1).await[0])["client_assertion"];
    let certificate = CertificateDer::from_pem_slice(RSA_CERTIFICATE.as_bytes()).unwrap();
    let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &certificate));
    assert_eq!(part(assertion, 0), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
    let key = PrivatePkcs8KeyDer::from_pem_slice(RSA_KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let (content, signature) = assertion.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.public().as_ref());
    public.verify(content.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn a_login_returns_a_token_or_a_cookie() {
    let logins = [
        Server::start(["one", "two"].map(|token| Page::json(&json!({"data": {"token": token}})))).await,
        Server::start(["one", "two"].map(|id| {
            Page::status(302, "")
                .with("location", "/")
                .with("set-cookie", "JSESSIONID=old")
                .with("set-cookie", format!("JSESSIONID={id}; Path=/; HttpOnly"))
        }))
        .await,
    ];
    let ok = |number: u32| Page::json(&json!([{"a": number}]));
    let apis = [
        Server::start([ok(1), Page::status(401, ""), ok(2)]).await,
        Server::start([ok(1), Page::status(302, "").with("location", "/login.html"), ok(2)]).await,
    ];
    let values = "{ username: soc, password: 'a \"password\" of 0123' }";
    let auth =
        |index: usize, keys: &str| format!(", auth: {{ type: login, url: \"{}/login\", {keys} }}", logins[index].url);
    let token =
        auth(0, &format!("json: {values}, token: /data/token, header: x-session, prefix: \"t \", expires_in: 8m"));
    let cookie = auth(1, &format!("form: {values}, cookie: JSESSIONID"));
    let folder =
        folder(&(poll_of("token", &apis[0], "/items", &token) + &poll_of("cookie", &apis[1], "/items", &cookie)));
    let host = folder.start().await;
    for (index, name, header, sent) in [
        (0, "token", "x-session", ["t one", "t one", "t two"]),
        (1, "cookie", "cookie", ["JSESSIONID=one", "JSESSIONID=one", "JSESSIONID=two"]),
    ] {
        let source = source_when(&host, name, |source| source["accepted"] == 2).await;
        assert_eq!(source["last_error"], Value::Null, "{source}");
        let asked = apis[index].asked(3).await;
        assert_eq!(asked[..3].iter().map(|asked| asked.header(header).unwrap()).collect::<Vec<_>>(), sent);
    }
    let password = "a \"password\" of 0123";
    assert_eq!(logins[0].asked(2).await[0].body, json!({"username": "soc", "password": password}));
    assert_eq!(form(&logins[1].asked(2).await[0])["password"], password);
    // A login that is refused, or returns something else.
    for (page, text) in [
        (Page::status(403, &format!("no {password}")), "the server answered 403 Forbidden: no ***"),
        (Page::status(403, &format!("sent {}", json!(password))), "the server answered 403 Forbidden: sent \"***\""),
        (Page::json(&json!({"token": 1})), "no text at `token`, /data/token"),
    ] {
        let server = Server::start([page]).await;
        let auth =
            format!(", auth: {{ type: login, url: \"{}/login\", json: {values}, token: /data/token }}", server.url);
        folder.configure(&format!("sources:\n{}", poll_of("refused", &apis[0], "/items", &auth)));
        host.logs(text).await;
    }
    assert!(!host.log().contains(password));
    assert_eq!(host.call(Method::GET, "/api/sources/refused", "").await.status, 200);
}

/// Darktrace's and Cortex's ways to sign, checked by the server's own calculation.
#[tokio::test]
async fn requests_are_signed_as_the_server_wants() {
    let skewed = SystemTime::now() + Duration::from_secs(3600);
    let refused = Page::status(401, "bad signature").with("date", httpdate::fmt_http_date(skewed));
    let darktrace = Server::start([Page::json(&json!([{"pbid": 1}]))]).await;
    let cortex = Server::start([refused, Page::json(&json!([{"incident_id": "1"}])), Page::json(&json!([]))]).await;
    let keys = ", interval: 1h, time_format: unix_ms, headers: { DTAPI-Token: a-public-token, DTAPI-Date: never }, auth: { type: signature, \
                secret: a-private-token, algorithm: hmac-sha1, template: \"{target}\\na-public-token\\n{timestamp}\", \
                signature_header: DTAPI-Signature, timestamp_header: DTAPI-Date, timestamp_unit: compact }";
    let of_darktrace = poll_of("darktrace", &darktrace, "/modelbreaches?a=b c&starttime=LAST_POLL_TIME", keys);
    let keys = ", interval: 1h, body: '{\"from\": NEXT_OFFSET}', headers: { x-xdr-auth-id: \"7\" }, auth: { type: signature, \
                secret: the-advanced-key, algorithm: sha256, template: \"{secret}{nonce}{timestamp}\", \
                signature_header: Authorization, timestamp_header: x-xdr-timestamp, timestamp_unit: ms, nonce_header: x-xdr-nonce }";
    let folder = folder(&(of_darktrace + &poll_of("cortex", &cortex, "/incidents", keys)));
    let host = folder.start().await;
    for name in ["darktrace", "cortex"] {
        source_when(&host, name, |source| source["accepted"] == 1).await;
    }
    let asked = &darktrace.asked(1).await[0];
    let (line, date) = (asked.line.strip_prefix("GET ").unwrap(), asked.header("dtapi-date").unwrap());
    assert!(line.starts_with("/modelbreaches?a=b%20c&starttime=1"), "{line}");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"a-private-token");
    let expected = hmac::sign(&key, format!("{line}\na-public-token\n{date}").as_bytes());
    assert_eq!(asked.header("dtapi-signature"), Some(&*hex::encode(expected.as_ref())));
    assert_eq!(date.len(), 15);

    let asked = cortex.asked(3).await;
    let nonces: Vec<&str> = asked.iter().map(|asked| asked.header("x-xdr-nonce").unwrap()).collect();
    assert!(nonces[0].len() == 64 && nonces[0] != nonces[1], "{nonces:?}");
    for asked in &asked {
        let text = ["x-xdr-nonce", "x-xdr-timestamp"].map(|name| asked.header(name).unwrap()).concat();
        let expected = digest::digest(&digest::SHA256, format!("the-advanced-key{text}").as_bytes());
        assert_eq!(asked.header("authorization"), Some(&*hex::encode(expected.as_ref())));
    }
    assert_eq!((asked[1].body.clone(), asked[2].body.clone()), (json!({"from": 0}), json!({"from": 1})));
    let source = host.get("/api/sources/cortex").await;
    let message = source["last_error"]["message"].as_str().unwrap();
    assert!(
        message.contains("401 Unauthorized: bad signature; the server's clock is 3") && message.contains(" s ahead of"),
        "{message}"
    );
    assert!(!host.log().contains("the-advanced-key") && !host.log().contains("a-private-token"));
}
