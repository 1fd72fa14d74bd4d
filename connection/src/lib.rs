//! Connections to other servers: the receivers of deliveries and the servers that sources are read from.
//!
//! A [`Connection`] is an HTTP client with the limits of one destination or source: the addresses that it may reach
//! ([`AddressGuard`]), its proxy, the authorities that it trusts ([`CertificateFile`]) and its timeouts. A request is
//! authenticated and sent by [`Authentication`]. Its result is an [`Answer`] or a [`Failure`], both of which are safe to show to
//! operators: without secrets, without control characters.
//!
//! A connection is neither changed nor shared between destinations: a changed configuration builds a new one. So a
//! connection that is kept open never outlives the rules that it was opened under.
//!
//! This crate must not know about the configuration file, stored data or Hookmill's own API. It does not retry; it only
//! provides [`with_jitter`] for the code that does.
//!
//! ```no_run
//! # async fn example(now_ms: i64) -> Result<(), Box<dyn std::error::Error>> {
//! use hookmill_connection::{Answer, Authentication, ConnectionOptions, Request};
//! use reqwest::Method;
//! use reqwest::header::HeaderMap;
//!
//! let connection = ConnectionOptions::default().build()?;
//! let authentication = Authentication::bearer("a secret token")?;
//! let url = "https://soc.example/hook".parse()?;
//! let request = Request { method: Method::POST, url, headers: HeaderMap::new(), body: b"{}".to_vec() };
//! match authentication.send(&connection, request, now_ms).await {
//!     Ok(response) => println!("{}", Answer::read(response, &authentication.secrets(), now_ms).await.status),
//!     Err(failure) => println!("{failure}"),
//! }
//! # Ok(())
//! # }
//! ```

mod address_guard;
mod answer;
mod authentication;
mod certificates;
mod client;
mod client_key;
mod client_tls;
mod failure;
mod header_names;
mod jitter;
mod login;
mod oauth2;
mod retry_after;
mod secrets;
mod token;
mod token_cache;

pub use address_guard::{AddressError, AddressGuard};
pub use answer::{Answer, read_body, sanitize};
pub use authentication::Authentication;
pub use certificates::{CertificateFile, ClientCertificate, read_authorities};
pub use client::{Connection, ConnectionOptions, Request, guarded_client, require_http};
pub use client_key::ClientKey;
pub use client_tls::{SystemTls, client_tls};
pub use failure::{Code, Failure};
pub use header_names::{header_name, is_reserved};
pub use jitter::{JITTER, with_jitter};
pub use login::{Login, LoginProof};
pub use oauth2::{ClientProof, OAuth2};
pub use retry_after::RETRY_AFTER_MAX;
pub use secrets::Secrets;
