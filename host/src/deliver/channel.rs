//! The channels to destinations.

use super::email::Email;
use super::file::LineFile;
use super::http::Http;
use super::outgoing::OutgoingMessage;
use super::send_context::SendContext;
use super::send_result::SendResult;
use hookmill_connection::{Code, Failure};
use reqwest::header::HeaderName;
use std::path::PathBuf;

/// The channel to a destination.
#[derive(Debug)]
pub enum Channel {
    /// Requests over HTTP.
    Http(Http),
    /// Mails over SMTP.
    Email(Email),
    /// Lines in a file.
    File(LineFile),
}

impl Channel {
    /// Returns the files that the channel was created from.
    pub(super) fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::Http(http) => http.files().collect(),
            Self::Email(email) => email.files().iter().collect(),
            Self::File(_) => Vec::new(),
        }
    }

    /// Returns the headers that only the channel sets.
    pub(super) fn own_headers(&self) -> Vec<HeaderName> {
        match self {
            Self::Http(http) => http.own_headers(),
            Self::Email(_) | Self::File(_) => Vec::new(),
        }
    }

    /// Returns whether requests name the trace that they belong to.
    pub fn sends_traceparent(&self) -> bool {
        matches!(self, Self::Http(http) if http.sends_traceparent)
    }

    /// Sends the message of a delivery.
    pub(super) async fn send(&self, message: OutgoingMessage, context: SendContext<'_>) -> SendResult {
        let request = |text: String| Failure::new(Code::Request, text);
        match (message, self) {
            (OutgoingMessage::Nothing(reason), _) => SendResult::Skipped(reason),
            (OutgoingMessage::NotNow(error), _) => SendResult::Failed(request(format!("{error:#}"))),
            (OutgoingMessage::Never(error), _) => SendResult::Impossible(request(format!("{error:#}"))),
            (OutgoingMessage::Request(outgoing), Self::Http(http)) => http.send(outgoing, context).await,
            // Boxed: the future is large, and every attempt would reserve room for it.
            (OutgoingMessage::Alert(alert), Self::Http(http)) => Box::pin(alert.send(http, context)).await,
            (OutgoingMessage::Mail(mail), Self::Email(email)) => email.send(mail).await,
            (OutgoingMessage::Line(line), Self::File(file)) => file.append(line).await,
            _ => SendResult::Impossible(request("this type of destination does not send such messages".to_owned())),
        }
    }
}
