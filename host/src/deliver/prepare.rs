//! Prepares the message of a delivery.

use super::content::Content;
use super::destination::Destination;
use super::notifier::render_change;
use super::outgoing::OutgoingMessage;
use crate::loaded::Loaded;
use hookmill_store::DueDelivery;

/// Creates the message of a delivery from its templates or with its notifier.
pub(super) async fn prepare(
    content: &Content,
    destination: &Destination,
    delivery: &DueDelivery,
    loaded: &Loaded,
    public_url: &str,
) -> OutgoingMessage {
    if let Some((url, notifier)) = content.notifier() {
        // Boxed: the future of a plugin call is large, and every attempt would reserve room for it.
        return match Box::pin(render_change(destination, delivery, url, notifier, loaded)).await {
            Ok(Some(request)) => OutgoingMessage::Request(request),
            Ok(None) => OutgoingMessage::Nothing("the notifier sends nothing for this entry".into()),
            Err(error) => OutgoingMessage::NotNow(error),
        };
    }
    content.fill(delivery, public_url).unwrap_or_else(OutgoingMessage::Never)
}
