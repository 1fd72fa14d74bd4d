//! Extractors for handlers. Their errors have the same shape as all other errors.

use crate::bodies::{BodyOrigin, ReadBody};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Extension;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use hookmill_sandbox::FILE_BYTES_MAX;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The largest body of an API request.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The parameters in the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// The parameters in the query.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The address that sent the request, if it is known.
#[derive(Debug)]
pub struct Sender(pub Option<IpAddr>);

/// The body of an API request, which keeps its share of the memory until it is dropped.
#[derive(Debug)]
pub struct Bytes(pub ReadBody);

/// The body of an API request that contains a plugin's file, which keeps its share of the memory until it is dropped.
#[derive(Debug)]
pub struct PluginFileBody(pub ReadBody);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(HttpError::InvalidRequest(format!("the path: {}", rejection.body_text()))),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(HttpError::InvalidRequest(format!("the query: {}", rejection.body_text()))),
        }
    }
}

impl FromRequestParts<Arc<Host>> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, host: &Arc<Host>) -> Result<Self, Infallible> {
        let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>().copied();
        Ok(Self(host.edge.trusted_proxies.sender(connection.map(Extension), &parts.headers)))
    }
}

impl FromRequest<Arc<Host>> for Bytes {
    type Rejection = HttpError;

    async fn from_request(request: Request, host: &Arc<Host>) -> Result<Self, HttpError> {
        read(request, host, BODY_BYTES_MAX).await.map(Self)
    }
}

impl FromRequest<Arc<Host>> for PluginFileBody {
    type Rejection = HttpError;

    async fn from_request(request: Request, host: &Arc<Host>) -> Result<Self, HttpError> {
        read(request, host, FILE_BYTES_MAX as usize).await.map(Self)
    }
}

async fn read(request: Request, host: &Host, bytes_max: usize) -> Result<ReadBody, HttpError> {
    let (parts, body): (Parts, Body) = request.into_parts();
    Ok(host.edge.api_bodies.read(BodyOrigin::default(), &parts.headers, body, bytes_max).await?)
}
