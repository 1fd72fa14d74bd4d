//! The types of destinations, and the values of their configuration.

use hookmill_incident::words;

words!(
    /// The type of a destination.
    DestinationType {
        /// Audit entries as JSON over HTTP.
        Webhook = "webhook",
        /// Any HTTP request.
        Http = "http",
        Slack = "slack", Mattermost = "mattermost",
        /// Microsoft Teams, through a Workflows URL.
        Teams = "teams",
        /// SMTP.
        Email = "email",
        /// Alerts in TheHive.
        Thehive = "thehive",
        /// Lines of JSON in a file.
        File = "file",
    }
);

impl DestinationType {
    /// Returns whether the destination is a chat.
    pub fn is_chat(self) -> bool {
        matches!(self, Self::Slack | Self::Mattermost | Self::Teams)
    }
}

/// A chat system.
#[derive(Clone, Copy, Debug)]
pub enum Chat {
    /// Slack.
    Slack,
    /// Mattermost.
    Mattermost,
    /// Microsoft Teams.
    Teams,
}

words!(
    /// The order of deliveries to one destination.
    Ordering {
        /// Changes of one incident are delivered in order.
        Incident = "incident",
        /// Deliveries are independent.
        None = "none",
    }
);

words!(
    /// The form of a message that has no template.
    Format {
        /// An audit entry in the format of TheHive's webhooks.
        Thehive = "thehive",
        /// `type`, `timestamp` and `data`, as proposed by Standard Webhooks.
        StandardWebhooks = "standard-webhooks",
        /// A Detection Finding of the Open Cybersecurity Schema Framework.
        Ocsf = "ocsf",
    }
);
