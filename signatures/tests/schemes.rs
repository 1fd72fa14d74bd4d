//! Schemes as senders and configurations meet them. The cases are data: published vectors in `vectors.json`, spellings
//! in
//! `parsing.json`, mistakes of declarations below.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test that fails should say so and end")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use hookmill_signatures::{CannotSign, Declaration, Distrust, Identity, Request, Scheme, Secret, Words, names};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW_MS: i64 = 1_700_000_000_000;

fn declaration(value: &Value) -> Declaration {
    let Some(keys) = value.as_object() else { return Declaration::preset(value.as_str().unwrap()) };
    let words = |value: &Value| match value {
        Value::Array(items) => Words::Several(items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()),
        other => Words::One(other.as_str().unwrap().to_owned()),
    };
    let keys = keys.iter().map(|(name, value)| (name.clone(), words(value)));
    let (scheme, keys) = keys.partition::<Vec<_>, _>(|(name, _)| name == "type");
    let Words::One(scheme) = &scheme[0].1 else { panic!("`type` is one word") };
    Declaration { scheme: scheme.clone(), keys: keys.into_iter().collect() }
}

fn headers(pairs: &[(String, Vec<u8>)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    map
}

fn request<'r>(headers: &'r HeaderMap, body: &'r [u8], now_ms: i64) -> Request<'r> {
    Request { headers, body, token: None, now_ms, certificate: None }
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    scheme: Value,
    secret: String,
    headers: Vec<(String, String)>,
    body: String,
    now: i64,
    identity: Value,
}

#[test]
fn published_vectors() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    for vector in vectors {
        let scheme = Scheme::declare(&declaration(&vector.scheme), &[Secret::new(vector.secret)]).unwrap();
        let pairs: Vec<_> = vector.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        let headers = headers(&pairs);
        let proof = scheme.verify(&request(&headers, vector.body.as_bytes(), vector.now * 1000));
        let expected = match vector.identity {
            Value::String(id) => Identity::Delivery(id),
            Value::Number(ms) => Identity::SignedAt(ms.as_i64().unwrap()),
            _ => Identity::Body,
        };
        assert_eq!(proof.map(|proof| proof.identity), Ok(expected), "{}", vector.name);
        let tampered = request(&headers, b"another body", vector.now * 1000);
        assert_eq!(scheme.verify(&tampered), Err(Distrust::Signature), "{}", vector.name);
        let (hidden, shown) = (pairs.iter()).partition::<Vec<_>, _>(|(name, _)| scheme.hides(&name.parse().unwrap()));
        assert!(!hidden.is_empty() && shown.iter().all(|(name, _)| !name.to_lowercase().contains("signature")));
    }
}

/// `\xNN` stands for a byte.
fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.extend(hex::decode(&part[..2]).unwrap());
        bytes.extend(part[2..].bytes());
    }
    bytes
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(bytes(text)).finalize().into_bytes().to_vec()
}

/// A header's value with `{hex:TEXT}` and its like made into the keyed hash of the text, once or more.
fn written(text: &str) -> Vec<u8> {
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    type Write<'a> = &'a dyn Fn(&str) -> String;
    let kinds: [(&str, Write); 6] = [
        ("{hex:", &|text| hex::encode(hmac(SECRET.as_bytes(), text))),
        ("{HEX:", &|text| hex::encode_upper(hmac(SECRET.as_bytes(), text))),
        ("{hex8:", &|text| hex::encode(&hmac(SECRET.as_bytes(), text)[..4])),
        ("{b64:", &|text| STANDARD.encode(hmac(SECRET.as_bytes(), text))),
        ("{b64n:", &|text| STANDARD_NO_PAD.encode(hmac(SECRET.as_bytes(), text))),
        ("{b64key:", &|text| STANDARD.encode(hmac(&key, text))),
    ];
    let mut text = text.replace("{secret}", SECRET);
    for (start, write) in kinds {
        while let Some((before, rest)) = text.clone().split_once(start) {
            let mut depth = 0;
            let end = rest.find(|char| {
                depth += i32::from(char == '{') - i32::from(char == '}');
                depth < 0
            });
            let (inner, after) = rest.split_at(end.unwrap());
            text = format!("{before}{}{}", write(inner), &after[1..]);
        }
    }
    text.into_bytes()
}

#[test]
fn how_signatures_may_be_written() {
    type Row = (String, Value, String, Vec<(String, String)>, String);
    let rows: Vec<Row> = serde_json::from_str(include_str!("parsing.json")).unwrap();
    for (name, scheme, expected, pairs, body) in rows {
        let declared = Scheme::declare(&declaration(&scheme), &[Secret::new(SECRET.into())]).unwrap();
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name, written(&value))).collect();
        let body = bytes(&body.replace("{secret}", SECRET));
        let found = match declared.verify(&request(&headers(&pairs), &body, NOW_MS)) {
            Ok(_) => "believed",
            Err(Distrust::Signature) => "signature",
            Err(Distrust::Expired(_)) => "expired",
            Err(Distrust::Future(_)) => "future",
            Err(Distrust::CertificateMissing(_)) => "certificate",
        };
        assert_eq!(found, expected, "{scheme} {name}");
    }
}

/// The secret in the form that a scheme asks for.
fn secret_of(name: &str) -> String {
    if name == "basic" { "soc:a-password-of-the-tests".into() } else { SECRET.into() }
}

/// Every scheme whose key the host has, with what it cannot do without.
fn declared() -> impl Iterator<Item = Declaration> {
    let complete = |name: &str| match name {
        "hmac" => Declaration::preset(name).with("signature_header", "x-sum"),
        "static-header" => Declaration::preset(name).with("header", "x-key"),
        _ => Declaration::preset(name),
    };
    names().filter(|name| !matches!(*name, "none" | "aws-sns")).map(complete)
}

#[test]
fn what_is_signed_is_believed_and_nothing_else() {
    let bodies: [&[u8]; 4] = [b"{\"alert\": 1}", b"", b"\xff\x00\xfe", &[b'x'; 5000]];
    for declaration in declared() {
        let name = declaration.scheme.clone();
        let secret = Secret::new(secret_of(&name));
        let scheme = Scheme::declare(&declaration, &[secret]).unwrap();
        let other = Secret::new(format!("{}CCCC", secret_of(&name)));
        let other = Scheme::declare(&declaration, &[other]).unwrap();
        for body in bodies {
            let signed = match scheme.sign(body, NOW_MS, "id-1") {
                Err(CannotSign::NotJson) if name == "microsoft-graph" => continue,
                signed => signed.unwrap(),
            };
            let good = Request {
                headers: &signed.headers,
                body: &signed.body,
                token: signed.token.as_deref(),
                now_ms: NOW_MS,
                certificate: None,
            };
            let proof = scheme.verify(&good).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(proof.secret, 0);
            assert_eq!(other.verify(&good), Err(Distrust::Signature), "{name}: another secret");
            let bare = Request { headers: &HeaderMap::new(), body: &[], token: None, ..good };
            assert_eq!(scheme.verify(&bare), Err(Distrust::Signature), "{name}: nothing");
            // A token that the scheme has no use for is somebody's secret in the wrong place.
            let token = Some(if name == "url-token" { "another" } else { SECRET });
            assert_eq!(scheme.verify(&Request { token, ..good }), Err(Distrust::Signature), "{name}: token");
            let is_keyed_hash = scheme.keyed_hash(0, b"").is_some();
            if is_keyed_hash {
                let longer = [&signed.body[..], b" "].concat();
                let tampered = Request { body: &longer, ..good };
                assert_eq!(scheme.verify(&tampered), Err(Distrust::Signature), "{name}: body");
            }
            if matches!(proof.identity, Identity::SignedAt(_)) || name == "standard-webhooks" {
                let late = Request { now_ms: NOW_MS + 601_000, ..good };
                assert!(matches!(scheme.verify(&late), Err(Distrust::Expired(_))), "{name}: late");
            }
        }
    }
}

#[test]
fn every_live_secret_counts_and_no_other() {
    for declaration in declared() {
        let name = declaration.scheme.clone();
        let text = |suffix: &str| Secret::new(format!("{}{suffix}", secret_of(&name)));
        let (old, new) = (text("CCCC").until(NOW_MS), text("BBBB"));
        let scheme = Scheme::declare(&declaration, &[old.clone(), new.clone()]).unwrap();
        for (index, secret, now_ms, believed) in [
            (0, &old, NOW_MS, true),
            (0, &old, NOW_MS + 1, false),
            (1, &new, NOW_MS, true),
            (1, &new, NOW_MS + 1, true),
        ] {
            let sender = Scheme::declare(&declaration, &[Secret::new(secret.expose().to_owned())]).unwrap();
            let signed = sender.sign(b"{}", now_ms, "id-1").unwrap();
            let token = signed.token.as_deref();
            let request = Request { token, ..request(&signed.headers, &signed.body, now_ms) };
            let found = scheme.verify(&request).map(|proof| proof.secret);
            assert_eq!(found.is_ok(), believed, "{name} {index} {found:?}");
            assert_eq!(found.unwrap_or(index), index, "{name}");
        }
        let expired = Scheme::declare(&declaration, &[old]).unwrap();
        assert_eq!(expired.sign(b"{}", NOW_MS + 1, "id-1").unwrap_err(), CannotSign::Expired, "{name}");
    }
}

#[test]
fn deliveries_with_an_id() {
    let scheme = |name| Scheme::declare(&Declaration::preset(name), &[Secret::new(SECRET.into())]).unwrap();
    for name in ["github", "pagerduty", "standard-webhooks", "hcp-vault-radar", "gitlab"] {
        let signed = scheme(name).sign(b"{}", NOW_MS, "id-1").unwrap();
        let proof = scheme(name).verify(&request(&signed.headers, b"{}", NOW_MS)).unwrap();
        assert_eq!(proof.identity, Identity::Delivery("id-1".into()), "{name}");
    }
    // One that is not signed may be missing.
    let mut signed = scheme("github").sign(b"{}", NOW_MS, "id-1").unwrap();
    signed.headers.remove("x-github-delivery");
    let proof = scheme("github").verify(&request(&signed.headers, b"{}", NOW_MS)).unwrap();
    assert_eq!(proof.identity, Identity::Body);
}

#[test]
fn every_mistake_is_named_with_what_is_allowed() {
    let with = |keys: &[(&str, &str)]| {
        let hmac = Declaration::preset("hmac").with("signature_header", "x-sum");
        keys.iter().fold(hmac, |declaration, (key, value)| declaration.with(key, value))
    };
    let preset = Declaration::preset;
    let cases: Vec<(Declaration, &[&str])> = vec![
        (preset("hookmil"), &["`hookmil`", "known are hookmill, generic-body", "none"]),
        (preset("github").with("header", "x"), &["`github` has no key `header`", "algorithm, encoding"]),
        (preset("gitlab").with("template", "{body}"), &["has no key `template`", "header, prefix"]),
        (preset("url-token").with("header", "x"), &["has no key `header`", "id_header"]),
        (preset("grafana").with("template_with_timestamp", "x"), &["has no key `template_with_timestamp`"]),
        (preset("hmac"), &["`signature_header`", "X-Signature"]),
        (preset("static-header"), &["`header`", "X-Key"]),
        (preset("basic"), &["user:password"]),
        (with(&[("signature_header", "x y")]), &["`signature_header`", "`x y`"]),
        (with(&[("algorithm", "md5")]), &["`algorithm`", "`md5`", "sha256, sha512"]),
        (with(&[("encoding", "utf8")]), &["`encoding`", "hex, base64"]),
        (with(&[("key_encoding", "hex")]), &["the secret is not hexadecimal"]),
        (with(&[("key_encoding", "base64")]), &["the secret is not base64"]),
        (with(&[("template", "{time}{body}")]), &["`{time}`", "{timestamp}, {id}, {body}"]),
        (with(&[("template", "{body")]), &["`{body`"]),
        (with(&[("template", "fixed")]), &["{body} once"]),
        (with(&[("template", "{body}{body}")]), &["{body} once"]),
        (with(&[("template", "{timestamp}{body}")]), &["`timestamp_header` or `timestamp_prefix`"]),
        (with(&[("template", "{id}{body}")]), &["`id_header`"]),
        (with(&[("timestamp_header", "x-at")]), &["{timestamp}", "proves nothing"]),
        (with(&[("timestamp_header", "x-at"), ("timestamp_prefix", "t=")]), &["not both"]),
        (with(&[("timestamp_prefix", "t="), ("template", "{timestamp}{body}")]), &["needs a `separator`"]),
        (with(&[("timestamp_unit", "us")]), &["`timestamp_unit`", "s, ms, rfc3339"]),
        (with(&[("tolerance", "soon")]), &["`tolerance`", "`5m`"]),
        (with(&[("tolerance", "8d")]), &["`tolerance`", "24h"]),
        (preset("standard-webhooks").with("signature_header", "x-sum"), &["`timestamp_header` has 2 names", "1"]),
        (preset("none"), &["remove the secret or choose a scheme"]),
        (preset("aws-sns").with("topics", "arn:aws:sns:x:1:y"), &["no secret of yours"]),
    ];
    for (declaration, words) in cases {
        let error = Scheme::declare(&declaration, &[Secret::new("hunter2~hunter2".into())]).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "no `{word}` in: {error}\nfor: {declaration:?}");
        }
        assert!(!error.contains("hunter2"), "a secret is shown: {error}");
    }
    for (declaration, words) in [
        (preset("hookmill"), "needs a `secret`"),
        (preset("aws-sns"), "needs `topics`"),
        (preset("aws-sns").with("topics", "alerts"), "ARNs"),
        (preset("aws-sns").with("topics", "arn:aws:sns:x:1:y").with("certificate", "x"), "X.509"),
        (preset("aws-sns").with("topics", "arn:aws:sns:x:1:y").with("confirm", "yes"), "false, true"),
    ] {
        let error = Scheme::declare(&declaration, &[]).unwrap_err().to_string();
        assert!(error.contains(words), "no `{words}` in: {error}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let secret = Secret::new("hunter2hunter2".into());
    let scheme = Scheme::declare(&Declaration::preset("github"), std::slice::from_ref(&secret)).unwrap();
    assert_eq!(format!("{secret:?} {scheme:?}"), "Secret Scheme(github)");
}

#[test]
fn what_has_to_be_guessed_of_a_secret() {
    for (name, secret, bytes) in [
        ("hookmill", "12345678", Some(8)),
        ("standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Some(24)),
        ("standard-webhooks", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", None),
        ("stripe", "whsec_12345678", Some(14)),
        ("basic", "somebody:1234", Some(4)),
        ("url-token", "123456789", Some(9)),
        ("microsoft-graph", "1234567890", Some(10)),
    ] {
        let scheme = Scheme::declare(&Declaration::preset(name), &[Secret::new(secret.into())]).unwrap();
        assert_eq!(scheme.shortest_secret(), bytes, "{name}");
    }
}
