//! TLS and mutual TLS on the listeners, with certificates that the tests make.

use crate::host::{ADMIN_TOKEN, Folder, Host};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A certificate authority of a test.
pub struct Authority(pub CertifiedIssuer<'static, KeyPair>);

/// A signed certificate with its key.
pub struct Signed {
    pub certificate: rcgen::Certificate,
    pub key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn sign(&self, name: &str) -> Signed {
        self.sign_until(name, 4096)
    }

    /// Signs a certificate that is valid until the beginning of a year.
    pub fn sign_until(&self, name: &str, year: i32) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        Signed { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    /// Makes a client that trusts this authority and may present a certificate.
    fn client(&self, shown: Option<&Signed>) -> ClientConfig {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        match shown {
            None => config.with_no_client_auth(),
            Some(shown) => {
                let key = PrivateKeyDer::Pkcs8(shown.key.serialize_der().into());
                config.with_client_auth_cert(vec![shown.certificate.der().clone()], key).unwrap()
            }
        }
    }
}

impl Signed {
    pub fn write(&self, folder: &Folder, name: &str) {
        std::fs::write(folder.path(&format!("{name}.pem")), self.certificate.pem()).unwrap();
        let key = folder.path(&format!("{name}.key"));
        std::fs::write(&key, self.key.serialize_pem()).unwrap();
        std::fs::set_permissions(key, Permissions::from_mode(0o640)).unwrap();
    }
}

fn client(config: ClientConfig) -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build().unwrap()
}

async fn status(client: &reqwest::Client, url: &str) -> Result<u16, reqwest::Error> {
    Ok(client.get(format!("{url}/healthz")).send().await?.status().as_u16())
}

#[tokio::test]
async fn webhooks_are_served_over_tls() {
    let authority = Authority::new();
    let folder = Folder::new(
        "limits: { head_timeout: 1s }
tls: { certificate: host.pem, key: host.key }
sources: { lab: { scheme: none, plugin: none } }",
    );
    authority.sign("127.0.0.1").write(&folder, "host");
    let mut host = folder.start_listening().await;
    assert!(host.url.starts_with("https://"), "{}", host.url);
    host.client = client(authority.client(None));
    host.ready().await;
    assert_eq!(host.post("lab", "over TLS").await.status, 202);
    // Large bodies and kept connections work too.
    assert_eq!(host.post("lab", vec![b'x'; 1024 * 1024]).await.status, 202);
    assert_eq!(host.post("lab", vec![b'x'; 1024 * 1024 + 1]).await.error_code(), "payload_too_large");

    // Clients without TLS, with another server name, or with an unfinished handshake.
    let plain = host.url.replace("https", "http");
    status(&client(authority.client(None)), &plain).await.unwrap_err();
    status(&client(Authority::new().client(None)), &host.url).await.unwrap_err();
    let slow = TcpStream::connect(plain.strip_prefix("http://").unwrap()).await.unwrap();
    slow.writable().await.unwrap();
    slow.try_write(b"\x16\x03\x01").unwrap();
    crate::host::eventually("the handshake is given up", async || {
        (!matches!(slow.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)).then_some(())
    })
    .await;
    host.terminate();
    assert_eq!(host.end().await.code(), Some(0));
}

#[tokio::test]
async fn with_client_ca_only_clients_with_a_certificate_are_served() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let folder = Folder::new(
        "admin_listen: 127.0.0.1:0
tls: { certificate: host.pem, key: host.key, client_ca: clients.pem }
admin_tls: { certificate: host.pem, key: host.key }",
    );
    authority.sign("127.0.0.1").write(&folder, "host");
    std::fs::write(folder.path("clients.pem"), clients.0.pem()).unwrap();
    let host = folder.start_listening().await;
    let (known, unknown) = (clients.sign("sender"), authority.sign("stranger"));
    assert_eq!(status(&client(authority.client(Some(&known))), &host.url).await.unwrap(), 200);
    for stranger in [None, Some(&unknown)] {
        status(&client(authority.client(stranger)), &host.url).await.unwrap_err();
    }
    // The other listener has its own settings.
    let admin = format!("https://{}", admin_address(&host));
    let incidents = client(authority.client(None)).get(format!("{admin}/api/incidents")).bearer_auth(ADMIN_TOKEN);
    assert_eq!(incidents.send().await.unwrap().status(), 200);
}

/// With TLS, the cookie of a session is one that no other host can set and no connection without TLS gets.
#[tokio::test]
async fn the_cookie_of_a_session_is_for_tls_only() {
    let authority = Authority::new();
    let folder = Folder::new("tls: { certificate: host.pem, key: host.key }");
    authority.sign("127.0.0.1").write(&folder, "host");
    let host = folder.start_listening().await;
    let client = client(authority.client(None));
    let url = format!("{}/api/session", host.url);
    let begun = client.post(&url).body(format!(r#"{{"token": "{ADMIN_TOKEN}"}}"#)).send().await.unwrap();
    assert_eq!(begun.status(), 201);
    let cookie = begun.headers()["set-cookie"].to_str().unwrap();
    let id = cookie
        .strip_prefix("__Host-hookmill=")
        .and_then(|rest| rest.strip_suffix("; Path=/; HttpOnly; SameSite=Strict; Secure"));
    let id = id.unwrap_or_else(|| panic!("{cookie}"));
    for (cookie, status) in [(format!("__Host-hookmill={id}"), 200), (format!("hookmill={id}"), 401)] {
        assert_eq!(client.get(&url).header("cookie", &cookie).send().await.unwrap().status(), status, "{cookie}");
    }
}

fn admin_address(host: &Host<'_>) -> String {
    host.log().split_once("admin_address=").unwrap().1.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn unusable_certificate_files_are_refused_at_start() {
    let authority = Authority::new();
    let folder = Folder::new("");
    authority.sign("127.0.0.1").write(&folder, "host");
    authority.sign("127.0.0.1").write(&folder, "other");
    std::fs::write(folder.path("empty.pem"), "").unwrap();
    std::fs::write(folder.path("binary.pem"), [0xff; 100]).unwrap();
    std::fs::write(folder.path("half.pem"), "-----BEGIN CERTIFICATE-----\nhunter2\n").unwrap();
    std::fs::copy(folder.path("host.key"), folder.path("open.key")).unwrap();
    std::fs::set_permissions(folder.path("open.key"), Permissions::from_mode(0o644)).unwrap();
    for (certificate, key, more, words) in [
        ("none.pem", "host.key", "", &["`tls`", "none.pem", "No such file"][..]),
        ("empty.pem", "host.key", "", &["empty.pem", "does not contain a certificate", "BEGIN CERTIFICATE"]),
        ("binary.pem", "host.key", "", &["binary.pem", "BEGIN CERTIFICATE"]),
        ("half.pem", "host.key", "", &["half.pem", "BEGIN CERTIFICATE"]),
        ("host.pem", "none.key", "", &["none.key", "No such file"]),
        ("host.pem", "host.pem", "", &["host.pem", "does not contain a private key", "BEGIN PRIVATE KEY"]),
        ("host.pem", "open.key", "", &["open.key", "every user", "chmod o= "]),
        ("host.pem", "other.key", "", &["other.key", "does not match", "host.pem"]),
        ("host.pem", "host.key", ", client_ca: host.key", &["host.key", "does not contain a certificate"]),
        ("host.pem", "host.key", ", ca: host.pem", &["`ca`", "certificate, key, client_ca"]),
        (
            "host.pem",
            "host.key",
            "}\nadmin_tls: { certificate: host.pem, key: host.key",
            &["`admin_tls`", "admin_listen"],
        ),
    ] {
        folder.configure(&format!("tls: {{ certificate: {certificate}, key: {key}{more} }}"));
        let refusal = folder.refusal();
        for word in words {
            assert!(refusal.contains(word), "no `{word}` in: {refusal}");
        }
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_reloaded() {
    let (former, next) = (Authority::new(), Authority::new());
    let folder = Folder::new("tls: { certificate: host.pem, key: host.key }");
    former.sign("127.0.0.1").write(&folder, "host");
    let host = folder.start_listening().await;
    assert_eq!(status(&client(former.client(None)), &host.url).await.unwrap(), 200);
    next.sign("127.0.0.1").write(&folder, "host");
    crate::host::eventually("the new certificate is shown", async || {
        status(&client(next.client(None)), &host.url).await.ok()
    })
    .await;
    status(&client(former.client(None)), &host.url).await.unwrap_err();
}

#[tokio::test]
async fn a_public_address_without_tls_is_a_warning() {
    let folder = Folder::new("");
    std::fs::write(folder.path("hookmill.yaml"), "listen: 0.0.0.0:0").unwrap();
    folder.start_listening().await.logs("has no TLS").await;
}

/// A thousand TLS connections take limited memory, and a sender is served beside them.
#[tokio::test]
async fn a_thousand_idle_connections() {
    const MANY: usize = 1000;
    let authority = Authority::new();
    let folder = Folder::new("limits: { head_timeout: 10m }\ntls: { certificate: host.pem, key: host.key }");
    authority.sign("127.0.0.1").write(&folder, "host");
    let host = folder.start_listening().await;
    let http = client(authority.client(None));
    assert_eq!(status(&http, &host.url).await.unwrap(), 200);
    let before = host.resident_bytes();
    let connector = TlsConnector::from(Arc::new(authority.client(None)));
    let mut idle = Vec::new();
    for _ in 0..MANY {
        let tcp = TcpStream::connect(host.url.strip_prefix("https://").unwrap()).await.unwrap();
        idle.push(connector.connect("127.0.0.1".try_into().unwrap(), tcp).await.unwrap());
    }
    let answer = tokio::time::timeout(Duration::from_secs(5), status(&http, &host.url)).await;
    assert_eq!(answer.unwrap().unwrap(), 200);
    let each = (host.resident_bytes() - before) / MANY as f64;
    eprintln!("a connection over TLS costs {each:.0} bytes");
    assert!(each < 96.0 * 1024.0, "{each}");
}
