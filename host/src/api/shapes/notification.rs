//! Notifications.

use hookmill_notify::Trigger;
use serde::{Deserialize, Serialize};

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
