//! Names of headers and query parameters whose values are secrets.

use smallvec::SmallVec;

/// The maximum number of bytes of a name for which nothing is allocated; nearly all names are shorter.
const NAME_BYTES: usize = 48;
/// Parts of names that stand for secrets.
const PARTS: [&str; 15] = [
    "token",
    "secret",
    "signature",
    "apikey",
    "password",
    "passwd",
    "passphrase",
    "authorization",
    "cookie",
    "credential",
    "accesskey",
    "authkey",
    "privatekey",
    "hmac",
    "jwt",
];
/// Whole names that stand for secrets, also after an `x`.
const NAMES: [&str; 6] = ["sig", "auth", "key", "pwd", "pass", "bearer"];

/// Returns whether a name suggests that the value is a secret. Names are compared in lower case, without `-`, `_` and `.`:
/// `x-api-key`, `X_APIKEY` and `apiKey` are the same.
pub fn is_secret_name(name: &str) -> bool {
    let bytes = name.bytes().filter(|byte| !matches!(byte, b'-' | b'_' | b'.')).map(|byte| byte.to_ascii_lowercase());
    let name: SmallVec<[u8; NAME_BYTES]> = bytes.collect();
    let has_part = (0..name.len()).any(|at| {
        let rest = &name[at..];
        PARTS.iter().any(|part| rest.starts_with(part.as_bytes()))
    });
    let whole = name.strip_prefix(b"x").unwrap_or(&name);
    has_part || NAMES.iter().any(|secret| secret.as_bytes() == whole)
}

#[cfg(test)]
mod tests {
    use super::is_secret_name;

    #[test]
    fn separators_and_case_do_not_matter() {
        for name in [
            "authorization",
            "proxy-authorization",
            "x-forwarded-authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
            "x-apikey",
            "apiKey",
            "API_KEY",
            "api.key",
            "x-api-token",
            "client_secret",
            "sig",
            "x-sig",
            "X-Hub-Signature",
            "key",
            "auth",
            "x-auth",
            "pwd",
            "passwd",
            "user_password",
            "access_key",
            "x-amz-credential",
            "id-jwt",
            "hmac",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "host",
            "user-agent",
            "content-type",
            "content-length",
            "x-github-event",
            "x-event-key",
            "x-forwarded-for",
            "idempotency-key",
            "webhook-id",
            "x-request-id",
            "author",
            "signal",
            "design",
            "keyword",
            "passport",
            "",
            "x",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
