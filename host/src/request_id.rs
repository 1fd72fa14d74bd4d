//! The id of each request: `x-request-id` of the answer, and `request_id` of log lines and audit entries.

use crate::host::Host;
use crate::http_error::Cause;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use uuid::Uuid;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the current request. The event of a payload has the same id.
#[derive(Clone, Copy, Debug)]
pub struct RequestId(pub Uuid);

/// Gives every request its id, and logs the cause of internal errors.
pub async fn identify(State(host): State<Arc<Host>>, mut request: Request, next: Next) -> Response {
    let id = host.store.new_id();
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    if let Some(Cause(cause)) = response.extensions().get() {
        // A failing store fails every request.
        if host.edge.logged_errors.check().is_ok() {
            tracing::error!(request_id = %id, "a request failed: {cause:#}");
        } else {
            tracing::debug!(request_id = %id, "a request failed: {cause:#}");
        }
    }
    let mut text = Uuid::encode_buffer();
    if let Ok(value) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}
