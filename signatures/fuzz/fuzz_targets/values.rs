//! Fuzzes the parsers that run before any comparison: signature headers, times, declarations, URLs of AWS.
//!
//! An input consists of lines. The first three are a separator, a prefix and a time; the others are `KEY: VALUE` lines
//! of a declaration.

#![no_main]

use hookmill_signatures::signature_items::{ITEMS_MAX, ItemFormat, Items};
use hookmill_signatures::timestamp::Unit;
use hookmill_signatures::{AwsUrl, Declaration, Fetched, KeySet, Request, Scheme, Secret};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use libfuzzer_sys::fuzz_target;

const NOW_MS: i64 = 1_700_000_000_000;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (separator, prefix, time) = (next(), next(), next());
    let format = ItemFormat {
        separator: Some(separator).filter(|separator| !separator.is_empty()),
        prefixes: vec![prefix, "v1=".into()],
        ed25519_prefix: Some("v1a,".into()),
        timestamp_prefix: Some("t=".into()),
    };
    let mut items = Items::default();
    if items.read(input, &format).is_ok() {
        assert!(items.hmacs.len() <= ITEMS_MAX && items.ed25519.len() <= ITEMS_MAX);
    }
    for unit in [Unit::Seconds, Unit::Milliseconds, Unit::Rfc3339, Unit::Any] {
        if let Some(ms) = unit.parse(time.as_bytes()) {
            // A time in a plausible range survives formatting and parsing.
            if (0..=4_000_000_000_000).contains(&ms) {
                let written = unit.parse(unit.format(ms).as_bytes()).expect("a written time is read");
                assert!(written == ms || (unit == Unit::Any && written == ms - ms % 1000));
            }
        }
    }
    if let Ok(keys) = KeySet::read(input) {
        // A stranger's set of keys can be used, whatever it has.
        let token = "Bearer eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ4IiwiYXVkIjoieCJ9.AAAA";
        let declaration = Declaration::preset("jwt").with("issuer", "x").with("audience", "x").with("jwks_url", "x");
        let headers = [(AUTHORIZATION, HeaderValue::from_static(token))].into_iter().collect();
        let scheme = Scheme::declare(&declaration, &[]).expect("the declaration is valid");
        let fetched = Some(Fetched::Keys(&keys));
        let request = Request { headers: &headers, body: b"", token: None, now_ms: NOW_MS, fetched };
        assert!(scheme.verify(&request).is_err());
    }
    if let Some(url) = AwsUrl::new(&text) {
        let host = url.as_str()["https://".len()..].split('/').next().unwrap_or_default();
        assert!(host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"));
    }
    let mut declaration = Declaration::preset("hmac");
    for line in lines {
        let Some((key, value)) = line.split_once(": ") else { continue };
        declaration = match key {
            "type" => Declaration { scheme: value.to_owned(), ..declaration },
            key => declaration.with(key, value),
        };
    }
    if let Ok(scheme) = Scheme::declare(&declaration, &[Secret::new("soc:a-secret-of-this-target".into())])
        && let Ok(signed) = scheme.sign(b"{\"value\": [{}]}", NOW_MS, "id-1")
    {
        let token = signed.token.as_deref();
        let (headers, body) = (&signed.headers, &signed.body);
        let _ = scheme.verify(&Request { headers, body, token, now_ms: NOW_MS, fetched: None });
    }
});
