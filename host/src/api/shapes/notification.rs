//! Notifications.

use crate::deliver::{DestinationType, ShownRequest};
use hookmill_notify::Trigger;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A notification of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownNotification {
    /// The notification's name.
    pub name: String,
    /// The notification's trigger.
    pub trigger: Trigger,
    /// The destination of each step.
    pub to: Vec<String>,
}

/// The messages that a notification would send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NotificationDryRun<Step> {
    /// The notification's name.
    pub name: String,
    /// The notification's trigger.
    pub trigger: Trigger,
    /// Whether the filter of the notification matches.
    pub matches: bool,
    /// The message of each step.
    pub steps: Vec<Step>,
}

/// The message of one step of a notification. One of the optional fields has the message, or the reason why there is
/// none.
#[derive(Clone, Debug, Deserialize)]
pub struct DryRunStep {
    /// The name of the destination.
    pub to: String,
    /// The destination's type.
    #[serde(rename = "type")]
    pub kind: DestinationType,
    /// The HTTP request.
    pub request: Option<ShownRequest>,
    /// The mail.
    pub mail: Option<DryRunMail>,
    /// The line of a file.
    pub line: Option<String>,
    /// The alert of a TheHive.
    pub alert: Option<Map<String, Value>>,
    /// The reason why nothing would be sent.
    pub skipped: Option<String>,
    /// The reason why the message cannot be made.
    pub error: Option<String>,
    /// The result of sending the message, if the dry run sent messages.
    pub sent: Option<DryRunAttempt>,
}

/// A mail.
#[derive(Clone, Debug, Deserialize)]
pub struct DryRunMail {
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// The result of sending the message of a dry run.
#[derive(Clone, Debug, Deserialize)]
pub struct DryRunAttempt {
    /// The duration of sending.
    pub duration_ms: i64,
    /// The HTTP status of the answer.
    pub http_status: Option<u16>,
    /// The kind of failure.
    pub code: Option<String>,
    /// The failure, or the reason why nothing was sent, in words.
    pub error: Option<String>,
}
