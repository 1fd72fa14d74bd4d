//! The words of the contract for an incident.

use crate::words;

words!(
    /// How bad it is.
    Severity { Informational = "informational", Low = "low", Medium = "medium", High = "high", Critical = "critical" }
);
words!(
    /// Where the work on an incident stands.
    Status {
        New = "new", Triaged = "triaged", InProgress = "in_progress", Escalated = "escalated", Resolved = "resolved",
        FalsePositive = "false_positive", Closed = "closed",
    }
);
words!(
    /// With whom it may be shared (Traffic Light Protocol 2.0), from least to most restricted.
    Tlp { Clear = "clear", Green = "green", Amber = "amber", AmberStrict = "amber-strict", Red = "red" }
);
