//! Connections to destinations, authentication and signatures, and the errors of failed attempts.

use crate::guest::guest;
use crate::host::{Folder, Host, eventually};
use crate::outcome::incident;
use crate::receiver::{Receiver, Reply};
use crate::tls::{Authority, Signed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use reqwest::Method;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PASSWORD: &str = "only a password";

/// Makes a folder with these destinations: name, URL and further keys.
fn folder(destinations: &[(&str, String, &str)]) -> Folder {
    let mut config = "sources: { lab: { scheme: none, plugin: returns } }\nwebhooks:\n".to_owned();
    for (name, url, keys) in destinations {
        let once = if keys.contains("retry_schedule") { "" } else { ", retry_schedule: []" };
        config += &format!("  {name}: {{ url: \"{url}\", allow_networks: [127.0.0.0/8]{once}{keys} }}\n");
    }
    Folder::new(&config).with("returns", &guest("returns"))
}

/// Waits until the only delivery to a destination has this status.
async fn delivery(host: &Host<'_>, destination: &str, status: &str) -> Value {
    eventually(&format!("{destination} is {status}"), async || {
        host.list(&format!("/api/deliveries?destination={destination}&status={status}")).await.pop()
    })
    .await
}

/// Makes the TLS configuration of a receiver with this certificate, and the authority of its clients' certificates.
pub fn server(
    signed: &Signed,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::Pkcs8(signed.key.serialize_der().into());
    builder.with_single_cert(vec![signed.certificate.der().clone()], key).unwrap()
}

/// Encodes the certificate, with or without its key, as PKCS#12.
fn pkcs12(signed: &Signed, with_key: bool) -> Vec<u8> {
    let certificate = Certificate::from_der(signed.certificate.der()).unwrap();
    let entry = if with_key {
        let key = PrivateKey::from_der(&signed.key.serialize_der()).unwrap();
        KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("1", key, [certificate]))
    } else {
        KeyStoreEntry::Certificate(certificate)
    };
    let mut store = KeyStore::new();
    store.add_entry("one", entry);
    store.writer(PASSWORD).write().unwrap()
}

#[tokio::test]
async fn receivers_over_tls_are_verified_and_get_a_client_certificate() {
    let both = rustls::ALL_VERSIONS;
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    let good = authority.sign("127.0.0.1");
    let open = Receiver::start_tls(server(&good, None, both)).await;
    let expired = Receiver::start_tls(server(&authority.sign_until("127.0.0.1", 2001), None, both)).await;
    let misnamed = Receiver::start_tls(server(&authority.sign("soc.example"), None, both)).await;
    let asking_12 = Receiver::start_tls(server(&good, Some(&clients), &[&rustls::version::TLS12])).await;
    let asking_13 = Receiver::start_tls(server(&good, Some(&clients), &[&rustls::version::TLS13])).await;
    let plain = Receiver::start([]).await;
    let plain_tls = plain.url.replace("http:", "https:");
    let pem = ", ca: ca.pem, client_certificate: known.pem, client_key: known.key";
    let p12 = ", ca: ca.pem, client_certificate: known.p12, client_password: only a password";
    let stranger = ", ca: ca.pem, client_certificate: stranger.pem, client_key: stranger.key";
    // The expected error; `None` if the delivery arrives.
    let cases = [
        ("believed", &open.url, ", ca: ca.pem", None),
        ("believed-p12", &open.url, ", ca: ca.p12, ca_password: only a password", None),
        ("unknown", &open.url, "", Some("unknown issuer; name the file of that authority in `ca`")),
        ("other", &open.url, ", ca: other.pem", Some("an authority of that name is known, and it did not sign this")),
        ("expired", &expired.url, ", ca: ca.pem", Some("tls: the server's certificate has expired")),
        ("misnamed", &misnamed.url, ", ca: ca.pem", Some("tls: the server's certificate is for another name")),
        ("known-12", &asking_12.url, pem, None),
        ("known-13", &asking_13.url, pem, None),
        ("known-p12", &asking_13.url, p12, None),
        ("nobody-12", &asking_12.url, ", ca: ca.pem", Some("tls: the server requires a client certificate")),
        ("stranger-12", &asking_12.url, stranger, Some("tls: the server rejects the client certificate")),
        ("plain", &plain_tls, ", ca: ca.pem", Some("tls: ")),
    ];
    let mut destinations: Vec<_> = cases.iter().map(|(name, url, keys, _)| (*name, (*url).clone(), *keys)).collect();
    // In TLS 1.3 a receiver refuses after the handshake, and the refusal can be lost with the connection.
    destinations.push(("nobody-13", asking_13.url.clone(), ", ca: ca.pem"));
    let folder = folder(&destinations);
    std::fs::write(folder.path("ca.pem"), authority.0.pem()).unwrap();
    std::fs::write(folder.path("other.pem"), other.0.pem()).unwrap();
    let authority_certificate = Certificate::from_der(authority.0.der()).unwrap();
    let mut store = KeyStore::new();
    store.add_entry("ca", KeyStoreEntry::Certificate(authority_certificate));
    std::fs::write(folder.path("ca.p12"), store.writer(PASSWORD).write().unwrap()).unwrap();
    let known = clients.sign("sender");
    known.write(&folder, "known");
    std::fs::write(folder.path("known.p12"), pkcs12(&known, true)).unwrap();
    other.sign("stranger").write(&folder, "stranger");
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    for (name, _, _, expected) in cases {
        let delivery = delivery(&host, name, if expected.is_some() { "dead" } else { "delivered" }).await;
        let error = delivery["attempts"][0]["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected.unwrap_or_default()), "{name}: {delivery}");
    }
    eventually("the server's answer must be reported", async || {
        let dead = delivery(&host, "nobody-13", "dead").await;
        let says_so = |attempt: &Value| {
            attempt["error"].as_str().unwrap().starts_with("tls: the server requires a client certificate")
        };
        if !dead["attempts"].as_array().unwrap().iter().any(says_so) {
            let retry = format!("/api/deliveries/{}/retry", dead["id"].as_str().unwrap());
            host.call(Method::POST, &retry, "").await;
            return None;
        }
        Some(())
    })
    .await;
    assert!(!host.log().contains(PASSWORD));
}

/// An authority that is replaced while the host runs is trusted from then on; an unusable file changes nothing.
#[tokio::test]
async fn a_changed_authority_file_is_reloaded() {
    let (former, next) = (Authority::new(), Authority::new());
    let receiver = Receiver::start_tls(server(&next.sign("127.0.0.1"), None, rustls::ALL_VERSIONS)).await;
    let folder = folder(&[("soc", receiver.url.clone(), ", ca: ca.pem")]);
    std::fs::write(folder.path("ca.pem"), former.0.pem()).unwrap();
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    delivery(&host, "soc", "dead").await;
    std::fs::write(folder.path("ca.pem"), "no certificate").unwrap();
    host.logs("cannot apply the changed configuration").await;
    host.logs("`ca`").await;
    std::fs::write(folder.path("ca.pem"), next.0.pem()).unwrap();
    host.logs("hookmill.yaml applied").await;
    host.post("lab", incident(json!({"source-ref": "b"}))).await;
    delivery(&host, "soc", "delivered").await;
    assert_eq!(receiver.received().len(), 1);
}

/// The destinations of a configuration share what was read of the system's authorities; the next configuration reads them anew.
#[tokio::test]
async fn the_authorities_of_the_system_are_read_with_each_configuration() {
    let (former, next) = (Authority::new(), Authority::new());
    let receiver = Receiver::start_tls(server(&next.sign("127.0.0.1"), None, rustls::ALL_VERSIONS)).await;
    let names = ["archive", "soc"];
    let folder = folder(&names.map(|name| (name, receiver.url.clone(), "")));
    std::fs::write(folder.path("system.pem"), former.0.pem()).unwrap();
    let mut serve = folder.hookmill(&["serve"]);
    let host = folder.start_listening_by(serve.env("SSL_CERT_FILE", folder.path("system.pem"))).await;
    host.ready().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    for name in names {
        delivery(&host, name, "dead").await;
    }
    std::fs::write(folder.path("system.pem"), next.0.pem()).unwrap();
    assert_eq!(host.call(Method::POST, "/api/reload", "").await.status, 204);
    host.post("lab", incident(json!({"source-ref": "b"}))).await;
    for name in names {
        delivery(&host, name, "delivered").await;
    }
    assert_eq!(receiver.received().len(), names.len());
}

#[tokio::test]
async fn unusable_certificate_files_are_refused() {
    let authority = Authority::new();
    let folder = Folder::new("");
    let client = authority.sign("client");
    client.write(&folder, "client");
    authority.sign("other").write(&folder, "other");
    std::fs::write(folder.path("empty.pem"), "").unwrap();
    std::fs::write(folder.path("client.p12"), pkcs12(&client, true)).unwrap();
    std::fs::write(folder.path("no-key.p12"), pkcs12(&client, false)).unwrap();
    std::fs::write(folder.path("half.p12"), &pkcs12(&client, true)[..100]).unwrap();
    std::fs::write(folder.path("old.jks"), [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]).unwrap();
    for (keys, words) in [
        ("ca: none.pem", &["`ca`", "none.pem", "No such file"][..]),
        ("ca: empty.pem", &["`ca`", "empty.pem", "does not contain a certificate", "BEGIN CERTIFICATE"]),
        ("ca: client.key", &["`ca`", "client.key", "does not contain a certificate"]),
        ("ca: client.p12", &["`ca`", "client.p12", "PKCS#12", "`ca_password`"]),
        ("ca: client.p12, ca_password: hunter2", &["`ca`", "client.p12", "`ca_password`"]),
        ("ca: half.p12, ca_password: only a password", &["`ca`", "half.p12", "PKCS#12"]),
        ("ca: client.pem, ca_password: hunter2", &["`ca`", "client.pem", "not a PKCS#12 file", "remove `ca_password`"]),
        ("ca: old.jks, ca_password: hunter2", &["`ca`", "old.jks", "keytool -importkeystore"]),
        ("client_certificate: client.pem", &["`client_certificate`", "client.pem", "does not contain a private key"]),
        (
            "client_certificate: client.pem, client_key: other.key",
            &["`client_certificate`", "client.pem", "does not match"],
        ),
        ("client_certificate: client.pem, client_key: none.key", &["`client_certificate`", "none.key", "No such file"]),
        ("client_certificate: client.p12", &["`client_certificate`", "client.p12", "`client_password`"]),
        (
            "client_certificate: no-key.p12, client_password: only a password",
            &["`client_certificate`", "no-key.p12", "does not contain a private key"],
        ),
        (
            "client_certificate: client.p12, client_password: only a password, client_key: client.key",
            &["`client_certificate`", "client.p12", "remove `client_key`"],
        ),
    ] {
        folder.configure(&format!("webhooks: {{ soc: {{ url: \"https://soc.example\", {keys} }} }}"));
        let refusal = folder.refusal();
        for word in ["webhooks.soc"].iter().chain(words) {
            assert!(refusal.contains(word), "no `{word}` in: {refusal}");
        }
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[tokio::test]
async fn deliveries_are_authenticated_and_signed() {
    let (old, new) = ([b'o'; 32], [b'n'; 32]);
    let whsec = |key: &[u8]| format!("whsec_{}", STANDARD.encode(key));
    let rotating = format!(", secrets: [{}, {}]", whsec(&new), whsec(&old));
    let canary = "canary-of-the-tests";
    let cases = [
        ("basic", format!(", auth: {{ type: basic, username: soc, password: {canary} }}")),
        ("bearer", format!(", auth: {{ type: bearer, token: {canary} }}")),
        ("header", format!(", auth: {{ type: header, name: X-Api-Key, value: {canary} }}")),
        ("github", format!(", signature: github, secret: {canary}")),
        (
            "own",
            format!(
                ", signature: {{ type: hmac, header: X-Sum, algorithm: sha512, encoding: base64, prefix: \"v0=\" }}, \
                 secret: {canary}, auth: none"
            ),
        ),
        ("rotating", rotating),
    ];
    let mut receivers = Vec::new();
    let mut destinations = Vec::new();
    for (name, keys) in &cases {
        // The first answer echoes the request and is a refusal.
        let receiver = Receiver::start([Reply::Echo(400, "you sent \u{1b}[2J")]).await;
        destinations.push((*name, receiver.url.clone(), keys.as_str()));
        receivers.push(receiver);
    }
    // A user name in the URL has the same effect as `auth`.
    let in_url = Receiver::start([]).await;
    destinations.push(("in-url", in_url.url.replace("//", "//soc:a%2Fb@"), ""));
    let folder = folder(&destinations);
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    for ((name, _), receiver) in cases.iter().zip(&receivers) {
        let received = receiver.wait_for(1).await.remove(0);
        let (id, time) = (received.header("webhook-id").as_bytes(), received.header("webhook-timestamp").as_bytes());
        let standard = |key: &[u8]| {
            format!("v1,{}", STANDARD.encode(mac::<Hmac<Sha256>>(key, &[id, b".", time, b".", &received.bytes])))
        };
        let hash_256 = mac::<Hmac<Sha256>>(canary.as_bytes(), &[&received.bytes]);
        let hash_512 = mac::<Hmac<Sha512>>(canary.as_bytes(), &[&received.bytes]);
        let (header, expected) = match *name {
            "basic" => ("authorization", format!("Basic {}", STANDARD.encode(format!("soc:{canary}")))),
            "bearer" => ("authorization", format!("Bearer {canary}")),
            "header" => ("x-api-key", canary.to_owned()),
            "github" => {
                let digits: String = hash_256.iter().map(|byte| format!("{byte:02x}")).collect();
                ("x-hub-signature-256", format!("sha256={digits}"))
            }
            "own" => ("x-sum", format!("v0={}", STANDARD.encode(hash_512))),
            _ => ("webhook-signature", format!("{} {}", standard(&new), standard(&old))),
        };
        assert_eq!(received.header(header), expected, "{name}");
        let dead = delivery(&host, name, "dead").await.to_string();
        assert!(dead.contains("you sent") && !dead.contains("\\u001b"), "{dead}");
        for secret in [canary, &STANDARD.encode(format!("soc:{canary}"))] {
            assert!(!dead.contains(secret), "{dead}");
            assert!(!host.log().contains(secret), "{}", host.log());
        }
    }
    let received = in_url.wait_for(1).await.remove(0);
    assert_eq!(received.header("authorization"), format!("Basic {}", STANDARD.encode("soc:a/b")));
}

/// Starts a server that answers each connection with these bytes and closes it. Returns the address.
async fn raw(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = vec![0; 64 * 1024];
            let _ = stream.read(&mut received).await;
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

#[tokio::test]
async fn failed_attempts_have_the_right_code() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_at = closed.local_addr().unwrap().to_string();
    drop(closed);
    // Connections stay in its backlog and are never accepted.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_at = silent.local_addr().unwrap().to_string();
    let (cut, half) = (raw(b"").await, raw(b"HTTP/1.1 200 OK\r\ncontent-le").await);
    let (garbage, refuses) = (raw(b"220 mail.example ESMTP\r\n\r\n").await, raw(b"HTTP/1.1 403 No\r\n\r\n").await);
    let asks = raw(b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n").await;
    let moved = raw(b"HTTP/1.1 308 Moved\r\nlocation: /new?key=secret\r\ncontent-length: 0\r\n\r\n").await;
    let receiver = Receiver::start([]).await;
    let (http, https) = (receiver.url.clone(), receiver.url.replace("http:", "https:"));
    // A label that is too long fails without a DNS query.
    let no_name = format!("http://{}.invalid/", "x".repeat(64));
    let proxied = |at: &str| format!(", proxy: \"http://soc:hunter2@{at}\"");
    let cases = [
        ("dns", no_name.clone(), String::new(), "dns: the name xxx"),
        ("connect", format!("http://{closed_at}/"), String::new(), "connect: cannot connect to 127.0.0.1:"),
        ("connect-tls", format!("https://{closed_at}/"), String::new(), "Connection refused"),
        (
            "no-answer",
            format!("http://{silent_at}/"),
            ", timeout: 300ms".into(),
            "timeout: the server did not answer in time",
        ),
        (
            "no-handshake",
            format!("https://{silent_at}/"),
            ", connect_timeout: 300ms".into(),
            "timeout: no connection was established in time (0.3 s)",
        ),
        ("cut", format!("http://{cut}/"), String::new(), "interrupted: the connection was cut before the answer"),
        ("half", format!("http://{half}/"), String::new(), "interrupted: the connection was cut before the answer"),
        ("cut-tls", format!("https://{cut}/"), String::new(), "tls: the connection was cut in the TLS handshake"),
        ("garbage", format!("http://{garbage}/"), String::new(), "interrupted: the answer is not HTTP"),
        ("moved", format!("http://{moved}/old"), String::new(), "/new; redirects are not followed: set `url` to it"),
        ("inner", "http://10.1.2.3./".into(), String::new(), "refused_address: 10.1.2.3 is not globally routable"),
        ("status", format!("http://{asks}/"), String::new(), "status: the server answered 407"),
        ("asks-http", http.clone(), proxied(&asks), "proxy: the proxy refuses the user name and password"),
        ("asks-https", https.clone(), proxied(&asks), "proxy: the proxy refuses the user name and password"),
        ("refuses", https.clone(), proxied(&refuses), "proxy: the proxy refuses to connect to the server"),
        ("broken-proxy", https.clone(), proxied(&cut), "proxy: the proxy closed the connection"),
        ("no-proxy", https, proxied(&closed_at), "connect: at the proxy: cannot connect to 127.0.0.1:"),
        ("no-proxy-http", http, proxied(&closed_at), "connect: at the proxy: cannot connect to 127.0.0.1:"),
        (
            "inner-by-proxy",
            "https://10.1.2.3/".into(),
            proxied(&asks),
            "refused_address: 10.1.2.3 is not globally routable",
        ),
    ];
    let folder = folder(&cases.each_ref().map(|(name, url, keys, _)| (*name, url.clone(), keys.as_str())));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    for (name, _, _, expected) in &cases {
        let dead = delivery(&host, name, "dead").await;
        let error = dead["attempts"][0]["error"].as_str().unwrap();
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert!(receiver.received().is_empty() && !host.log().contains("hunter2"), "{}", host.log());
}

/// A receiver that answers 2xx has the delivery, whatever else its answer contains.
#[tokio::test]
async fn odd_headers_of_a_success_do_not_matter() {
    let many: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(150)).into_boxed_str());
    let answers: [&'static [u8]; 5] = [
        b"HTTP/1.1 200 OK\r\nbad name: x\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nx-name : x\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nx-long: a\r\n b\r\nlocation: ::\xff\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nno colon\r\nretry-after: never\r\n\r\n",
        many.as_bytes(),
    ];
    let mut destinations = Vec::new();
    for (index, answer) in answers.into_iter().enumerate() {
        destinations.push((format!("odd-{index}"), format!("http://{}/", raw(answer).await)));
    }
    let folder = folder(&destinations.iter().map(|(name, url)| (name.as_str(), url.clone(), "")).collect::<Vec<_>>());
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    for (name, _) in &destinations {
        let [done] = &host.settled(&format!("/api/deliveries?destination={name}")).await[..] else { panic!("{name}") };
        assert_eq!(done["status"], "delivered", "{done}");
    }
}
