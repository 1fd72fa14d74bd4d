//! Compression of answers in JSON, for clients that accept gzip.
//!
//! Only whole answers are compressed: a stream has no size before its end, and each of its events must arrive at once. The API
//! has neither ETags nor ranges, which would be those of other bytes. An attacker who could have texts of their own compressed
//! together with a secret might learn the secret from the sizes; requests from other sites have no session.

use crate::http_error::HttpError;
use crate::negotiation::accepts;
use anyhow::{Context, Result};
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use tokio::task::spawn_blocking;

/// A smaller answer is one packet in any case.
const BYTES_MIN: u64 = 1024;
/// A larger answer takes so long that other tasks of the thread would wait.
const BYTES_AT_ONCE: usize = 64 * 1024;

/// Compresses the answer of a request, if the client accepts that.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    let is_accepted = accepts(request.headers(), &ACCEPT_ENCODING, "gzip");
    let mut response = next.run(request).await;
    if !is_whole_json(&response) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    if !is_accepted || response.body().size_hint().lower() < BYTES_MIN {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    match gzip(body).await {
        Ok(bytes) => {
            parts.headers.remove(CONTENT_LENGTH);
            parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Response::from_parts(parts, bytes.into())
        }
        Err(error) => HttpError::Internal(error).into_response(),
    }
}

fn is_whole_json(response: &Response) -> bool {
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
    is_json && response.body().size_hint().exact().is_some()
}

async fn gzip(body: Body) -> Result<Vec<u8>> {
    let bytes = to_bytes(body, usize::MAX).await?;
    match bytes.len() {
        0..=BYTES_AT_ONCE => encode(&bytes),
        _ => spawn_blocking(move || encode(&bytes)).await?,
    }
}

fn encode(bytes: &Bytes) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).context("cannot compress an answer")
}
