//! Messages of Amazon SNS, signed with the key in `sns/`.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use hookmill_signatures::{AwsUrl, Declaration, Fetched, Identity, Request, Scheme, SignatureError, VerifyError};
use http::HeaderMap;
use serde_json::{Map, Value, json};

const CERTIFICATE: &str = include_str!("sns/certificate.pem");
const TOPIC: &str = "arn:aws:sns:us-west-2:123456789012:MyTopic";
const NOW_MS: i64 = 1_700_000_000_000;

fn messages() -> Map<String, Value> {
    serde_json::from_str(include_str!("sns/messages.json")).unwrap()
}

fn scheme(keys: &[(&str, &str)]) -> Scheme {
    let sns = Declaration::preset("aws-sns").with("topics", TOPIC);
    Scheme::declare(&keys.iter().fold(sns, |sns, (key, value)| sns.with(key, value)), &[]).unwrap()
}

fn verify(scheme: &Scheme, message: &Value, certificate: Option<&str>, now_ms: i64) -> Result<Identity, VerifyError> {
    let (headers, body) = (HeaderMap::new(), message.to_string());
    let fetched = certificate.map(|pem| Fetched::Certificate(pem.as_bytes()));
    let request = Request { headers: &headers, body: body.as_bytes(), token: None, now_ms, fetched };
    scheme.verify(&request).map(|verification| verification.identity)
}

#[test]
fn verifies_both_signature_versions_and_every_message_type() {
    let pinned = scheme(&[("certificate", CERTIFICATE)]);
    for (name, message) in &messages() {
        let id = Identity::Delivery(message["MessageId"].as_str().unwrap().into());
        assert_eq!(verify(&pinned, message, None, NOW_MS), Ok(id.clone()), "{name}");
        let missing =
            VerifyError::CertificateMissing(AwsUrl::new(message["SigningCertURL"].as_str().unwrap()).unwrap());
        assert_eq!(verify(&scheme(&[]), message, None, NOW_MS), Err(missing), "{name}");
        assert_eq!(verify(&scheme(&[]), message, Some(CERTIFICATE), NOW_MS), Ok(id), "{name}");
        let not_one = verify(&scheme(&[]), message, Some("not one"), NOW_MS);
        assert_eq!(not_one, Err(SignatureError::Certificate.into()), "{name}");
        let late = verify(&pinned, message, None, NOW_MS + 7_201_000);
        assert!(matches!(late, Err(VerifyError::Expired { tolerance_s: 7200, .. })), "{name}: {late:?}");
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let pinned = scheme(&[("certificate", CERTIFICATE)]);
    for message in messages().values() {
        let body = format!("\u{feff}{message}");
        let (headers, body) = (HeaderMap::new(), body.as_bytes());
        let request = Request { headers: &headers, body, token: None, now_ms: NOW_MS, fetched: None };
        assert!(pinned.verify(&request).is_ok());
        assert!(pinned.signed_text(body).is_some());
    }
}

#[test]
fn refuses_a_change_of_any_signed_member() {
    let pinned = scheme(&[("certificate", CERTIFICATE)]);
    for (name, message) in &messages() {
        for (member, value) in [
            ("Message", json!("another")),
            ("MessageId", json!("another")),
            ("Timestamp", json!("2023-11-14T22:13:21.000Z")),
            ("TopicArn", json!("arn:aws:sns:us-west-2:123456789012:Another")),
            ("Type", json!("UnsubscribeConfirmation")),
            ("Subject", json!("another")),
            ("SubscribeURL", json!("https://sns.us-west-2.amazonaws.com/?another")),
            ("Signature", json!("AAAA")),
            ("Signature", json!("")),
            ("SignatureVersion", json!("3")),
            ("SignatureVersion", Value::Null),
        ] {
            let is_signed = match member {
                "Subject" => message["Type"] == "Notification",
                "SubscribeURL" => message["Type"] != "Notification",
                _ => true,
            };
            let mut changed = message.clone();
            changed[member] = value;
            let verified = verify(&pinned, &changed, None, NOW_MS);
            assert_eq!(verified.is_err(), is_signed, "{name}: {member}: {verified:?}");
        }
    }
}

#[test]
fn certificates_are_requested_from_hosts_of_aws_only() {
    let message = &messages()["version 2"];
    for (url, is_requested) in [
        ("https://sns.us-west-2.amazonaws.com/SimpleNotificationService-c6f8.pem", true),
        ("https://sns.us-west-2.amazonaws.com.cn/SimpleNotificationService-c6f8.pem", true),
        // A region that is not the topic's.
        ("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-c6f8.pem", false),
        ("http://sns.us-west-2.amazonaws.com/SimpleNotificationService-c6f8.pem", false),
        ("https://sns.us-west-2.amazonaws.com.evil.example/SimpleNotificationService-c6f8.pem", false),
        ("https://sns.evil.example#.amazonaws.com/SimpleNotificationService-c6f8.pem", false),
        ("https://evil.example/sns.us-west-2.amazonaws.com/SimpleNotificationService-c6f8.pem", false),
        ("https://sns.x@evil.example:443.amazonaws.com/SimpleNotificationService-c6f8.pem", false),
        ("https://sns.us-west-2.amazonaws.com:8443/SimpleNotificationService-c6f8.pem", false),
        ("https://sns..amazonaws.com/SimpleNotificationService-c6f8.pem", false),
        ("https://s3.us-west-2.amazonaws.com/SimpleNotificationService-c6f8.pem", false),
        ("https://sns.us-west-2.amazonaws.com/bucket/SimpleNotificationService-c6f8.pem", false),
        ("https://sns.us-west-2.amazonaws.com/SimpleNotificationService-../x.pem", false),
        ("https://sns.us-west-2.amazonaws.com/other.pem", false),
        ("", false),
    ] {
        let mut message = message.clone();
        message["SigningCertURL"] = url.into();
        let expected = match AwsUrl::new(url) {
            Some(url) if is_requested => VerifyError::CertificateMissing(url),
            _ => SignatureError::Certificate.into(),
        };
        assert_eq!(verify(&scheme(&[]), &message, None, NOW_MS), Err(expected), "{url}");
        // A topic that is not listed causes no request.
        message["TopicArn"] = "arn:aws:sns:us-west-2:123456789012:Another".into();
        assert_eq!(verify(&scheme(&[]), &message, None, NOW_MS), Err(SignatureError::TopicUnknown.into()), "{url}");
    }
}

#[test]
fn reads_subscription_confirmations() {
    let message = &messages()["confirmation"];
    for (confirm, allowed) in [("true", true), ("false", false)] {
        let subscription = scheme(&[("confirm", confirm)]).subscription(message.to_string().as_bytes()).unwrap();
        assert_eq!((subscription.topic.as_str(), subscription.allowed), (TOPIC, allowed));
        assert_eq!(subscription.url.unwrap().as_str(), message["SubscribeURL"].as_str().unwrap());
    }
    let mut message = message.clone();
    message["SubscribeURL"] = "https://169.254.169.254/latest/meta-data".into();
    assert_eq!(scheme(&[]).subscription(message.to_string().as_bytes()).unwrap().url, None);
    assert_eq!(scheme(&[]).subscription(messages()["version 2"].to_string().as_bytes()), None);
}
