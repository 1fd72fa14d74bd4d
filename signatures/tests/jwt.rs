//! Tokens of issuers, which are data in `jwt/`, and the messages of Google Pub/Sub.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_signatures::{
    Declaration, Fetched, Identity, KeySet, OneOrMany, Request, Scheme, Secret, SignError, SignatureError, VerifyError,
};
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const KEYS: &str = include_str!("jwt/keys.json");
const NOW_MS: i64 = 1_700_000_100_000;

/// The name, the keys of the scheme that differ, the result, the headers, and the time in Unix seconds.
type Row = (String, BTreeMap<String, Value>, String, Vec<(String, String)>, i64);

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("jwt/tokens.json")).unwrap()
}

fn declaration(keys: &BTreeMap<String, Value>) -> Declaration {
    let mut jwt = Declaration::preset("jwt")
        .with("issuer", "https://issuer.example")
        .with("audience", "https://soc.example/hook");
    let texts = |value: &Value| match value {
        Value::Array(items) => OneOrMany::Many(items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()),
        single => OneOrMany::One(single.as_str().unwrap().to_owned()),
    };
    jwt.keys.extend(keys.iter().map(|(name, value)| (name.clone(), texts(value))));
    jwt
}

fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

fn result(verified: Result<Identity, VerifyError>) -> String {
    match verified {
        Ok(_) => "accepted".to_owned(),
        Err(VerifyError::Signature(error)) => format!("{error:?}"),
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn tokens_are_accepted_with_pinned_and_with_fetched_keys() {
    let fetched = KeySet::read(KEYS.as_bytes()).unwrap();
    for (name, keys, expected, pairs, now_s) in rows() {
        let pinned = Scheme::declare(&declaration(&keys).with("jwks", KEYS), &[]).unwrap();
        let at_url = declaration(&keys).with("jwks_url", "https://issuer.example/keys");
        let at_url = Scheme::declare(&at_url, &[]).unwrap();
        assert_eq!((pinned.key_url(), at_url.key_url()), (None, Some("https://issuer.example/keys")));
        let headers = headers(&pairs);
        let request = |fetched| Request { headers: &headers, body: b"{}", token: None, now_ms: now_s * 1000, fetched };
        let verify = |scheme: &Scheme, fetched| scheme.verify(&request(fetched)).map(|found| found.identity);
        assert_eq!(result(verify(&pinned, None)), expected, "{name}");
        assert_eq!(result(verify(&at_url, Some(Fetched::Keys(&fetched)))), expected, "{name}");
        // A token for somebody else causes no request.
        let causes_none = ["Header", "JwtForm", "JwtAlgorithm", "JwtClaim(\"iss\")", "JwtClaim(\"aud\")"];
        let without = match causes_none.iter().any(|start| expected.starts_with(start)) {
            true => expected.as_str(),
            false => "KeysMissing",
        };
        assert_eq!(result(verify(&at_url, None)), without, "{name}");
        let certificate = Some(Fetched::Certificate(b"another file"));
        assert_eq!(result(verify(&at_url, certificate)), without, "{name}");
    }
}

#[test]
fn a_token_is_not_stored_and_cannot_be_made() {
    let scheme = Scheme::declare(&declaration(&BTreeMap::new()).with("jwks", KEYS), &[]).unwrap();
    assert!(scheme.is_secret_header(&"authorization".parse().unwrap()));
    assert_eq!((scheme.shortest_secret_bytes(), scheme.tolerance_s(), scheme.is_replaced(0)), (None, None, None));
    assert_eq!(scheme.sign(b"{}", NOW_MS, "id").unwrap_err(), SignError::NoKey);
    let token = Some("x");
    let request = Request { headers: &HeaderMap::new(), body: b"", token, now_ms: NOW_MS, fetched: None };
    assert_eq!(scheme.verify(&request), Err(SignatureError::TokenUnexpected.into()));
}

#[test]
fn wrong_declarations_are_refused_with_the_allowed_values() {
    let jwt = || declaration(&BTreeMap::new());
    let google = || Declaration::preset("google-pubsub").with("audience", "https://soc.example/hook");
    for (declaration, words) in [
        (Declaration::preset("jwt"), &["`issuer`"][..]),
        (Declaration::preset("jwt").with("issuer", "x"), &["`audience`"]),
        (jwt().with("audience", ""), &["`audience`"]),
        (jwt(), &["`jwks_url`", "`jwks`"]),
        (jwt().with("jwks", KEYS).with("jwks_url", "https://issuer.example"), &["either `jwks` or `jwks_url`"]),
        (jwt().with("jwks", "{}"), &["`jwks`", "JSON Web Key Set"]),
        (jwt().with("jwks", "{\"keys\": []}"), &["`jwks`", "no public key", "RS256"]),
        (jwt().with("jwks", KEYS).with("algorithms", "HS256"), &["`HS256`", "RS256, ES256, EdDSA"]),
        (jwt().with("jwks", KEYS).with("algorithms", "none"), &["`none`", "RS256, ES256, EdDSA"]),
        (jwt().with("jwks", KEYS).with("email", "push"), &["`email`", "`push`", "address"]),
        (jwt().with("jwks", KEYS).with("claims", "=x"), &["`claims`", "`=x`", "`name=value`"]),
        (jwt().with("jwks", KEYS).with("envelope", "pubsub"), &["`envelope`", "none, google-pubsub"]),
        (jwt().with("jwks", KEYS).with("tolerance", "2d"), &["`tolerance`", "24h"]),
        (jwt().with("jwks", KEYS).with("header", "x"), &["has no key `header`", "issuer, audience"]),
        (Declaration::preset("google-pubsub"), &["`audience`"]),
        (google(), &["`email`", "everybody"]),
        (jwt().with("jwks", KEYS).with("issuer", "https://accounts.google.com"), &["`email`", "everybody"]),
        (jwt().with("jwks", KEYS).with("issuer", "accounts.google.com"), &["`email`", "everybody"]),
        (google().with("claims", "email_verified=true"), &["`email`", "everybody"]),
    ] {
        let error = Scheme::declare(&declaration, &[]).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "no `{word}` in: {error}\nfor: {declaration:?}");
        }
    }
    let secret = Secret::new("a-secret-of-the-tests-24".into());
    let error = Scheme::declare(&jwt().with("jwks", KEYS), &[secret]).unwrap_err().to_string();
    assert!(error.contains("uses no secret"), "{error}");
    assert_eq!(jwt().new_secret(&[0; 32]), Ok(None));
    let google = google().with("email", "push@project.iam.gserviceaccount.com");
    let scheme = Scheme::declare(&google, &[]).unwrap();
    assert_eq!(scheme.key_url(), Some("https://www.googleapis.com/oauth2/v3/certs"));
    assert_eq!(Scheme::declare(&google.with("jwks", KEYS), &[]).unwrap().key_url(), None);
}

#[test]
fn messages_of_pubsub_are_unwrapped() {
    let scheme =
        Scheme::declare(&declaration(&BTreeMap::new()).with("jwks", KEYS).with("envelope", "google-pubsub"), &[]);
    let scheme = scheme.unwrap();
    let (.., pairs, _) = rows().swap_remove(0);
    let data = STANDARD.encode(b"{\"a\": \"\xc3\xa4\"}");
    let push = |message: Value| json!({"message": message, "subscription": "projects/p/subscriptions/s"}).to_string();
    let unwrapped = |body: &[u8], context: Value| Some((body.to_vec(), context));
    let subscription = json!(["pubsub.subscription", "projects/p/subscriptions/s"]);
    for (body, more, id, expected) in [
        (
            push(json!({"data": data, "messageId": "7", "message_id": "7", "publishTime": "2023-11-14T22:13:20Z",
                "publish_time": "2023-11-14T22:13:20Z", "orderingKey": "k",
                "attributes": {"kind": "finding", "é": ""}})),
            &[][..],
            Some("7"),
            unwrapped(
                "{\"a\": \"ä\"}".as_bytes(),
                json!([
                    subscription,
                    ["pubsub.publish-time", "2023-11-14T22:13:20Z"],
                    ["pubsub.ordering-key", "k"],
                    ["pubsub.attributes.kind", "finding"],
                    ["pubsub.attributes.é", ""]
                ]),
            ),
        ),
        // A message may have attributes only.
        (push(json!({"messageId": "8", "attributes": {}})), &[], Some("8"), unwrapped(b"", json!([subscription]))),
        (
            format!("\u{feff}{}", push(json!({"data": "", "messageId": "9"}))),
            &[],
            Some("9"),
            unwrapped(b"", json!([subscription])),
        ),
        // Everything else stays as it is, for the mapper to refuse.
        (push(json!({"data": "%", "messageId": "10"})), &[], Some("10"), None),
        (push(json!({"data": data})), &[], None, None),
        (
            push(json!({"data": data, "messageId": ""})),
            &[],
            None,
            unwrapped("{\"a\": \"ä\"}".as_bytes(), json!([subscription])),
        ),
        (json!({"message": {"data": data, "messageId": "11"}}).to_string(), &[], None, None),
        ("{\"finding\": {}}".to_owned(), &[], None, None),
        ("no JSON".to_owned(), &[], None, None),
        // Without an envelope, the id is in a header. Such a payload may look like an envelope.
        ("{\"finding\": {}}".to_owned(), &[("x-goog-pubsub-message-id", "12")], Some("12"), None),
        (push(json!({"data": data, "messageId": "13"})), &[("x-goog-pubsub-message-id", "14")], Some("14"), None),
    ] {
        let mut headers = headers(&pairs);
        headers.extend(more.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())));
        let request = Request { headers: &headers, body: body.as_bytes(), token: None, now_ms: NOW_MS, fetched: None };
        let identity = id.map_or(Identity::Body, |id| Identity::Delivery(id.into()));
        assert_eq!(scheme.verify(&request).unwrap().identity, identity, "{body}");
        let payload = scheme.payload(&headers, body.as_bytes());
        assert_eq!(payload.map(|payload| (payload.body, json!(payload.context))), expected, "{body}");
    }
    // The header counts once only.
    let mut headers = headers(&pairs);
    headers.append("x-goog-pubsub-message-id", "1".parse().unwrap());
    headers.append("x-goog-pubsub-message-id", "2".parse().unwrap());
    let request = Request { headers: &headers, body: b"{}", token: None, now_ms: NOW_MS, fetched: None };
    assert!(matches!(scheme.verify(&request), Err(VerifyError::Signature(SignatureError::HeaderRepeated(_)))));
}
