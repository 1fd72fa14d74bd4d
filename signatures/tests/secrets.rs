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
        let request = Request { headers: &headers, body, token: None, now_ms: 0, certificate: None };
        assert!(scheme.verify(&request).is_ok(), "{shown}");
        assert_eq!(scheme.without_secrets(body).as_deref(), Some(shown.as_bytes()));
    }
}
