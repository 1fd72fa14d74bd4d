//! Standard Webhooks: its senders, and vendors that sign as it defines.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use hookmill_signatures::{Declaration, Request, Scheme, Secret, SignatureError, StandardWebhooks, VerifyError};
use http::HeaderMap;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW_MS: i64 = 1_700_000_000_000;

fn request<'r>(headers: &'r HeaderMap, body: &'r [u8], now_ms: i64) -> Request<'r> {
    Request { headers, body, token: None, now_ms, fetched: None }
}

/// A token of GitLab that is being replaced by a signing key.
#[test]
fn a_signature_is_checked_if_there_is_a_signing_key() {
    const TOKEN: &str = "a-token-of-the-tests";
    let scheme = |secrets: &[&str]| {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new((*text).into())).collect();
        Scheme::declare(&Declaration::preset("gitlab"), &secrets).unwrap()
    };
    let (both, token, signing) = (scheme(&[TOKEN, SECRET]), scheme(&[TOKEN]), scheme(&[SECRET]));
    let with_token = token.sign(b"{}", NOW_MS, "id-1").unwrap().headers;
    let signed = signing.sign(b"{}", NOW_MS, "id-1").unwrap().headers;
    let mut with_both = signed.clone();
    with_both.extend(with_token.clone());
    let mut forged = with_both.clone();
    forged.insert("webhook-signature", "v1,AAAA".parse().unwrap());
    let secret = |scheme: &Scheme, headers: &HeaderMap, body: &[u8], now_ms: i64| {
        scheme.verify(&request(headers, body, now_ms)).map(|verification| verification.secret)
    };
    let wrong = Err(VerifyError::from(SignatureError::Wrong));
    assert_eq!(secret(&both, &with_token, b"{}", NOW_MS), Ok(0));
    assert_eq!(secret(&both, &signed, b"{}", NOW_MS), Ok(1));
    assert_eq!(secret(&both, &with_both, b"{}", NOW_MS), Ok(1));
    assert_eq!(secret(&both, &with_both, b"{ }", NOW_MS), wrong, "the token does not replace the signature");
    assert_eq!(secret(&both, &forged, b"{}", NOW_MS), wrong, "the token does not replace the signature");
    assert_eq!(secret(&token, &with_both, b"{ }", NOW_MS), Ok(0), "without a signing key");
    let missing = |name: &str| Err(SignatureError::HeaderMissing(name.parse().unwrap()).into());
    assert_eq!(secret(&signing, &HeaderMap::new(), b"{}", NOW_MS), missing("x-gitlab-token"));
    assert_eq!(secret(&signing, &with_token, b"{}", NOW_MS), wrong);
    let late = secret(&both, &signed, b"{}", NOW_MS + 301_000);
    assert_eq!(late, Err(VerifyError::Expired { tolerance_s: 300, age_s: 301 }));
    assert_eq!((both.tolerance_s(), token.tolerance_s()), (Some(300), None));
    for name in ["x-gitlab-token", "webhook-signature"] {
        assert!(both.is_secret_header(&name.parse().unwrap()), "{name}");
    }
    let unusable = Scheme::declare(&Declaration::preset("gitlab"), &[Secret::new("whsec_%%%".into())]);
    assert!(unusable.unwrap_err().to_string().contains("not base64"));
}

/// The published vectors of the Standard Webhooks and Svix libraries, as a sender makes them.
#[test]
fn standard_webhooks_signs_published_vectors() {
    let vectors = [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ];
    for (secret, id, timestamp_s, body, expected) in vectors {
        let keys = StandardWebhooks::new(&[secret]).unwrap();
        let signed = keys.headers(id, timestamp_s, body.as_bytes()).unwrap();
        assert_eq!(signed["webhook-signature"], expected);
        assert_eq!((&signed["webhook-id"], &signed["webhook-timestamp"]), (&id.parse().unwrap(), &timestamp_s.into()));
    }
}

#[test]
fn standard_webhooks_signs_with_every_secret_and_verifies_with_any() {
    let secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let one = |secret| StandardWebhooks::new(&[secret]).unwrap();
    let (id, timestamp_s, body) = ("msg_1", NOW_MS / 1000, &b"\xff{}"[..]);
    let sign = |keys: StandardWebhooks| {
        let headers = keys.headers(id, timestamp_s, body).unwrap();
        headers["webhook-signature"].to_str().unwrap().to_owned()
    };
    let single = secrets.map(|secret| sign(one(secret)));
    let both = StandardWebhooks::new(&secrets).unwrap();
    let signature = sign(StandardWebhooks::new(&secrets).unwrap());
    assert_eq!(signature, single.join(" "));
    let message = |signature: &str| {
        let mut headers = StandardWebhooks::unsigned_headers(id, timestamp_s).unwrap();
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    };
    for (index, secret) in secrets.into_iter().enumerate() {
        assert!(one(secret).verify(&message(&signature), body, NOW_MS).is_ok());
        assert_eq!(both.verify(&message(&single[index]), body, NOW_MS).unwrap().secret, index);
        let other = one(secrets[1 - index]).verify(&message(&single[index]), body, NOW_MS);
        assert_eq!(other, Err(SignatureError::Wrong.into()));
    }
    let tampered = both.verify(&message(&signature), b"{}", NOW_MS);
    assert_eq!(tampered, Err(SignatureError::Wrong.into()));
    let late = both.verify(&message(&signature), body, NOW_MS + 301_000);
    assert_eq!(late, Err(VerifyError::Expired { tolerance_s: 300, age_s: 301 }));
}

#[test]
fn standard_webhooks_refuses_unusable_secrets_without_showing_them() {
    for text in ["", "hunter2hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%"] {
        let error = StandardWebhooks::new(&[text]).unwrap_err().to_string();
        assert!(error.contains("openssl rand") && !error.contains("hunter2"), "{error}");
    }
    let error = StandardWebhooks::new::<&str>(&[]).unwrap_err().to_string();
    assert!(error.contains("at least one secret"), "{error}");
}
