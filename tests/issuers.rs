//! Sources whose senders have a token of an issuer: a stand-in for the issuer's keys, with its faults, and Google Pub/Sub.

use crate::destinations::server as tls_server;
use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Answer, Folder, Host, client, eventually, send, unix_s};
use crate::outcome::returns;
use crate::server::{Page, Server};
use crate::tls::Authority;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookmill_incident::Clock;
use reqwest::Method;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinSet;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://soc.example/hook";
const EMAIL: &str = "push@project.iam.gserviceaccount.com";
const HOUR_MS: i64 = 60 * 60 * 1000;

/// A key of the issuer, whose id is the number.
struct Key {
    id: u8,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(id: u8) -> Self {
        Self { id, pair: Ed25519KeyPair::from_seed_unchecked(&[id; 32]).unwrap() }
    }

    fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id.to_string(), "x": x})
    }

    /// Makes a token at a time, with these claims in place of the usual ones.
    fn token(&self, now_s: i64, more: &Value) -> String {
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "iat": now_s, "exp": now_s + 3600,
            "email": EMAIL, "email_verified": true});
        claims.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let header = json!({"alg": "EdDSA", "kid": self.id.to_string()});
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes())))
    }
}

fn keys(keys: &[&Key]) -> Page {
    Page::json(&json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()}))
}

fn scheme(server: &Server) -> String {
    format!("{{ type: jwt, issuer: {ISSUER}, audience: {AUDIENCE}, jwks_url: \"{}/keys\" }}", server.url)
}

fn source(server: &Server) -> String {
    format!("{{ scheme: {}, allow_networks: [127.0.0.0/8], plugin: none }}", scheme(server))
}

async fn post(host: &Host<'_>, source: &str, token: &str, body: &str) -> Answer {
    send(host.webhook(source).bearer_auth(token).body(body.to_owned())).await.unwrap()
}

fn now() -> i64 {
    unix_s() as i64
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_for_an_unknown_one() {
    let (first, second, stranger) = (Key::new(1), Key::new(2), Key::new(3));
    let server = Server::start([keys(&[&first])]).await;
    let folder = Folder::new(&format!("sources: {{ cloud: {} }}", source(&server)));
    let host = folder.start().await;
    // Neither an unknown source nor a token for somebody else makes the host fetch anything.
    let token = first.token(now(), &json!({}));
    assert_eq!(post(&host, "unknown", &token, "{}").await.error_code(), "unknown_source");
    for other in [json!({"aud": "https://other.example"}), json!({"iss": "https://other.example"})] {
        let answer = post(&host, "cloud", &first.token(now(), &other), "{}").await;
        assert_eq!((answer.status, answer.error_code()), (401, "invalid_signature"), "{other}");
    }
    assert_eq!(server.asked(0).await.len(), 0);

    let mut requests = JoinSet::new();
    for number in 0..8 {
        requests.spawn(send(host.webhook("cloud").bearer_auth(&token).body(format!("{number}"))));
    }
    for answer in requests.join_all().await {
        assert_eq!(answer.unwrap().status, 202);
    }
    let asked = server.asked(1).await;
    assert_eq!((asked.len(), asked[0].line.as_str()), (1, "GET /keys"), "{asked:?}");

    server.answer_next([keys(&[&second])]);
    let rotated = second.token(now(), &json!({}));
    assert_eq!(post(&host, "cloud", &rotated, "rotated").await.status, 202);
    assert_eq!(server.asked(2).await.len(), 2);
    // An unknown key can make the host fetch at most once in a while; its sender is asked to try again.
    for unknown in [&token, &stranger.token(now(), &json!({}))] {
        let answer = post(&host, "cloud", unknown, "unknown").await;
        assert_eq!((answer.status, answer.error_code(), answer.retry_after.is_some()), (503, "overloaded", true));
    }
    // The key of a stranger under a known id causes no fetch.
    let forged = Key { id: 2, ..stranger }.token(now(), &json!({}));
    let answer = post(&host, "cloud", &forged, "forged").await;
    assert_eq!((answer.status, answer.error_code()), (401, "invalid_signature"));
    let late = second.token(now() - 4000, &json!({}));
    assert_eq!(post(&host, "cloud", &late, "late").await.status, 401);
    assert_eq!(post(&host, "cloud", &rotated, "still").await.status, 202);
    assert_eq!(server.asked(2).await.len(), 2);
    let refusals = host.list("/api/refusals?source=cloud").await;
    for words in ["expired 400 s ago", "the claim `aud`", "the signature or secret is wrong", "try again"] {
        assert!(refusals.iter().any(|refusal| refusal["reason"].as_str().unwrap().contains(words)), "{refusals:?}");
    }
    let events = host.list("/api/events").await;
    let event = host.get(&format!("/api/events/{}", events[0]["id"].as_str().unwrap())).await;
    assert!(!event["headers"].to_string().contains("authorization"), "{event}");
    let kept = std::fs::read(folder.path("data/hookmill.db-wal")).unwrap();
    let signature = token.rsplit('.').next().unwrap().as_bytes();
    assert!(!kept.windows(signature.len()).any(|bytes| bytes == signature));
    assert!(!host.log().contains(std::str::from_utf8(signature).unwrap()));
}

#[tokio::test]
async fn an_issuer_with_faults_is_answered_503_until_it_recovers() {
    let key = Key::new(1);
    let elsewhere = Server::start([keys(&[&key])]).await;
    let faults = [
        ("status", Page::status(500, "no"), "the answer is 500"),
        ("huge", Page::status(200, &" ".repeat(257 * 1024)), "larger than 262144 bytes"),
        ("slow", Page::stream(""), "cannot fetch the keys"),
        ("text", Page::status(200, "<html>"), "not a JSON Web Key Set"),
        ("empty", Page::json(&json!({"keys": []})), "no public key"),
        ("redirect", Page::status(302, "").with("location", &elsewhere.url), "the answer is 302"),
    ];
    let mut servers = Vec::new();
    let mut config = "sources:\n".to_owned();
    for (name, fault, _) in &faults {
        let server = Server::start([fault.clone()]).await;
        config += &format!("  {name}: {}\n", source(&server));
        servers.push(server);
    }
    // Nothing listens at the URL of `down`, and the guard refuses the URL of `guarded`.
    config += &format!(
        "  down: {{ scheme: {{ type: jwt, issuer: {ISSUER}, audience: x, jwks_url: \"http://127.0.0.1:1/\" }}, \
         allow_networks: [127.0.0.0/8], plugin: none }}\n  guarded: {{ scheme: {}, plugin: none }}\n",
        scheme(&elsewhere)
    );
    let folder = Folder::new(&config);
    let host = folder.start().await;
    let mut requests = JoinSet::new();
    for name in faults.iter().map(|(name, ..)| *name).chain(["down", "guarded"]) {
        let audience = if name == "down" { "x" } else { AUDIENCE };
        let request = host.webhook(name).bearer_auth(key.token(now(), &json!({"aud": audience})));
        requests.spawn(async move { (name, send(request.body("{}")).await.unwrap()) });
    }
    for (name, answer) in requests.join_all().await {
        let result = (answer.status, answer.error_code(), answer.retry_after.is_some());
        assert_eq!(result, (503, "overloaded", true), "{name}: {answer:?}");
    }
    for words in faults.iter().map(|(_, _, words)| *words).chain(["127.0.0.1 is not globally routable"]) {
        assert!(host.log().contains(words), "no `{words}` in {}", host.log());
    }
    assert_eq!(elsewhere.asked(0).await.len(), 0, "a redirect must not be followed");
    for server in &servers {
        server.answer_next([keys(&[&key])]);
    }
    for (name, ..) in &faults {
        eventually(name, async || {
            let answer = post(&host, name, &key.token(now(), &json!({})), "{}").await;
            assert!([202, 503].contains(&answer.status), "{name}: {answer:?}");
            (answer.status == 202).then_some(())
        })
        .await;
    }
}

/// Otherwise a sender without a valid token could keep the host from ever having the keys.
#[tokio::test]
async fn a_sender_that_disconnects_does_not_end_a_fetch() {
    let key = Key::new(1);
    let gate = Arc::new(Notify::new());
    let server = Server::start([keys(&[&key]).behind(&gate)]).await;
    let folder = Folder::new(&format!("sources: {{ cloud: {} }}", source(&server)));
    let host = folder.start().await;
    let forged = Key { id: 1, ..Key::new(2) }.token(now(), &json!({}));
    let sender = tokio::spawn(send(host.webhook("cloud").bearer_auth(forged).body("forged")));
    server.asked(1).await;
    sender.abort();
    assert!(sender.await.unwrap_err().is_cancelled());
    let waiting = tokio::spawn(send(host.webhook("cloud").bearer_auth(key.token(now(), &json!({}))).body("right")));
    eventually("two requests", async || (host.get("/api/sources/cloud").await["received"] == 2).then_some(())).await;
    gate.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap().status, 202);
    assert_eq!(server.asked(1).await.len(), 1);
}

#[tokio::test]
async fn keys_are_fetched_by_way_of_a_proxy() {
    let key = Key::new(1);
    let proxy = Server::start([keys(&[&key])]).await;
    let folder = Folder::new(&format!(
        "sources: {{ cloud: {{ scheme: {{ type: jwt, issuer: {ISSUER}, audience: {AUDIENCE}, \
                                jwks_url: \"http://127.0.0.1:1/keys\" }}, \
                               allow_networks: [127.0.0.0/8], proxy: \"{}\", plugin: none }} }}",
        proxy.url
    ));
    let host = folder.start().await;
    assert_eq!(post(&host, "cloud", &key.token(now(), &json!({})), "{}").await.status, 202);
    assert_eq!(proxy.asked(1).await[0].line, "GET http://127.0.0.1:1/keys");
}

/// The clock is shifted in place of waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_keys_stay_in_use_for_a_day_while_the_issuer_is_down() {
    let (first, second) = (Key::new(1), Key::new(2));
    let server = Server::start([keys(&[&first])]).await;
    let folder = Folder::new(&format!("sources: {{ cloud: {} }}", source(&server)));
    let clock = Clock::default();
    let host = folder.start_with(&clock).await;
    let url = format!("http://{}/api/webhooks/cloud", host.address);
    let post = async |key: &Key, body: &str| {
        let token = key.token(clock.now_ms() / 1000, &json!({}));
        send(client().post(&url).bearer_auth(token).body(body.to_owned())).await.unwrap().status
    };
    assert_eq!(post(&first, "first").await, 202);
    // Old keys are used, and fetched again in the background.
    server.answer_next([Page::status(500, "no")]);
    clock.shift_ms(2 * HOUR_MS);
    assert_eq!(post(&first, "after 2 h").await, 202);
    assert_eq!(server.asked(2).await.len(), 2);
    assert_eq!(post(&second, "an unknown key").await, 503);
    clock.shift_ms(21 * HOUR_MS);
    assert_eq!(post(&first, "after 23 h").await, 202);
    server.asked(3).await;
    clock.shift_ms(2 * HOUR_MS);
    assert_eq!(post(&first, "after 25 h").await, 503);
    server.answer_next([keys(&[&second])]);
    clock.shift_ms(HOUR_MS);
    assert_eq!(post(&second, "after 26 h").await, 202);
    // A key that the issuer withdrew is refused as soon as its keys are fetched again.
    clock.shift_ms(60_000);
    assert_eq!(post(&first, "withdrawn").await, 401);
    // A clock that went back pauses nothing.
    clock.shift_ms(-2 * HOUR_MS);
    server.answer_next([keys(&[&first])]);
    assert_eq!(post(&first, "again").await, 202);
    host.stop().await;
}

#[tokio::test]
async fn messages_of_pubsub_reach_the_mapper_unwrapped() {
    let key = Key::new(1);
    let server = Server::start([keys(&[&key])]).await;
    let folder = Folder::new(&format!(
        "sources:
           scc:
             plugin: returns
             allow_networks: [127.0.0.0/8]
             scheme: {{ type: google-pubsub, audience: {AUDIENCE}, email: {EMAIL}, issuer: {ISSUER}, \
                        jwks_url: \"{}/keys\", algorithms: EdDSA }}",
        server.url
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    let payload = returns(&json!({"incidents": [{"source-ref": "finding-1", "title": "A finding"}]}));
    let message = |id: &str, payload: &[u8], attempt: u32| {
        json!({"deliveryAttempt": attempt, "subscription": "projects/p/subscriptions/s", "message": {
            "data": STANDARD.encode(payload), "messageId": id, "message_id": id,
            "publishTime": "2026-01-01T00:00:00Z", "attributes": {"kind": "finding", "api_key": "canary-of-an-attribute"}}})
        .to_string()
    };
    let token = key.token(now(), &json!({}));
    let first = post(&host, "scc", &token, &message("7", &payload, 1)).await;
    assert_eq!((first.status, first.status_word()), (202, "accepted"), "{first:?}");
    let event = host.get(&format!("/api/events/{}", first.event_id())).await;
    let stored = match event["body"]["encoding"].as_str() {
        Some("base64") => STANDARD.decode(event["body"]["data"].as_str().unwrap()).unwrap(),
        _ => event["body"]["data"].as_str().unwrap().into(),
    };
    assert_eq!(stored, payload, "{event}");
    let context = &event["context"];
    for (name, value) in [
        ("pubsub.subscription", "projects/p/subscriptions/s"),
        ("pubsub.publish-time", "2026-01-01T00:00:00Z"),
        ("pubsub.attributes.kind", "finding"),
        ("delivery-id", "7"),
    ] {
        assert!(context.as_array().unwrap().contains(&json!({"name": name, "value": value})), "{name}: {context}");
    }
    assert!(!event.to_string().contains("canary"), "{event}");
    // A further attempt differs in its number only.
    let again = post(&host, "scc", &token, &message("7", &payload, 2)).await;
    assert_eq!((again.event_id(), &again.body["duplicate"]), (first.event_id(), &json!(true)), "{again:?}");
    let next = post(&host, "scc", &token, &message("8", &payload, 1)).await;
    assert_eq!((next.status, &next.body["duplicate"]), (202, &Value::Null), "{next:?}");

    let stranger = key.token(now(), &json!({"email": "push@other.iam.gserviceaccount.com"}));
    let answer = post(&host, "scc", &stranger, &message("9", &payload, 1)).await;
    assert_eq!((answer.status, answer.error_code()), (401, "invalid_signature"));
    // What the mapper refuses is answered 202, because Pub/Sub would send it again and again.
    let refused = returns(&json!({"malformed": "no finding"}));
    let answer = post(&host, "scc", &token, &message("10", &refused, 1)).await;
    assert_eq!((answer.status, answer.status_word()), (202, "quarantined"), "{answer:?}");
    // `webhook test` signs nothing, and shows the further stages.
    let shown = host.call(Method::POST, "/api/sources/scc/test", "{}").await.body;
    assert_eq!(
        (&shown["stages"][0]["stage"], &shown["stages"][1]["stage"]),
        (&json!("sign"), &json!("map")),
        "{shown}"
    );
}

#[tokio::test]
async fn sources_with_tokens_are_registered_by_command_and_api() {
    let folder = Folder::new("");
    let host = folder.start().await;
    let key = Key::new(1);
    let set = json!({"keys": [key.public()]}).to_string();
    let jwt = json!({"type": "jwt", "issuer": ISSUER, "audience": AUDIENCE, "jwks": set}).to_string();
    let add = |name: &str, scheme: &str| {
        let options = ["--plugin", "none", "--url", &host.url, "--token", ADMIN_TOKEN];
        folder.run(&[&["webhook", "add", name, "--scheme", scheme][..], &options].concat())
    };
    let (success, output, errors) = add("cloud", &jwt);
    assert!(success && output.contains("with scheme jwt") && !output.contains("secret"), "{output}{errors}");
    assert_eq!(post(&host, "cloud", &key.token(now(), &json!({})), "{}").await.status, 202);
    assert_eq!(post(&host, "cloud", &Key { id: 1, ..Key::new(2) }.token(now(), &json!({})), "{}").await.status, 401);
    let (success, _, errors) = add("pubsub", "google-pubsub");
    assert!(!success && errors.contains("`audience`"), "{errors}");
    let rotate = host.call(Method::POST, "/api/sources/cloud/rotate", "{}").await;
    assert_eq!((rotate.status, rotate.error_code()), (409, "conflict"));
    let with = |more: Value| {
        let mut scheme = json!({"type": "jwt", "issuer": ISSUER, "audience": AUDIENCE});
        scheme.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"source": "x", "scheme": scheme})
    };
    let mut networks = with(json!({"jwks_url": "https://issuer.example/"}));
    networks["allow_networks"] = json!(["10.0.0.0/8"]);
    let mut proxy = with(json!({"jwks_url": "https://issuer.example/"}));
    proxy["proxy"] = json!("http://10.0.0.1:3128");
    for (body, words) in [
        (with(json!({"jwks": "/etc/hostname"})), "JSON text here, not the path"),
        (with(json!({"jwks_url": "http://issuer.example/"})), "https:"),
        (with(json!({"jwks_url": "https://user@issuer.example/"})), "user name"),
        (with(json!({"jwks_url": "issuer"})), "not a URL"),
        (networks, "configuration file"),
        (proxy, "configuration file"),
    ] {
        let answer = host.call(Method::POST, "/api/webhooks", body.to_string()).await;
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(answer.status == 400 && message.contains(words), "{body}: {answer:?}");
    }
}

/// An authority of the operator's own is trusted for keys, and another content of its file takes effect.
#[tokio::test]
async fn keys_are_fetched_from_a_server_of_a_private_authority() {
    let (authority, other, key) = (Authority::new(), Authority::new(), Key::new(1));
    let config = tls_server(&authority.sign("127.0.0.1"), None, rustls::ALL_VERSIONS);
    let server = Server::start_tls(config, [keys(&[&key])]).await;
    let with_ca = |name: &str| {
        format!(
            "  {name}: {{ scheme: {}, allow_networks: [127.0.0.0/8], ca: {name}.pem, plugin: none }}\n",
            scheme(&server)
        )
    };
    let folder =
        Folder::new(&format!("sources:\n{}{}  none: {}\n", with_ca("good"), with_ca("wrong"), source(&server)));
    std::fs::write(folder.path("good.pem"), authority.0.pem()).unwrap();
    std::fs::write(folder.path("wrong.pem"), other.0.pem()).unwrap();
    let host = folder.start().await;
    let token = key.token(now(), &json!({}));
    for (name, status) in [("good", 202), ("wrong", 503), ("none", 503)] {
        assert_eq!(post(&host, name, &token, &format!("{{\"to\": \"{name}\"}}")).await.status, status, "{name}");
    }
    std::fs::write(folder.path("wrong.pem"), authority.0.pem()).unwrap();
    eventually("the new authority", async || {
        (post(&host, "wrong", &token, "{\"to\": \"another\"}").await.status == 202).then_some(())
    })
    .await;
}
