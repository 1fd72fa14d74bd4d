//! The HTTP client of one destination or source, made from its options.

use crate::certificates::read_identity;
use crate::failure::RequestContext;
use crate::{AddressGuard, CertificateFile, ClientCertificate, Failure, SystemTls, read_authorities};
use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Method, Proxy, Response, StatusCode, Url, tls};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The default limit for one attempt.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The default limit for connecting, or half of the limit for the attempt if that is shorter: a server that cannot be
/// reached is reported differently from one that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of headers of an answer. The client's own limit is a hundred; an answer with more would be a
/// failure.
const HEADERS_MAX: usize = 1_000;
const USER_AGENT_VALUE: HeaderValue = HeaderValue::from_static(concat!("Hookmill/", env!("CARGO_PKG_VERSION")));

/// The options of a [`Connection`].
#[derive(Default)]
pub struct ConnectionOptions {
    /// Networks that are not globally routable and may be reached nevertheless.
    pub allow_networks: Vec<IpNet>,
    /// The URL of the proxy, with its user name and password.
    pub proxy: Option<Url>,
    /// The authorities of the system. Connections with this value in common read them once.
    pub system_tls: SystemTls,
    /// Certificate authorities that are trusted in addition to those of the system.
    pub ca: Option<CertificateFile>,
    /// The certificate for servers that request a client certificate.
    pub client: Option<ClientCertificate>,
    /// The limit for connecting; shorter than `timeout`.
    pub connect_timeout: Option<Duration>,
    /// The limit for one attempt, including its answer.
    pub timeout: Option<Duration>,
    /// Whether answers are endless streams. The client then sets no limit itself: the reader of the stream applies
    /// [`Connection::timeout`] to the start of the answer and to each pause in it.
    pub is_stream: bool,
}

/// A request, before its authentication.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, which may be empty.
    pub body: Vec<u8>,
}

/// Shows neither headers nor body, which may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// An HTTP client with its address guard and its limits.
#[derive(Debug)]
pub struct Connection {
    guard: Arc<AddressGuard>,
    client: Client,
    is_proxied: bool,
    connect_timeout: Duration,
    timeout: Duration,
    is_stream: bool,
    files: Vec<PathBuf>,
}

impl ConnectionOptions {
    /// Reads the certificate files and builds the client. Nothing is connected to yet.
    ///
    /// # Errors
    /// Returns an error that names the option that cannot be used, and the remedy.
    pub fn build(self) -> Result<Connection> {
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        let connect_timeout = self.connect_timeout.unwrap_or(CONNECT_TIMEOUT.min(timeout / 2));
        ensure!(
            connect_timeout < timeout,
            "`connect_timeout` has to be shorter than `timeout`, which includes the answer; lower `connect_timeout` or \
             raise `timeout`"
        );
        let guard = Arc::new(AddressGuard::new(self.allow_networks));
        let mut builder = guarded(&guard).connect_timeout(connect_timeout);
        let is_proxied = self.proxy.is_some();
        if let Some(url) = self.proxy {
            require_http(&url, "proxy")?;
            guard.check_literal(&url).context("`proxy`")?;
            builder = builder.proxy(Proxy::all(url).context("`proxy` cannot be used")?);
        }
        if self.ca.is_none() && self.client.is_none() {
            builder = builder.tls_backend_preconfigured(self.system_tls.of_client()?);
        }
        let mut files = Vec::new();
        if let Some(ca) = self.ca {
            let found = read_authorities(&ca).context("`ca`")?;
            let found = found.iter().map(|certificate| Certificate::from_der(certificate));
            builder = builder.tls_certs_merge(found.collect::<Result<Vec<_>, _>>().context("`ca`")?);
            files.push(ca.path);
        }
        if let Some(client) = self.client {
            builder = builder.identity(read_identity(&client).context("`client_certificate`")?);
            files.extend([client.certificate.path].into_iter().chain(client.key));
        }
        let client = builder.build().context("cannot set up an HTTP client")?;
        Ok(Connection { guard, client, is_proxied, connect_timeout, timeout, is_stream: self.is_stream, files })
    }
}

impl Connection {
    /// Returns the certificate files that the client was built from.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns the limit for one attempt.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request and returns the answer, with any status.
    ///
    /// # Errors
    /// Returns an error if the guard refuses the host of the URL, or no answer arrives.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        self.send_until(request, Instant::now() + self.timeout).await
    }

    /// Sends a request of an attempt with several requests, which all end at the same time.
    pub(crate) async fn send_until(&self, request: Request, end: Instant) -> Result<Response, Failure> {
        let Request { method, url, mut headers, body } = request;
        // The client resolves names only: without this check, a URL whose host is an address would pass the guard.
        self.guard.check_literal(&url)?;
        let is_tls = url.scheme() == "https";
        headers.entry(USER_AGENT).or_insert(USER_AGENT_VALUE);
        // The client leaves this out, and some servers refuse such a request with 411.
        if method == Method::POST && body.is_empty() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let request = self.client.request(method, url).headers(headers).body(body);
        let left = end.saturating_duration_since(Instant::now());
        let request = if self.is_stream { request } else { request.timeout(left) };
        let response = request.send().await.map_err(|error| self.failure(&error, is_tls))?;
        if self.is_proxied && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(Failure::proxy_authorization());
        }
        Ok(response)
    }

    /// Converts an error of the client, such as one from reading an answer. `is_tls` is whether the URL is `https:`.
    pub fn failure(&self, error: &reqwest::Error, is_tls: bool) -> Failure {
        let (connect_timeout, timeout) = (self.connect_timeout, self.timeout);
        Failure::from_client(error, RequestContext { is_proxied: self.is_proxied, is_tls, connect_timeout, timeout })
    }
}

/// Builds a client that reaches only the addresses that its guard permits, without redirects and without a proxy. The
/// caller checks URLs whose host is an address with [`AddressGuard::check_literal`].
///
/// # Errors
/// Returns an error if TLS cannot be set up.
pub fn guarded_client(guard: &Arc<AddressGuard>, timeout: Duration) -> Result<Client> {
    guarded(guard).timeout(timeout).build().context("cannot set up an HTTP client")
}

/// Returns a builder without redirects, and without the proxies of the environment. Headers that are not valid are passed
/// over: a receiver that accepted a delivery has it, whatever its answer looks like.
fn guarded(guard: &Arc<AddressGuard>) -> ClientBuilder {
    // The provider is installed once in the process; a later call returns an error, which does not matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().redirect(Policy::none()).no_proxy().dns_resolver(guard.clone());
    let builder = builder
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_max_headers(HEADERS_MAX);
    builder.tls_version_min(tls::Version::TLS_1_2)
}

/// Checks that a URL is `http:` or `https:`. `key` is its name in the configuration.
///
/// # Errors
/// Returns an error if the URL has another scheme.
pub fn require_http(url: &Url, key: &str) -> Result<()> {
    let scheme = url.scheme();
    ensure!(matches!(scheme, "http" | "https"), "`{key}` begins with `{scheme}:`; expected http: or https:");
    Ok(())
}
