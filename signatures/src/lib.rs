//! Signature schemes of webhooks: verifies the sender of a request, and signs requests as a sender does.
//!
//! A [`Declaration`] names a scheme and the keys that differ from its preset. [`Scheme::declare`] joins it with the
//! [`Secret`]s of one source. [`Scheme::verify`] turns a [`Request`] into a [`Verification`] or a [`VerifyError`];
//! [`Scheme::sign`] returns the headers, token and body that the sender would send. [`StandardWebhooks`] signs with
//! several secrets together.
//!
//! Vendors with an HMAC are rows of one table (`presets.rs`). The crate opens no connection and no file and reads no
//! clock: a request carries its time, and [`VerifyError::CertificateMissing`] and [`VerifyError::KeysMissing`] ask the
//! caller to fetch a certificate or keys.
//!
//! ```
//! use hookmill_signatures::{Declaration, Request, Scheme, Secret};
//!
//! let secret = Secret::new("It's a Secret to Everybody".into());
//! let scheme = Scheme::declare(&Declaration::preset("github"), &[secret])?;
//! let signed = scheme.sign(b"Hello, World!", 0, "id-1")?;
//! let request = Request { headers: &signed.headers, body: &signed.body, token: None, now_ms: 0, fetched: None };
//! assert!(scheme.verify(&request).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aws_url;
mod body_secret;
mod byte_order_mark;
mod declaration;
mod graph;
mod headers;
mod hmac_format;
mod hmac_key;
mod hmac_scheme;
mod json_member;
mod jws;
mod jwt;
mod key_set;
mod presets;
mod pubsub;
mod request;
mod request_signature;
mod revealed;
mod scheme;
mod secret;
mod shared_secret;
pub mod signature_items;
mod signature_or_token;
mod sns;
mod standard_webhooks;
mod template;
pub mod timestamp;

pub use aws_url::AwsUrl;
pub use byte_order_mark::without_byte_order_mark;
pub use declaration::{Declaration, DeclarationError, OneOrMany};
pub use key_set::{KeySet, KeySetError};
pub use presets::{has_secret_in_url, has_secret_of_vendor, scheme_names};
pub use request::{Fetched, Identity, Payload, Request, SignError, SignatureError, Signed, Verification, VerifyError};
pub use request_signature::{RequestSignature, UnsignedRequest};
pub use scheme::Scheme;
pub use secret::Secret;
pub use sns::{Subscription, is_certificate};
pub use standard_webhooks::StandardWebhooks;
