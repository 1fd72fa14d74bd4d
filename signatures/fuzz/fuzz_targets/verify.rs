//! Fuzzes verification with any request to any scheme. Verification must not panic, must accept a request that the
//! scheme signed, and must refuse a request without the secret.
//!
//! An input consists of a byte that chooses the scheme, a byte whose lowest bit adds a token, and lines: `NAME: VALUE`
//! headers, an empty line, the body.

#![no_main]

use hookmill_signatures::{Declaration, Request, Scheme, Secret, scheme_names};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const SECRET: &str = "soc:MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BASE64: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW_MS: i64 = 1_700_000_000_000;
const TOPIC: &str = "arn:aws:sns:us-west-2:123456789012:MyTopic";
const KEYS: &str = include_str!("../../tests/jwt/keys.json");
const CERTIFICATE: &str = include_str!("../../tests/sns/certificate.pem");

fuzz_target!(|input: &[u8]| {
    let [choice, flags, rest @ ..] = input else { return };
    static SCHEMES: LazyLock<Vec<Scheme>> = LazyLock::new(|| scheme_names().map(scheme).collect());
    let Some(scheme) = SCHEMES.get(usize::from(*choice)) else { return };
    let name = scheme.name();
    let (head, body) = split(rest);
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    let token = (flags & 1 == 1).then_some("token");
    let request = Request { headers: &headers, body, token, now_ms: NOW_MS, fetched: None };
    let accepted = scheme.verify(&request).is_ok();
    let _ = scheme.subscription(body);
    // What is cut from a body leaves JSON that can be read.
    if let Some(payload) = scheme.payload(&headers, body)
        && matches!(name, "microsoft-graph" | "body-secret")
    {
        let text = payload.body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&payload.body);
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok(), "{name} leaves no JSON");
    }
    if name == "none" {
        return;
    }
    // The corpus does not contain the secret; an input that contains it is not a finding.
    let contains = |haystack: &[u8]| haystack.windows(8).any(|bytes| bytes == &SECRET.as_bytes()[4..12]);
    let text = headers.values().map(HeaderValue::as_bytes).any(contains) || contains(body);
    assert!(!accepted || text || name == "basic", "{name} accepts an unsigned request");

    if let Ok(signed) = scheme.sign(body, NOW_MS, "id-1") {
        let (headers, token) = (&signed.headers, signed.token.as_deref());
        let request = Request { headers, body: &signed.body, token, ..request };
        assert!(scheme.verify(&request).is_ok(), "{name} refuses a request that it signed");
    }
});

fn scheme(name: &str) -> Scheme {
    let preset = Declaration::preset(name);
    let declaration = match name {
        "hmac" => preset.with("signature_header", "x-sum"),
        "static-header" => preset.with("header", "x-key"),
        "body-secret" => preset.with("pointer", "/auth/token"),
        "jwt" | "google-pubsub" => preset
            .with("issuer", "https://issuer.example")
            .with("audience", "https://soc.example/hook")
            .with("email", "push@project.example")
            .with("algorithms", "EdDSA")
            .with("envelope", "google-pubsub")
            .with("jwks", KEYS),
        "aws-sns" => preset.with("topics", TOPIC).with("certificate", CERTIFICATE),
        _ => preset,
    };
    let secrets = match name {
        "none" | "aws-sns" | "jwt" | "google-pubsub" => vec![],
        "standard-webhooks" => vec![
            Secret::new(BASE64.into()),
            Secret::new("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".into()),
        ],
        _ => vec![Secret::new(SECRET.into())],
    };
    Scheme::declare(&declaration, &secrets).expect("the declaration is valid")
}

fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.windows(2).position(|bytes| bytes == b"\n\n");
    end.map_or((input, &[]), |end| (&input[..end], &input[end + 2..]))
}
