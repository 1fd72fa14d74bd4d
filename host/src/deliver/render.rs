//! Requests that are sent, and those that a destination's notifier makes of a change.

use super::destination::{Channel, Destination};
use crate::loaded::Loaded;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_connection::is_reserved;
use hookmill_sandbox::{HttpRequest, Kind, LogLine, Notification, Plugin, forward_log};
use hookmill_store::{DueDelivery, Message};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Serialize;
use std::time::Duration;

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const URL_BYTES_MAX: usize = 4096;
const HEADERS_MAX: usize = 50;
/// Bytes of all headers, names and values.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// A request that was checked.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What one call of a notifier came to.
#[derive(Debug)]
pub struct RenderCall {
    /// The request, none to send nothing, or why it could not.
    pub result: Result<Option<Rendered>>,
    /// What it wrote.
    pub log: Vec<LogLine>,
    /// How long it took.
    pub duration: Duration,
    /// The most memory that it had.
    pub memory_bytes: usize,
}

/// A request as it is shown in a dry run.
#[derive(Debug, Serialize)]
pub struct ShownRequest {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Rendered {
    /// As it is shown in a dry run.
    pub fn shown(&self) -> ShownRequest {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        ShownRequest {
            method: self.method.to_string(),
            url: self.url.to_string(),
            headers: self.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8_lossy(&self.body).into_owned(),
        }
    }
}

/// What a notifier makes of a change; `None` when it has nothing to send.
pub(super) async fn rendered(
    destination: &Destination,
    delivery: &DueDelivery,
    url: &Url,
    notifier: &str,
    loaded: &Loaded,
) -> Result<Option<Rendered>> {
    let Ok(Message::Change(entry)) = &delivery.message else { bail!("notifiers render changes of incidents") };
    let own_headers = match &destination.channel {
        Channel::Http(http) => http.own_headers(),
        Channel::Email(_) | Channel::File(_) => Vec::new(),
    };
    let plugin = loaded.find(notifier, Kind::Notifier).map_err(|reason| anyhow!("its notifier: {reason}"))?;
    let text = serde_json::to_string(entry)?;
    let notification = Notification::new(delivery.id, destination.name.clone(), text)?;
    let call = render(&plugin, &notification, url, &own_headers).await;
    forward_log(&entry.request_id, notifier, &call.log);
    call.result
}

/// Calls a notifier and checks what it wants sent to a destination at this URL, which sets these headers itself.
pub async fn render(plugin: &Plugin, notification: &Notification, url: &Url, own: &[HeaderName]) -> RenderCall {
    let call = plugin.render(notification).await;
    let result = match call.result {
        Ok(Ok(None)) => Ok(None),
        Ok(Ok(Some(request))) => checked(request, url, own).map(Some),
        Ok(Err(text)) => Err(anyhow!("{text}")),
        Err(error) => Err(anyhow!("{error}")),
    };
    let result = result.with_context(|| format!("notifier {} {}", plugin.version.name, plugin.version.version));
    RenderCall { result, log: call.log, duration: call.duration, memory_bytes: call.memory_bytes }
}

fn checked(request: HttpRequest, url: &Url, own: &[HeaderName]) -> Result<Rendered> {
    let method = METHODS.into_iter().find(|method| method.as_str() == request.method);
    let method =
        method.with_context(|| format!("method `{}` is none of GET, POST, PUT, PATCH, DELETE", request.method))?;
    let url = match request.url {
        None => url.clone(),
        Some(text) => {
            ensure!(text.len() <= URL_BYTES_MAX, "its URL has {} bytes; at most {URL_BYTES_MAX}", text.len());
            // A URL may hold a secret and is not shown.
            let link = url.join(&text).map_err(|error| anyhow!("its URL cannot be read: {error}"))?;
            // A plugin is not to choose who learns what: where the host connects, its operator says.
            ensure!(link.origin() == url.origin(), "its URL has another scheme, host or port than the destination's");
            // It would be another `authorization`.
            ensure!(link.username().is_empty() && link.password().is_none(), "its URL has a user name in it");
            link
        }
    };
    let count = request.headers.len();
    ensure!(count <= HEADERS_MAX, "it has {count} headers; at most {HEADERS_MAX}");
    let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    ensure!(bytes <= HEADERS_BYTES_MAX, "its headers have {bytes} bytes; at most {HEADERS_BYTES_MAX}");
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers {
        let name: HeaderName =
            name.parse().map_err(|_| anyhow!("header `{}` has no valid name", name.escape_debug()))?;
        ensure!(!is_reserved(&name) && !own.contains(&name), "header `{name}` is not a notifier's to set");
        let value = value.parse().map_err(|_| anyhow!("header `{name}` has no valid value"))?;
        headers.append(name, value);
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Ok(Rendered { method, url, headers, body: request.body })
}
