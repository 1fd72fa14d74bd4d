//! The cost of verification compared with the bare HMAC of the same bytes: `cargo bench -p hookmill-signatures`.
//!
//! For each scheme and size both are measured in turns, so that other load on the machine slows both down. The result
//! is the median of the rounds. Schemes that send their secret compute no HMAC, but are compared with one too.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a failing benchmark panics")]

use hmac::{Hmac, KeyInit, Mac};
use hookmill_signatures::{Declaration, Request, Scheme, Secret};
use sha2::{Sha256, Sha512};
use std::hint::black_box;
use std::time::Instant;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW_MS: i64 = 1_700_000_000_000;
const ROUNDS: usize = 31;
const GOAL: f64 = 1.3;
/// Body sizes in bytes.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn main() {
    println!("verification of one request, compared with the bare HMAC of the same bytes; median of {ROUNDS} rounds");
    println!("{:<22}{:>10}{:>12}{:>12}{:>8}", "scheme", "body", "bare", "verify", "ratio");
    let mut above = Vec::new();
    // The others have no key here with which they could sign.
    let signs = |name: &&str| !matches!(*name, "none" | "aws-sns" | "jwt" | "google-pubsub");
    for name in hookmill_signatures::scheme_names().filter(signs) {
        for size in SIZES {
            let (bare, verify, is_hmac) = measure(name, size);
            let ratio = verify / bare;
            println!("{name:<22}{size:>8} B{:>9.2} µs{:>9.2} µs{ratio:>8.2}", bare * 1e6, verify * 1e6);
            if is_hmac && ratio > GOAL {
                above.push(format!("{name} at {size} B: {ratio:.2}"));
            }
        }
    }
    match above.is_empty() {
        true => println!("every HMAC scheme costs at most {GOAL} times the bare HMAC"),
        false => println!("more than {GOAL} times the bare HMAC: {}", above.join("; ")),
    }
}

/// Returns the seconds of the bare HMAC, the seconds of verification, and whether the scheme computes an HMAC.
fn measure(name: &str, size: usize) -> (f64, f64, bool) {
    let declaration = match name {
        "hmac" => Declaration::preset(name).with("signature_header", "x-sum"),
        "static-header" => Declaration::preset(name).with("header", "x-key"),
        "body-secret" => Declaration::preset(name).with("pointer", "/token"),
        _ => Declaration::preset(name),
    };
    let secret = if name == "basic" { format!("soc:{SECRET}") } else { SECRET.into() };
    let scheme = Scheme::declare(&declaration, &[Secret::new(secret)]).unwrap();
    let body = format!("{{\"value\": [{{\"text\": \"{}\"}}]}}", "x".repeat(size - 27));
    let signed = scheme.sign(body.as_bytes(), NOW_MS, "msg_p5jXN8AQM9LWM0D4loKWxJek").unwrap();
    let token = signed.token.as_deref();
    let request = Request { headers: &signed.headers, body: &signed.body, token, now_ms: NOW_MS, fetched: None };
    // The length that the template adds to the body with a timestamp and an id.
    let added = match name {
        "hookmill" | "stripe" => 11,
        "slack" | "zoom" => 14,
        "standard-webhooks" => 44,
        // The key is hashed for each request: two more blocks.
        "gitguardian" => 128,
        "crowdstrike" | "box" => 20,
        _ => 0,
    };
    let content = [&signed.body[..], &vec![b'0'; added]].concat();
    let (short, long) = (Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()), Hmac::<Sha512>::new_from_slice(b"key"));
    let (short, long) = (short.unwrap(), long.unwrap());
    let is_long = name == "hcp-vault-radar";
    let bare = || match is_long {
        true => black_box(long.clone().chain_update(black_box(&content)).finalize().into_bytes()[0]),
        false => black_box(short.clone().chain_update(black_box(&content)).finalize().into_bytes()[0]),
    };
    let verify = || u8::from(black_box(scheme.verify(black_box(&request))).is_ok());
    assert_eq!(verify(), 1, "{name}");
    let calls = (4_000_000 / (size + 500)).max(10);
    let (mut bare_s, mut verify_s) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_s.push(time(calls, bare));
        verify_s.push(time(calls, verify));
    }
    (median(bare_s), median(verify_s), scheme.hmac(0, b"").is_some())
}

fn time(calls: usize, mut call: impl FnMut() -> u8) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    start.elapsed().as_secs_f64() / calls as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
