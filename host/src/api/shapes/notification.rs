//! Notifications.

use crate::deliver::DryRunStep;
use hookmill_notify::Trigger;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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

/// The body of a dry run of a notification.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotificationDryRunRequest {
    /// The id or the number of an incident, whose newest change is the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The id of an event, for triggers about events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Uuid>,
    /// Sends the messages, if true.
    pub send: bool,
}

/// The messages that a notification would send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NotificationDryRun {
    /// The notification's name.
    pub name: String,
    /// The notification's trigger.
    pub trigger: Trigger,
    /// Whether the filter of the notification matches.
    pub matches: bool,
    /// The message of each step.
    pub steps: Vec<DryRunStep>,
}
