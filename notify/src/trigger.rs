//! Triggers: the occasions on which a notification is sent.

use crate::fields::{Field, FieldType};
use crate::message_fields;
use anyhow::Result;
use hookmill_incident::words;

words!(
    /// The occasion on which a notification is sent.
    Trigger {
        IncidentCreated = "incident_created", IncidentUpdated = "incident_updated",
        IncidentResolved = "incident_resolved", SeverityRaised = "severity_raised",
        ObservableAdded = "observable_added",
        /// Every change of an incident, its deletion too.
        Any = "any",
        EventReceived = "event_received", EventQuarantined = "event_quarantined",
        DestinationDisabled = "destination_disabled", PluginRefused = "plugin_refused", SourceSilent = "source_silent",
        BackupFailed = "backup_failed",
        StorageLow = "storage_low",
    }
);

impl Trigger {
    /// Returns the path of the source in the trigger's messages, if they are about an incident or an event.
    pub(crate) fn source_field(self) -> Option<[&'static str; 2]> {
        match self {
            _ if self.is_about_incidents() => Some(["object", "source"]),
            _ if self.is_about_events() => Some(["event", "source"]),
            _ => None,
        }
    }

    /// Returns the type of the trigger's messages.
    pub(crate) fn message_type(self) -> FieldType {
        FieldType::Object(match self {
            Self::IncidentCreated
            | Self::IncidentUpdated
            | Self::IncidentResolved
            | Self::SeverityRaised
            | Self::ObservableAdded
            | Self::Any => message_fields::CHANGE,
            Self::EventReceived => message_fields::EVENT_RECEIVED,
            Self::EventQuarantined => message_fields::EVENT_QUARANTINED,
            Self::DestinationDisabled => message_fields::DESTINATION_DISABLED,
            Self::PluginRefused => message_fields::PLUGIN_REFUSED,
            Self::SourceSilent => message_fields::SOURCE_SILENT,
            Self::BackupFailed => message_fields::BACKUP_FAILED,
            Self::StorageLow => message_fields::STORAGE_LOW,
        })
    }

    /// Returns whether the trigger's messages are about an event.
    pub fn is_about_events(self) -> bool {
        matches!(self, Self::EventReceived | Self::EventQuarantined)
    }

    /// Returns whether the trigger's messages are about a change of an incident.
    pub fn is_about_incidents(self) -> bool {
        matches!(
            self,
            Self::IncidentCreated
                | Self::IncidentUpdated
                | Self::IncidentResolved
                | Self::SeverityRaised
                | Self::ObservableAdded
                | Self::Any
        )
    }

    /// Returns the field at a dotted path in the trigger's messages.
    ///
    /// # Errors
    /// Returns an error if no message of this trigger can have the field; it names the nearest field that exists.
    pub(crate) fn field(self, path: &str) -> Result<Field> {
        self.message_type().field(path)
    }
}
