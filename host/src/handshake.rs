//! Handshakes: requests with which vendors check that the endpoint has the secret or accepts their events.
//!
//! The host answers a handshake and stores no event. A handshake with a signature is answered after the signature was
//! verified. The handshakes of Microsoft Graph, Okta and CloudEvents have no signature, and their answers reveal nothing.

use crate::aws::Aws;
use crate::source::Source;
use crate::verify::Verified;
use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookmill_signatures::{self as signatures, Subscription, without_byte_order_mark};
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use tracing::{info, warn};

/// Amazon did not confirm a subscription; it sends the request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subscription could not be confirmed; try again")]
pub struct NotConfirmed;

/// The sender whose subscriptions are validated by an event.
const EVENT_GRID: &str = "eventgrid.azure.net";
const EVENT_GRID_TYPE: &str = "aeg-event-type";
const REQUEST_ORIGIN: &str = "webhook-request-origin";
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");
/// Larger payloads are not handshakes and are not parsed.
const BYTES_MAX: usize = 16 * 1024;
const OKTA_CHALLENGE: &str = "x-okta-verification-challenge";
const GRAPH_TOKEN: &str = "validationToken";

#[derive(Deserialize)]
struct SlackVerification<'b> {
    #[serde(borrow)]
    r#type: Cow<'b, str>,
    #[serde(borrow)]
    challenge: Cow<'b, str>,
}

#[derive(Deserialize)]
struct ZoomValidation<'b> {
    #[serde(borrow)]
    event: Cow<'b, str>,
    #[serde(borrow)]
    payload: ZoomPayload<'b>,
}

#[derive(Deserialize)]
struct ZoomPayload<'b> {
    #[serde(borrow, rename = "plainToken")]
    plain_token: Cow<'b, str>,
}

/// Returns the answer to a verified payload, if the payload is a handshake.
///
/// # Errors
/// Returns an error if a subscription cannot be confirmed.
pub async fn answer(verified: &Verified, aws: &Aws) -> Result<Option<Response>, NotConfirmed> {
    let (source, body) = (verified.source(), verified.body());
    if body.len() > BYTES_MAX {
        return Ok(None);
    }
    match source.settings.scheme.name() {
        "slack" => Ok(slack(body)),
        "zoom" => Ok(zoom(verified)),
        "aws-sns" => match source.settings.scheme.subscription(body) {
            Some(subscription) => sns(&source.name, subscription, aws).await.map(Some),
            None => Ok(None),
        },
        _ if source.settings.scheme.permits_origin(EVENT_GRID) => Ok(event_grid(verified)),
        _ => Ok(None),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventGridValidation<'b> {
    #[serde(borrow)]
    event_type: Cow<'b, str>,
    #[serde(borrow)]
    data: EventGridValidationData<'b>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventGridValidationData<'b> {
    #[serde(borrow)]
    validation_code: Cow<'b, str>,
}

/// Returns the answer to the event with which Event Grid validates a subscription. The event names a URL as well, which
/// the host never requests.
fn event_grid(verified: &Verified) -> Option<Response> {
    let headers = &verified.event().headers;
    let is_validation =
        headers.iter().any(|(name, value)| name == EVENT_GRID_TYPE && value == "SubscriptionValidation");
    let events: Vec<EventGridValidation> = is_validation.then(|| parsed(verified.body())).flatten()?;
    let [event] = &events[..] else { return None };
    let code = &event.data.validation_code;
    (event.event_type == "Microsoft.EventGrid.SubscriptionValidationEvent")
        .then(|| Json(json!({"validationResponse": code})).into_response())
}

fn slack(body: &[u8]) -> Option<Response> {
    let request: SlackVerification = parsed(body)?;
    (request.r#type == "url_verification").then(|| plain_text(request.challenge.into_owned()))
}

fn zoom(verified: &Verified) -> Option<Response> {
    let request: ZoomValidation = parsed(verified.body())?;
    if request.event != "endpoint.url_validation" {
        return None;
    }
    let plain = request.payload.plain_token;
    let encrypted = verified.source().settings.scheme.hmac(verified.secret(), plain.as_bytes())?;
    Some(Json(json!({"plainToken": plain, "encryptedToken": encrypted})).into_response())
}

fn parsed<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Option<T> {
    serde_json::from_slice(without_byte_order_mark(body)).ok()
}

/// Confirms a subscription if the source allows that.
async fn sns(source: &str, subscription: Subscription, aws: &Aws) -> Result<Response, NotConfirmed> {
    let Subscription { topic, url, allowed } = subscription;
    let message = match url {
        _ if !allowed => format!(
            "{topic} requests confirmation of its subscription, and the scheme of this source does not allow that; \
             set `confirm: true` in the scheme, or confirm the subscription in AWS"
        ),
        None => format!("{topic} requests confirmation at a URL that is not a host of Amazon SNS"),
        Some(url) => match aws.confirm(&url).await {
            Ok(()) => format!("the subscription to {topic} is confirmed"),
            Err(error) => {
                warn!(source, "cannot confirm the subscription to {topic}: {error:#}");
                return Err(NotConfirmed);
            }
        },
    };
    info!(source, "{message}");
    Ok((StatusCode::ACCEPTED, Json(json!({"status": "ignored", "message": message}))).into_response())
}

/// Returns the answer to Microsoft Graph's `POST …?validationToken=`, which has neither signature nor body.
pub fn graph(source: &Source, query: Option<&str>) -> Option<Response> {
    let query = query.filter(|_| source.settings.scheme.name() == "microsoft-graph")?;
    let (_, token) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == GRAPH_TOKEN)?;
    Some(plain_text(token.into_owned()))
}

/// Returns the answer to Okta's `GET` with a challenge in a header.
pub fn okta(source: &Source, headers: &HeaderMap) -> Option<Response> {
    let challenge = headers.get(OKTA_CHALLENGE).filter(|_| source.settings.scheme.name() == "okta")?;
    Some(Json(json!({"verification": challenge.to_str().ok()?})).into_response())
}

/// Returns the answer to the `OPTIONS` with which a sender of CloudEvents asks for permission to post. The sender is one
/// of the scheme's `origins`, and in a scheme whose secret is in the URL the URL has the secret. A URL in
/// `WebHook-Request-Callback` is not requested.
pub fn cloud_events(source: &Source, request: &signatures::Request) -> Option<Response> {
    let scheme = &source.settings.scheme;
    let origin = request.headers.get(REQUEST_ORIGIN)?;
    let is_permitted = scheme.permits_origin(origin.to_str().ok()?);
    let has_token = match request.token {
        Some(_) => scheme.verify(request).is_ok(),
        None => !scheme.needs_url_token(),
    };
    let per_minute = source.settings.rate_limit.requests_per_second().map(|requests| u64::from(requests.get()) * 60);
    let rate = per_minute.map_or_else(|| "*".to_owned(), |rate| rate.to_string());
    let headers = [(header::ALLOW, HeaderValue::from_static("POST")), (ALLOWED_ORIGIN, origin.clone())];
    (is_permitted && has_token).then(|| (headers, [(ALLOWED_RATE, rate)]).into_response())
}

/// Returns a text of the sender to the sender, in a form that no browser interprets as anything but text.
fn plain_text(text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, text).into_response()
}
