//! Secrets in places where they must not stay.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use hookmill_signatures::{Declaration, Request, Scheme, Secret};
use http::HeaderMap;

const SECRET: &str = "a-secret-of-the-tests-24";

#[test]
fn secrets_are_found_in_texts() {
    let scheme =
        |name: &str, secret: &str| Scheme::declare(&Declaration::preset(name), &[Secret::new(secret.into())]).unwrap();
    let (token, basic) = (scheme("url-token", "a/token+of=the tests"), scheme("basic", "soc:a-password-of-the-tests"));
    for (scheme, text, expected) in [
        (&token, "a/token+of=the tests", true),
        (&token, "https://soc.example/api/webhooks/splunk/a%2Ftoken%2bof%3Dthe%20tests?x=1", true),
        (&token, "/login?next=%2Fsplunk%2Fa%252Ftoken%252Bof%253Dthe%2520tests", true),
        (&token, "a/token+of=the test", false),
        (&token, "100 % of another text, %zz", false),
        (&basic, "a-password-of-the-tests", true),
        (&basic, "Basic c29jOmEtcGFzc3dvcmQtb2YtdGhlLXRlc3Rz", true),
        (&basic, "soc", false),
        (&Scheme::none(), "a text", false),
    ] {
        assert_eq!(scheme.reveals_secret(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn the_secret_of_microsoft_graph_is_cut_from_the_body() {
    let scheme = Scheme::declare(&Declaration::preset("microsoft-graph"), &[Secret::new(SECRET.into())]).unwrap();
    for (body, shown) in [
        (r#"{"value":[{"clientState":"S","id":"1"}]}"#, r#"{"value":[{"id":"1"}]}"#),
        (r#"{"value":[{"id":"1","clientState":"S"},{"clientState" : "S"}]}"#, r#"{"value":[{"id":"1"},{}]}"#),
        (r#"{"value":[{"id":"1", "clientState":"S" , "n":1e999}]}"#, r#"{"value":[{"id":"1", "n":1e999}]}"#),
        // The rest of the body needs not be readable.
        (r#"{"value":[{"client\u0053tate":"S","t":"\ud83d"}]}"#, r#"{"value":[{"t":"\ud83d"}]}"#),
        ("\u{feff}{\"clientState\":\"S\",\"id\":\"1\"}", "\u{feff}{\"id\":\"1\"}"),
        (r#"{"clientState":"S","value":[{"clientState":"S"}]}"#, r#"{"value":[{}]}"#),
    ] {
        let body = body.replace("\"S\"", &format!("\"{SECRET}\""));
        let body = body.as_bytes();
        let headers = HeaderMap::new();
        let request = Request { headers: &headers, body, token: None, now_ms: 0, fetched: None };
        assert!(scheme.verify(&request).is_ok(), "{shown}");
        assert_eq!(scheme.payload(&headers, body).map(|payload| payload.body).as_deref(), Some(shown.as_bytes()));
    }
}

#[test]
fn the_secret_of_a_body_is_cut_from_it() {
    for (pointer, body, shown) in [
        ("/token", r#"{"token":"S","id":"1"}"#, Some(r#"{"id":"1"}"#)),
        ("/token", r#"{"id":"1" , "token" : "S" }"#, Some(r#"{"id":"1"  }"#)),
        ("/token", r#" {"token":"S"} "#, Some(r#" {} "#)),
        (
            "/auth/token",
            r#"{"auth":{"a":1,"token":"S","b":1e999},"t":"\ud83d"}"#,
            Some(r#"{"auth":{"a":1,"b":1e999},"t":"\ud83d"}"#),
        ),
        ("/list/1/token", r#"{"list":[{"token":"x"},{"token":"S"}]}"#, Some(r#"{"list":[{"token":"x"},{}]}"#)),
        ("/a~1b~0", r#"{"a/b~":"S"}"#, Some("{}")),
        ("/a\"b", r#"{"x":"\"","a\"b":"S"}"#, Some(r#"{"x":"\""}"#)),
        ("/to", r#"{"\u0074o":"S","x":1}"#, Some(r#"{"x":1}"#)),
        ("/token", "\u{feff}{\"token\":\"S\"}", Some("\u{feff}{}")),
        // A copy elsewhere is not kept either.
        ("/token", r#"{"token":"S","url":"/x?t=S&u"}"#, Some(r#"{"url":"/x?t=************************&u"}"#)),
        ("/token", r#"{"token":["S"]}"#, None),
        ("/token", r#"{"token":null}"#, None),
        ("/token", r#"{"Token":"S"}"#, None),
        ("/token", r#"{"auth":{"token":"S"}}"#, None),
        ("/auth/token", r#"{"auth":"S"}"#, None),
        ("/0", r#"["S"]"#, None),
        ("/list/1/token", r#"{"list":[{"token":"S"}]}"#, None),
        // Parsers disagree which one counts.
        ("/token", r#"{"token":"x","token":"S"}"#, None),
        ("/auth/token", r#"{"auth":{"token":"S"},"auth":{}}"#, None),
        ("/token", r#"{"token":"S"} {}"#, None),
        ("/token", r#"{"token":"S""#, None),
        ("/token", "", None),
    ] {
        let declaration = Declaration::preset("body-secret").with("pointer", pointer);
        let scheme = Scheme::declare(&declaration, &[Secret::new(SECRET.into())]).unwrap();
        let body = body.replace("\"S\"", &format!("\"{SECRET}\"")).replace("=S", &format!("={SECRET}"));
        let (headers, body) = (HeaderMap::new(), body.as_bytes());
        let request = Request { headers: &headers, body, token: None, now_ms: 0, fetched: None };
        let found = scheme.verify(&request).ok().and_then(|_| scheme.payload(&headers, body));
        assert_eq!(
            found.map(|payload| payload.body).as_deref(),
            shown.map(str::as_bytes),
            "{pointer} {}",
            String::from_utf8_lossy(body)
        );
        if shown.is_some() {
            let other = Scheme::declare(&declaration, &[Secret::new(format!("{SECRET}x"))]).unwrap();
            assert!(other.verify(&request).is_err(), "{pointer}");
        }
    }
}
