//! Schemes as senders and configurations use them. The cases are data: published vectors in `vectors.json`, spellings
//! of signatures in `parsing.json`, wrong declarations below.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use hookmill_signatures::{
    Declaration, Identity, OneOrMany, Request, Scheme, Secret, SignError, SignatureError, VerifyError, scheme_names,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW_MS: i64 = 1_700_000_000_000;

fn declaration(value: &Value) -> Declaration {
    let Some(keys) = value.as_object() else { return Declaration::preset(value.as_str().unwrap()) };
    let texts = |value: &Value| match value {
        Value::Array(items) => OneOrMany::Many(items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()),
        other => OneOrMany::One(other.as_str().unwrap().to_owned()),
    };
    let keys = keys.iter().map(|(name, value)| (name.clone(), texts(value)));
    let (scheme, keys) = keys.partition::<Vec<_>, _>(|(name, _)| name == "type");
    let OneOrMany::One(scheme) = &scheme[0].1 else { panic!("`type` is one text") };
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
    Request { headers, body, token: None, now_ms, fetched: None }
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
fn verifies_published_vectors() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    for vector in vectors {
        let scheme = Scheme::declare(&declaration(&vector.scheme), &[Secret::new(vector.secret)]).unwrap();
        let pairs: Vec<_> = vector.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        let headers = headers(&pairs);
        let verification = scheme.verify(&request(&headers, vector.body.as_bytes(), vector.now * 1000));
        let expected = match vector.identity {
            Value::String(id) if declaration(&vector.scheme).scheme == "standard-webhooks" => Identity::Delivery(id),
            Value::String(id) => Identity::UnsignedDelivery { id, signed_at: None },
            Value::Number(ms) => Identity::SignedAt(ms.as_i64().unwrap()),
            _ => Identity::Body,
        };
        assert_eq!(verification.map(|verification| verification.identity), Ok(expected), "{}", vector.name);
        let tampered = request(&headers, b"another body", vector.now * 1000);
        assert_eq!(scheme.verify(&tampered), Err(SignatureError::Wrong.into()), "{}", vector.name);
        let (hidden, shown) =
            (pairs.iter()).partition::<Vec<_>, _>(|(name, _)| scheme.is_secret_header(&name.parse().unwrap()));
        assert!(!hidden.is_empty() && shown.iter().all(|(name, _)| !name.to_lowercase().contains("signature")));
    }
}

/// Decodes `\xNN` into a byte.
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

/// Replaces each `{hex:TEXT}`, `{b64:TEXT}` and the like in a header's value by the HMAC of the text. The key of
/// `{keyhex:START|TEXT}` begins with START.
fn with_hmacs(text: &str) -> Vec<u8> {
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    type Write<'a> = &'a dyn Fn(&str) -> String;
    let with_key = |text: &str| {
        let (start, text) = text.split_once('|').unwrap();
        hex::encode(hmac(format!("{start}{SECRET}").as_bytes(), text))
    };
    let kinds: [(&str, Write); 7] = [
        ("{keyhex:", &with_key),
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
fn accepts_documented_spellings_of_a_signature_only() {
    type Row = (String, Value, String, Vec<(String, String)>, String);
    let rows: Vec<Row> = serde_json::from_str(include_str!("parsing.json")).unwrap();
    for (name, scheme, expected, pairs, body) in rows {
        let declared = Scheme::declare(&declaration(&scheme), &[Secret::new(SECRET.into())]).unwrap();
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name, with_hmacs(&value))).collect();
        let body = bytes(&body.replace("{secret}", SECRET));
        let found = match declared.verify(&request(&headers(&pairs), &body, NOW_MS)) {
            Ok(_) => "accepted",
            Err(VerifyError::Signature(_)) => "signature",
            Err(VerifyError::Expired { .. }) => "expired",
            Err(VerifyError::Future { .. }) => "future",
            Err(VerifyError::CertificateMissing(_) | VerifyError::KeysMissing) => "fetch",
        };
        assert_eq!(found, expected, "{scheme} {name}");
    }
}

/// Returns a secret in the form that the scheme needs.
fn secret_of(name: &str) -> String {
    if name == "basic" { "soc:a-password-of-the-tests".into() } else { SECRET.into() }
}

/// Returns every scheme that the host can sign for, with its required keys.
fn declarations() -> impl Iterator<Item = Declaration> {
    let complete = |name: &str| match name {
        "hmac" => Declaration::preset(name).with("signature_header", "x-sum"),
        "static-header" => Declaration::preset(name).with("header", "x-key"),
        "body-secret" => Declaration::preset(name).with("pointer", "/auth/token"),
        _ => Declaration::preset(name),
    };
    scheme_names().filter(|name| !matches!(*name, "none" | "aws-sns" | "jwt" | "google-pubsub")).map(complete)
}

#[test]
fn accepts_what_it_signed_and_nothing_else() {
    let bodies: [&[u8]; 4] = [b"{\"alert\": 1}", b"", b"\xff\x00\xfe", &[b'x'; 5000]];
    for declaration in declarations() {
        let name = declaration.scheme.clone();
        let secret = Secret::new(secret_of(&name));
        let scheme = Scheme::declare(&declaration, &[secret]).unwrap();
        let other = Secret::new(format!("{}CCCC", secret_of(&name)));
        let other = Scheme::declare(&declaration, &[other]).unwrap();
        for body in bodies {
            let signed = match scheme.sign(body, NOW_MS, "id-1") {
                Err(SignError::NotJson) if ["microsoft-graph", "body-secret"].contains(&&*name) => continue,
                signed => signed.unwrap(),
            };
            let good = Request {
                headers: &signed.headers,
                body: &signed.body,
                token: signed.token.as_deref(),
                now_ms: NOW_MS,
                fetched: None,
            };
            let verification = scheme.verify(&good).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(verification.secret, 0);
            assert_eq!(other.verify(&good), Err(SignatureError::Wrong.into()), "{name}: another secret");
            let bare = Request { headers: &HeaderMap::new(), body: &[], token: None, ..good };
            let missing = match name.as_str() {
                _ if scheme.needs_url_token() => {
                    matches!(scheme.verify(&bare), Err(VerifyError::Signature(SignatureError::TokenMissing)))
                }
                "microsoft-graph" | "body-secret" => scheme.verify(&bare) == Err(SignatureError::BodyForm.into()),
                _ => matches!(scheme.verify(&bare), Err(VerifyError::Signature(SignatureError::HeaderMissing(_)))),
            };
            assert!(missing, "{name}: nothing");
            // A token that the scheme does not use may be a secret in the wrong place.
            let token = Some(if scheme.needs_url_token() { "another" } else { SECRET });
            let unexpected =
                if scheme.needs_url_token() { SignatureError::Wrong } else { SignatureError::TokenUnexpected };
            assert_eq!(scheme.verify(&Request { token, ..good }), Err(unexpected.into()), "{name}: token");
            let is_hmac = scheme.hmac(0, b"").is_some();
            if is_hmac {
                let longer = [&signed.body[..], b" "].concat();
                let tampered = Request { body: &longer, ..good };
                assert_eq!(scheme.verify(&tampered), Err(SignatureError::Wrong.into()), "{name}: body");
            }
            if matches!(verification.identity, Identity::SignedAt(_)) || name == "standard-webhooks" {
                let late = Request { now_ms: NOW_MS + 601_000, ..good };
                assert!(matches!(scheme.verify(&late), Err(VerifyError::Expired { .. })), "{name}: late");
            }
        }
    }
}

#[test]
fn accepts_every_live_secret_and_no_expired_one() {
    for declaration in declarations() {
        let name = declaration.scheme.clone();
        let text = |suffix: &str| Secret::new(format!("{}{suffix}", secret_of(&name)));
        let (old, new) = (text("CCCC").until(NOW_MS), text("BBBB"));
        let scheme = Scheme::declare(&declaration, &[old.clone(), new.clone()]).unwrap();
        for (index, secret, now_ms, accepted) in [
            (0, &old, NOW_MS, true),
            (0, &old, NOW_MS + 1, false),
            (1, &new, NOW_MS, true),
            (1, &new, NOW_MS + 1, true),
        ] {
            let sender = Scheme::declare(&declaration, &[Secret::new(secret.expose().to_owned())]).unwrap();
            let signed = sender.sign(b"{}", now_ms, "id-1").unwrap();
            let token = signed.token.as_deref();
            let request = Request { token, ..request(&signed.headers, &signed.body, now_ms) };
            let found = scheme.verify(&request).map(|verification| verification.secret);
            let expected = if accepted { Ok(index) } else { Err(SignatureError::SecretExpired.into()) };
            assert_eq!(found, expected, "{name} {index}");
            assert_eq!(scheme.is_replaced(index), Some(index == 0), "{name}");
        }
        let expired = Scheme::declare(&declaration, &[old]).unwrap();
        assert_eq!(expired.sign(b"{}", NOW_MS + 1, "id-1").unwrap_err(), SignError::Expired, "{name}");
    }
}

#[test]
fn the_delivery_id_identifies_a_repeat() {
    let scheme = |name| Scheme::declare(&Declaration::preset(name), &[Secret::new(SECRET.into())]).unwrap();
    for name in ["github", "pagerduty", "standard-webhooks", "hcp-vault-radar", "gitlab", "snyk"] {
        let signed = scheme(name).sign(b"{}", NOW_MS, "id-1").unwrap();
        let verification = scheme(name).verify(&request(&signed.headers, b"{}", NOW_MS)).unwrap();
        let id = "id-1".to_owned();
        let expected = match name {
            "standard-webhooks" | "gitlab" => Identity::Delivery(id),
            _ => Identity::UnsignedDelivery { id, signed_at: None },
        };
        assert_eq!(verification.identity, expected, "{name}");
    }
    let timed = Declaration::preset("hookmill").with("id_header", "x-id");
    let timed = Scheme::declare(&timed, &[Secret::new(SECRET.into())]).unwrap();
    let signed = timed.sign(b"{}", NOW_MS, "id-1").unwrap();
    let verification = timed.verify(&request(&signed.headers, b"{}", NOW_MS)).unwrap();
    assert_eq!(verification.identity, Identity::UnsignedDelivery { id: "id-1".into(), signed_at: Some(NOW_MS) });

    // An id that is not signed may be missing.
    let mut signed = scheme("github").sign(b"{}", NOW_MS, "id-1").unwrap();
    signed.headers.remove("x-github-delivery");
    let verification = scheme("github").verify(&request(&signed.headers, b"{}", NOW_MS)).unwrap();
    assert_eq!(verification.identity, Identity::Body);
}

#[test]
fn line_ends_after_a_secret_do_not_belong_to_it() {
    for declaration in declarations() {
        let name = declaration.scheme.clone();
        let scheme =
            |end: &str| Scheme::declare(&declaration, &[Secret::new(format!("{}{end}", secret_of(&name)))]).unwrap();
        let signed = scheme("").sign(b"{}", NOW_MS, "id-1").unwrap();
        for end in ["\n", "\r\n", "\n\n"] {
            let token = signed.token.as_deref();
            let request = Request { token, ..request(&signed.headers, &signed.body, NOW_MS) };
            assert!(scheme(end).verify(&request).is_ok(), "{name} {end:?}");
        }
    }
}

/// The second message has the signed bytes of the first one, with a part of the body as end of the id and as time.
#[test]
fn a_part_of_a_signed_body_is_not_accepted_as_id_and_time() {
    let scheme = Scheme::declare(&Declaration::preset("standard-webhooks"), &[Secret::new(SECRET.into())]).unwrap();
    let mut signed = scheme.sign(b"1700000000.{}", NOW_MS, "msg_1").unwrap();
    assert!(scheme.verify(&request(&signed.headers, b"1700000000.{}", NOW_MS)).is_ok());
    signed.headers.insert("webhook-id", "msg_1.1700000000".parse().unwrap());
    signed.headers.insert("webhook-timestamp", "1700000000".parse().unwrap());
    let refused = SignatureError::HeaderForm("webhook-id".parse().unwrap());
    assert_eq!(scheme.verify(&request(&signed.headers, b"{}", NOW_MS)), Err(refused.into()));
}

#[test]
fn wrong_declarations_are_refused_with_the_allowed_values() {
    let with = |keys: &[(&str, &str)]| {
        let hmac = Declaration::preset("hmac").with("signature_header", "x-sum");
        keys.iter().fold(hmac, |declaration, (key, value)| declaration.with(key, value))
    };
    let preset = Declaration::preset;
    let cases: Vec<(Declaration, &[&str])> = vec![
        (preset("hookmil"), &["`hookmil`", "expected one of hookmill, generic-body", "none"]),
        (preset("github").with("header", "x"), &["`github` has no key `header`", "algorithm, encoding"]),
        (preset("gitlab").with("template", "{body}"), &["has no key `template`", "header, prefix"]),
        (preset("url-token").with("header", "x"), &["has no key `header`", "id_header, origins"]),
        (preset("grafana").with("template_with_timestamp", "x"), &["has no key `template_with_timestamp`"]),
        (preset("hmac"), &["`signature_header`", "X-Signature"]),
        (preset("static-header"), &["`header`", "X-Key"]),
        (preset("basic"), &["user:password"]),
        (preset("body-secret"), &["`pointer`", "/auth/token"]),
        (preset("body-secret").with("pointer", "token"), &["`pointer`", "`token`", "JSON pointer"]),
        (preset("body-secret").with("pointer", "/a~2b"), &["`pointer`", "`/a~2b`"]),
        (preset("body-secret").with("header", "x"), &["has no key `header`", "pointer, id_header"]),
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
        (with(&[("timestamp_unit", "us")]), &["`timestamp_unit`", "s, ms, rfc3339, compact, any"]),
        (with(&[("key_template", "{time}{secret}")]), &["`key_template`", "`{time}`", "{timestamp}, {id}, {secret}"]),
        (with(&[("key_template", "{body}")]), &["`key_template`", "`{body}`"]),
        (with(&[("key_template", "fixed")]), &["`key_template`", "{secret} once"]),
        (with(&[("key_template", "{timestamp}{secret}")]), &["`timestamp_header` or `timestamp_prefix`"]),
        (with(&[("key_template", "{id}{secret}")]), &["`id_header`"]),
        (with(&[("template", "{secret}{body}")]), &["`template`", "`{secret}`"]),
        (with(&[("tolerance", "soon")]), &["`tolerance`", "`5m`"]),
        (with(&[("tolerance", "8d")]), &["`tolerance`", "24h"]),
        (preset("standard-webhooks").with("signature_header", "x-sum"), &["`timestamp_header` has 2 names", "1"]),
        (preset("none"), &["remove the secret or choose a scheme"]),
        (preset("aws-sns").with("topics", "arn:aws:sns:x:1:y"), &["uses no secret"]),
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
fn the_senders_that_may_ask_for_permission_are_listed() {
    let scheme = |declaration: Declaration| Scheme::declare(&declaration, &[Secret::new(SECRET.into())]).unwrap();
    let event_grid = scheme(Declaration::preset("azure-event-grid"));
    let bearer = scheme(Declaration::preset("bearer").with("origins", "Events.example"));
    for (scheme, origin, expected) in [
        (&event_grid, "eventgrid.azure.net", true),
        (&event_grid, "EventGrid.Azure.NET", true),
        (&event_grid, "x.eventgrid.azure.net", false),
        (&event_grid, "*", false),
        (&event_grid, "", false),
        (&bearer, "events.example", true),
        (&scheme(Declaration::preset("url-token")), "eventgrid.azure.net", false),
        (&Scheme::none(), "eventgrid.azure.net", false),
    ] {
        assert_eq!(scheme.permits_origin(origin), expected, "{origin}");
    }
}

#[test]
fn debug_output_contains_no_secret() {
    let secret = Secret::new("hunter2hunter2".into());
    let scheme = Scheme::declare(&Declaration::preset("github"), std::slice::from_ref(&secret)).unwrap();
    assert_eq!(format!("{secret:?} {scheme:?}"), "Secret Scheme(github)");
}

#[test]
fn counts_the_secret_bytes_that_an_attacker_has_to_guess() {
    for (name, secret, bytes) in [
        ("hookmill", "12345678", Some(8)),
        ("standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Some(24)),
        ("standard-webhooks", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", None),
        ("stripe", "whsec_12345678", Some(14)),
        ("basic", "somebody:1234", Some(4)),
        ("url-token", "123456789", Some(9)),
        ("microsoft-graph", "1234567890", Some(10)),
        ("gitlab", "1234567890", Some(10)),
        ("gitlab", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Some(24)),
    ] {
        let scheme = Scheme::declare(&Declaration::preset(name), &[Secret::new(secret.into())]).unwrap();
        assert_eq!(scheme.shortest_secret_bytes(), bytes, "{name}");
    }
}

/// Computed with Python's `hmac` over `{timestamp}.{body}`.
#[test]
fn hookmill_signs_the_timestamp_and_the_body() {
    let secret = Secret::new("hookmill-example-secret".into());
    let scheme = Scheme::declare(&Declaration::preset("hookmill"), &[secret]).unwrap();
    let signed = scheme.sign(br#"{"alert":1}"#, NOW_MS, "").unwrap();
    assert_eq!(signed.headers["x-webhook-timestamp"], "1700000000");
    let expected = "sha256=d27f0d72300cfab97fe293edf5376ab0bd1286a88643d18606f26a546ae549a8";
    assert_eq!(signed.headers["x-webhook-signature"], expected);
}
