//! Messages that are ready to be sent.

use super::mail::Mail;
use super::request::OutgoingRequest;
use super::thehive::Alert;
use anyhow::Error;

/// A message that is ready to be sent, or the reason why there is none.
#[derive(Debug)]
pub(super) enum OutgoingMessage {
    Request(OutgoingRequest),
    Mail(Mail),
    Alert(Alert),
    Line(Vec<u8>),
    /// There is nothing to send, for this reason.
    Nothing(String),
    /// The message cannot be created now; another attempt may succeed.
    NotNow(Error),
    /// The message cannot be created, now or later.
    Never(Error),
}
