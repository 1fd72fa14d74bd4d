//! The web console: files that the build embedded, and headers that keep a page to these files and to the API.
//!
//! The console is a client of the API, and nothing here knows what it shows.

use crate::host::Host;
use crate::http_error::HttpError;
use crate::near_miss;
use crate::negotiation::accepts;
use crate::request_id::RequestId;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use axum::{Extension, Router, middleware};
use flate2::read::GzDecoder;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

/// The path of the console.
pub const PATH: &str = "/console/";
/// The names of the files with their content, compressed with gzip. Empty if the console was not built.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console_files.rs"));
/// The page that shows every screen.
const PAGE: &str = "index.html";
/// The folder of files whose names contain a hash of their content.
const HASHED: &str = "assets/";
const NOT_BUILT: &str = include_str!("console/not_built.html");

/// The headers of every answer. A script that got into a page could not run, and could send nothing to another host.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; \
             img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; \
             require-trusted-types-for 'script'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Returns the routes of the console, and `/`, from where browsers are sent to it.
pub fn routes() -> Router<Arc<Host>> {
    Router::new()
        .route("/", any(root))
        .route("/console", get(async || Redirect::permanent(PATH)))
        .route(PATH, get(page))
        .route("/console/{*path}", get(file))
        .layer(middleware::map_response(async |response: Response| (HEADERS, response)))
}

async fn root(
    State(host): State<Arc<Host>>,
    id: Extension<RequestId>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Response {
    let accepts_html = accepts(request.headers(), &header::ACCEPT, "text/html");
    match accepts_html && matches!(*request.method(), Method::GET | Method::HEAD) {
        true => Redirect::temporary(PATH).into_response(),
        false => near_miss::unknown_path(State(host), id, connection, request).await,
    }
}

async fn page(headers: HeaderMap) -> Response {
    let Some((_, content)) = find(PAGE) else { return Html(NOT_BUILT).into_response() };
    // The names of its files change with each version.
    answer(PAGE, content, "no-cache", &headers)
}

/// Answers with a file. All other paths are those of screens, which the page shows.
async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match find(&path) {
        Some((name, content)) if name.starts_with(HASHED) => {
            answer(name, content, "public, max-age=31536000, immutable", &headers)
        }
        Some((name, content)) => answer(name, content, "no-cache", &headers),
        None if path.starts_with(HASHED) => HttpError::NotFound("such file".into()).into_response(),
        None => page(headers).await,
    }
}

fn find(name: &str) -> Option<(&'static str, &'static [u8])> {
    FILES.iter().find(|(known, _)| *known == name).copied()
}

fn answer(name: &str, content: &'static [u8], cache: &'static str, headers: &HeaderMap) -> Response {
    let fixed =
        [(header::CONTENT_TYPE, content_type(name)), (header::CACHE_CONTROL, cache), (header::VARY, "accept-encoding")];
    if accepts(headers, &header::ACCEPT_ENCODING, "gzip") {
        return (fixed, [(header::CONTENT_ENCODING, "gzip")], content).into_response();
    }
    let mut whole = Vec::new();
    match GzDecoder::new(content).read_to_end(&mut whole) {
        Ok(_) => (fixed, whole).into_response(),
        Err(error) => HttpError::Internal(error.into()).into_response(),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
