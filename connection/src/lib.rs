//! How the host connects to others: the addresses it may be at, a proxy, who is believed, how long it may take.
//!
//! A client is never shared and never changed: a changed configuration makes a new one, so that no connection that is kept
//! open outlives the rules that it was opened by.

mod address_guard;
mod answer;
mod authentication;
mod certificates;
mod failure;

pub use address_guard::{AddressGuard, NameUnknown, RefusedAddress};
pub use answer::{Answer, sanitize};
pub use authentication::{Authentication, header_name, is_reserved};
pub use certificates::{CertificateFile, ClientCertificate, authorities};
pub use failure::{Code, Failure, tls_failure};

use anyhow::{Context, Result, ensure};
use certificates::identity;
use failure::Way;
use ipnet::IpNet;
use reqwest::header::{HeaderMap, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Method, Proxy, Response, StatusCode, Url, tls};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Waits are with_jitter at random by up to this share, so that what failed together does not come back together.
const JITTER: f64 = 0.1;
/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long connecting may take, at most half of the whole time: what failed is to be told from what did not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is configured of connections.
#[derive(Default)]
pub struct ConnectionOptions {
    /// Networks that are not globally routable and may be reached all the same.
    pub allow_networks: Vec<IpNet>,
    /// The proxy, with its user name and password.
    pub proxy: Option<Url>,
    /// Authorities that are believed beside those of the system.
    pub ca: Option<CertificateFile>,
    /// What is shown to receivers that ask for a certificate.
    pub client: Option<ClientCertificate>,
    /// How long connecting may take.
    pub connect_timeout: Option<Duration>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Whether answers have no end, and the time is for their beginning and their silences, which whoever reads them
    /// looks after.
    pub is_stream: bool,
}

/// A client and what it may do.
#[derive(Debug)]
pub struct Connection {
    guard: Arc<AddressGuard>,
    client: Client,
    is_proxied: bool,
    connect_timeout: Duration,
    timeout: Duration,
    files: Vec<PathBuf>,
}

impl ConnectionOptions {
    /// Reads the files and sets the client up.
    ///
    /// # Errors
    /// Which key cannot be used, and what to do.
    pub fn connect(self) -> Result<Connection> {
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        let connect_timeout = self.connect_timeout.unwrap_or(CONNECT_TIMEOUT.min(timeout / 2));
        ensure!(
            connect_timeout < timeout,
            "`connect_timeout` has to be shorter than `timeout`, which is for the answer too; lower it or raise that"
        );
        let guard = Arc::new(AddressGuard::new(self.allow_networks));
        let builder = guarded(&guard).connect_timeout(connect_timeout);
        let mut builder = if self.is_stream { builder } else { builder.timeout(timeout) };
        let is_proxied = self.proxy.is_some();
        if let Some(url) = self.proxy {
            require_http(&url, "proxy")?;
            guard.check_literal(&url).context("`proxy`")?;
            builder = builder.proxy(Proxy::all(url).context("`proxy` cannot be used")?);
        }
        let mut files = Vec::new();
        if let Some(ca) = self.ca {
            let found = authorities(&ca).context("`ca`")?;
            let found = found.iter().map(|certificate| Certificate::from_der(certificate));
            builder = builder.tls_certs_merge(found.collect::<Result<Vec<_>, _>>().context("`ca`")?);
            files.push(ca.path);
        }
        if let Some(client) = self.client {
            builder = builder.identity(identity(&client).context("`client_certificate`")?);
            files.extend([client.certificate.path].into_iter().chain(client.key));
        }
        let client = builder.build().context("cannot set up an HTTP client")?;
        Ok(Connection { guard, client, is_proxied, connect_timeout, timeout, files })
    }
}

impl Connection {
    /// The files that it was made of.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The answer to a request, whatever it is, where the URL's host may be reached.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, Failure> {
        // The client has checked nothing of a URL whose host is an address.
        self.guard.check_literal(&url)?;
        let is_tls = url.scheme() == "https";
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("Hookmill/", env!("CARGO_PKG_VERSION"))));
        let request = self.client.request(method, url).headers(headers).body(body);
        let response = request.send().await.map_err(|error| self.failure(&error, is_tls))?;
        if self.is_proxied && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(Failure::proxy_authorization());
        }
        Ok(response)
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Why a request did not get its answer.
    pub fn failure(&self, error: &reqwest::Error, is_tls: bool) -> Failure {
        let (connect_timeout, timeout) = (self.connect_timeout, self.timeout);
        Failure::of(error, Way { is_proxied: self.is_proxied, is_tls, connect_timeout, timeout })
    }
}

/// A client that goes where its guard lets it and nowhere else: no redirect, no proxy.
///
/// # Errors
/// When there is no way to set it up.
pub fn guarded_client(guard: &Arc<AddressGuard>, timeout: Duration) -> Result<Client> {
    guarded(guard).timeout(timeout).build().context("cannot set up an HTTP client")
}

/// No redirect, and no proxy but those that are set later: none of the environment's.
fn guarded(guard: &Arc<AddressGuard>) -> ClientBuilder {
    // The provider is the process's; whoever comes second finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().redirect(Policy::none()).no_proxy().dns_resolver(guard.clone());
    builder.tls_version_min(tls::Version::TLS_1_2)
}

/// # Errors
/// When the URL of a key is no HTTP URL.
pub fn require_http(url: &Url, key: &str) -> Result<()> {
    let scheme = url.scheme();
    ensure!(matches!(scheme, "http" | "https"), "`{key}` begins with `{scheme}:`; http: and https: are taken");
    Ok(())
}

/// A wait, with jitter.
pub fn with_jitter(wait: Duration) -> Duration {
    let share = getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX));
    wait.mul_f64(1.0 + JITTER * share)
}
