//! The collector that gets the spans, over [OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp) in protobuf.
//!
//! The messages are those of `opentelemetry-proto`; the connection is the host's own, so that only the configuration
//! decides about proxy, certificates and headers.

use anyhow::{Context, Result, ensure};
use hookmill_connection::{
    Answer, Authentication, CertificateFile, Connection, ConnectionOptions, Failure, Request, require_http,
};
use hookmill_incident::Clock;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use std::path::PathBuf;
use std::time::Duration;

/// The path below the configured URL that takes traces.
const PATH: &str = "v1/traces";
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// The limit for one request, including its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The part of an answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The options of the connection to a collector.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorOptions {
    /// The URL without `/v1/traces`.
    pub url: Url,
    /// The authentication.
    pub authentication: Authentication,
    /// Certificate authorities that are trusted in addition to those of the system.
    pub ca: Option<PathBuf>,
}

/// The connection to the collector.
#[derive(Debug)]
pub(super) struct Collector {
    url: Url,
    authentication: Authentication,
    connection: Connection,
    clock: Clock,
    resource: ResourceAttributesWithSchema,
}

/// The failure of one request to the collector.
#[derive(Debug)]
pub(super) struct ExportError {
    /// The reason, for the log.
    pub text: String,
    /// Whether the same request may succeed later.
    pub is_temporary: bool,
    /// The wait that a busy collector asks for.
    pub asked_wait: Option<Duration>,
}

impl CollectorOptions {
    /// Checks the URL and reads the certificate file.
    ///
    /// # Errors
    /// Returns an error that names the option that cannot be used, and the remedy.
    pub fn connect(&self) -> Result<Connection> {
        require_http(&self.url, "otlp")?;
        let has_user = !self.url.username().is_empty() || self.url.password().is_some();
        ensure!(!has_user, "`otlp` contains a user name; use `auth`");
        // The configuration names this one server, which is usually in a private network.
        let allow_networks = vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        let ca = self.ca.clone().map(|path| CertificateFile { path, password: None });
        ConnectionOptions { allow_networks, ca, timeout: Some(TIMEOUT), ..ConnectionOptions::default() }.build()
    }
}

impl Collector {
    pub fn new(options: &CollectorOptions, clock: Clock) -> Result<Self> {
        let connection = options.connect().context("`traces`")?;
        let mut url = options.url.clone();
        url.set_path(&format!("{}/{PATH}", url.path().trim_end_matches('/')));
        let (authentication, resource) =
            (options.authentication.clone(), ResourceAttributesWithSchema::from(&resource()));
        Ok(Self { url, authentication, connection, clock, resource })
    }

    /// Returns the body of a request with these spans.
    pub fn body(&self, spans: Vec<SpanData>) -> Vec<u8> {
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    /// Sends a request. Returns the number of spans that the collector rejected.
    pub async fn send(&self, body: Vec<u8>) -> Result<u64, ExportError> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, PROTOBUF)]);
        let request = Request { method: Method::POST, url: self.url.clone(), headers, body };
        let now_ms = self.clock.now_ms();
        let sent = self.authentication.send(&self.connection, request, now_ms).await;
        let response = sent.map_err(|failure| ExportError::new(&failure, true))?;
        let secrets = self.authentication.secrets();
        let (answer, document) = Answer::read_document(response, &secrets, ANSWER_BYTES_MAX, now_ms).await;
        if !answer.status.is_success() {
            return Err(ExportError::new(&answer.failure(), is_temporary(answer.status)));
        }
        let partial = ExportTraceServiceResponse::decode(&*document).ok().and_then(|answer| answer.partial_success);
        Ok(partial.map_or(0, |partial| partial.rejected_spans.max(0).unsigned_abs()))
    }
}

impl ExportError {
    fn new(failure: &Failure, is_temporary: bool) -> Self {
        Self { text: failure.to_string(), is_temporary, asked_wait: failure.asked_wait }
    }
}

/// Returns the attributes of this program that every span has.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder_empty().with_service_name("hookmill").with_attribute(version).build()
}

/// Returns whether a collector that answers with this status asks for the same request again.
fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}
