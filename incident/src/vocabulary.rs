//! The words that describe an incident.

use crate::words;

words!(
    /// The severity of an incident, from the least to the most severe.
    Severity { Informational = "informational", Low = "low", Medium = "medium", High = "high", Critical = "critical" }
);
words!(
    /// The state of the work on an incident.
    Status {
        New = "new", Triaged = "triaged", InProgress = "in_progress", Escalated = "escalated", Resolved = "resolved",
        FalsePositive = "false_positive", Closed = "closed",
    }
);
words!(
    /// The Traffic Light Protocol 2.0: with whom an incident may be shared, from the least to the most restricted.
    Tlp { Clear = "clear", Green = "green", Amber = "amber", AmberStrict = "amber-strict", Red = "red" }
);
