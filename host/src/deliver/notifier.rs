//! Calls notifiers and checks the requests that they return.

use super::destination::Destination;
use super::request::OutgoingRequest;
use crate::loaded::Loaded;
use anyhow::{Context, Result, anyhow, bail, ensure};
use hookmill_connection::is_reserved;
use hookmill_sandbox::{Call, HttpRequest, Kind, Notification, Plugin, forward_log};
use hookmill_store::{DueDelivery, Message};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const URL_BYTES_MAX: usize = 4096;
const HEADERS_MAX: usize = 50;
/// Bytes of all headers, names and values.
const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// Renders a change with a notifier; `None` if there is nothing to send.
pub(super) async fn render_change(
    destination: &Destination,
    delivery: &DueDelivery,
    url: &Url,
    notifier: &str,
    loaded: &Loaded,
) -> Result<Option<OutgoingRequest>> {
    let Ok(Message::Change(entry)) = &delivery.message else { bail!("notifiers render changes of incidents") };
    let own_headers = destination.channel.own_headers();
    let plugin = loaded.find(notifier, Kind::Notifier).map_err(|reason| anyhow!("notifier: {reason}"))?;
    let text = serde_json::to_string(entry)?;
    let notification = Notification::new(delivery.id, destination.name.clone(), text)?;
    let call = render(&plugin, &notification, url, &own_headers).await;
    forward_log(&entry.request_id, notifier, &call.log);
    call.result
}

/// Calls a notifier and checks its request for a destination at this URL, which sets the `own` headers itself. Without a
/// request there is nothing to send.
pub async fn render(
    plugin: &Plugin,
    notification: &Notification,
    url: &Url,
    own: &[HeaderName],
) -> Call<Result<Option<OutgoingRequest>>> {
    plugin.render(notification).await.map(|returned| {
        let request = match returned {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(request))) => checked(request, url, own).map(Some),
            Ok(Err(text)) => Err(anyhow!("{text}")),
            Err(error) => Err(anyhow!("{error}")),
        };
        request.with_context(|| format!("notifier {} {}", plugin.version.name, plugin.version.version))
    })
}

fn checked(request: HttpRequest, url: &Url, own: &[HeaderName]) -> Result<OutgoingRequest> {
    let method = METHODS.into_iter().find(|method| method.as_str() == request.method);
    let method = method
        .with_context(|| format!("unknown method `{}`; expected GET, POST, PUT, PATCH or DELETE", request.method))?;
    let url = match request.url {
        None => url.clone(),
        Some(text) => {
            ensure!(
                text.len() <= URL_BYTES_MAX,
                "the URL has {} bytes; at most {URL_BYTES_MAX} are allowed",
                text.len()
            );
            // A URL may hold a secret and is not shown.
            let link = url.join(&text).map_err(|error| anyhow!("the URL cannot be parsed: {error}"))?;
            // Only the configuration decides which hosts Hookmill connects to, never a plugin.
            ensure!(link.origin() == url.origin(), "the URL has another scheme, host or port than the destination");
            // A user name would replace the `authorization` header.
            ensure!(link.username().is_empty() && link.password().is_none(), "the URL contains a user name");
            link
        }
    };
    let count = request.headers.len();
    ensure!(count <= HEADERS_MAX, "the request has {count} headers; at most {HEADERS_MAX} are allowed");
    let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    ensure!(bytes <= HEADERS_BYTES_MAX, "the headers have {bytes} bytes; at most {HEADERS_BYTES_MAX} are allowed");
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers {
        let name: HeaderName = name.parse().map_err(|_| anyhow!("invalid name of header `{}`", name.escape_debug()))?;
        ensure!(!is_reserved(&name) && !own.contains(&name), "a notifier cannot set the header `{name}`");
        let value = value.parse().map_err(|_| anyhow!("invalid value of header `{name}`"))?;
        headers.append(name, value);
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Ok(OutgoingRequest { method, url, headers, body: request.body })
}
