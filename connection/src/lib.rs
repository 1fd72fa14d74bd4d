//! Connections to other servers: the receivers of deliveries and the servers that sources are read from.
//!
//! A [`Connection`] is an HTTP client with the limits of one destination or source: the addresses that it may reach
//! ([`AddressGuard`]), its proxy, the authorities that it trusts ([`CertificateFile`]) and its timeouts. A request is
//! authenticated by [`Authentication`]. Its result is an [`Answer`] or a [`Failure`], both of which are safe to show to
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
//! use hookmill_connection::{Answer, Authentication, ConnectionOptions};
//! use reqwest::{Method, header::HeaderMap};
//!
//! let connection = ConnectionOptions::default().build()?;
//! let authentication = Authentication::bearer("a secret token")?;
//! let mut headers = HeaderMap::new();
//! authentication.apply(&mut headers);
//! match connection.send(Method::POST, "https://soc.example/hook".parse()?, headers, b"{}".to_vec()).await {
//!     Ok(response) => println!("{}", Answer::read(response, &authentication, now_ms).await.status),
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
mod failure;
mod jitter;
mod retry_after;

pub use address_guard::{AddressError, AddressGuard};
pub use answer::{Answer, read_body, sanitize};
pub use authentication::{Authentication, header_name, is_reserved};
pub use certificates::{CertificateFile, ClientCertificate, read_authorities};
pub use client::{Connection, ConnectionOptions, guarded_client, require_http};
pub use failure::{Code, Failure};
pub use jitter::{JITTER, with_jitter};
pub use retry_after::RETRY_AFTER_MAX;
