//! Mails, their recipients, and which of these have got a mail already.

use super::send_result::SendResult;
use anyhow::Result;
use hookmill_connection::{Code, Failure};
use hookmill_incident::id::{row_key, row_key_ms};
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::{Address, Message};
use serde::{Deserialize, Serialize};
use std::time::{Duration, UNIX_EPOCH};
use uuid::Uuid;

/// Asks other programs not to answer ([RFC 3834](https://www.rfc-editor.org/rfc/rfc3834)).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// Sender and recipients of mails.
#[derive(Clone, Debug)]
pub struct MailAddresses {
    /// The sender.
    pub from: Mailbox,
    /// The recipients.
    pub to: Vec<Mailbox>,
}

/// A mail that is ready to be sent.
#[derive(Debug)]
pub struct Mail {
    /// The id of the delivery.
    pub(super) id: Uuid,
    pub(super) message: Message,
    shown: ShownMail,
}

/// A mail as shown in a dry run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownMail {
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// The recipients of one mail that need no further attempt.
#[derive(Debug, Default)]
pub(super) struct MailProgress {
    pub delivered: Vec<Address>,
    /// Those that the server refuses for good, with the reasons.
    pub refused: Vec<(Address, String)>,
}

impl MailAddresses {
    /// Creates a mail. Its `Message-ID` contains the delivery's id, so that a repeated mail can be recognized, and its date is
    /// that of the delivery.
    ///
    /// # Errors
    /// Returns an error if the mail cannot be composed.
    pub(super) fn mail(&self, id: Uuid, subject: &str, text: String) -> Result<Mail> {
        let domain = self.from.email.domain();
        let created_ms = row_key_ms(row_key(id));
        let mut mail = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .date(UNIX_EPOCH + Duration::from_millis(created_ms.try_into().unwrap_or(0)))
            .message_id(Some(format!("<{id}@{domain}>")))
            .header(MIME_VERSION_1_0)
            .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let shown = ShownMail {
            from: self.from.to_string(),
            to: self.to.iter().map(ToString::to_string).collect(),
            subject: subject.to_owned(),
            text: text.clone(),
        };
        Ok(Mail { id, message: mail.body(text)?, shown })
    }
}

impl Mail {
    /// Returns the mail as shown in a dry run.
    pub fn shown(&self) -> &ShownMail {
        &self.shown
    }
}

impl MailProgress {
    /// Returns whether a recipient needs no further attempt.
    pub fn is_done(&self, to: &Address) -> bool {
        self.delivered.contains(to) || self.refused.iter().any(|(known, _)| known == to)
    }

    /// Returns the result of an attempt after which the recipients in `waiting` have not got the mail yet.
    pub fn result(&self, waiting: &[String]) -> SendResult {
        let texts = || waiting.iter().chain(self.refused.iter().map(|(_, text)| text)).cloned().collect::<Vec<_>>();
        match (waiting.is_empty(), self.refused.is_empty()) {
            (true, true) => SendResult::Arrived(None),
            (true, false) => SendResult::Partial(None, format!("not to all recipients: {}", texts().join("; "))),
            (false, _) => SendResult::Unfinished(Failure::new(
                Code::Status,
                format!("{} of the recipients have the mail; others: {}", self.delivered.len(), texts().join("; ")),
            )),
        }
    }
}
