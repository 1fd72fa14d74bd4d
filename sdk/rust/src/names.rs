//! Names of enum values: vendors' names for severities and states, and the names in `wit/plugin.wit`.

use crate::{Severity, State, Tlp};

impl Severity {
    /// Parses vendors' common names of the five severities, such as `info`, `Low` or `WARNING`, ignoring case. Returns
    /// none for other text.
    pub fn parse(name: &str) -> Option<Self> {
        let severities: [(Self, &[&str]); 5] = [
            (Self::Informational, &["informational", "information", "info", "debug", "notice"]),
            (Self::Low, &["low", "minor"]),
            (Self::Medium, &["medium", "moderate", "warning", "warn"]),
            (Self::High, &["high", "error", "major", "severe"]),
            (Self::Critical, &["critical", "crit", "emergency", "fatal"]),
        ];
        severities.iter().find(|(_, names)| is_one_of(name, names)).map(|(severity, _)| *severity)
    }

    /// Returns the name in `wit/plugin.wit`: `informational`, `low`, `medium`, `high` or `critical`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl State {
    /// Parses vendors' common names of open and resolved states, ignoring case. Returns none for other text, including
    /// names of work in progress such as `acknowledged`.
    pub fn parse(name: &str) -> Option<Self> {
        if is_one_of(name, &["open", "opened", "new", "reopened"]) {
            return Some(Self::Open);
        }
        let resolved = ["resolved", "closed", "fixed", "dismissed", "false_positive", "falsepositive"];
        is_one_of(name, &resolved).then_some(Self::Resolved)
    }

    /// Returns the name in `wit/plugin.wit`: `open` or `resolved`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}

impl Tlp {
    /// Returns the name in `wit/plugin.wit`: `clear`, `green`, `amber`, `amber-strict` or `red`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Green => "green",
            Self::Amber => "amber",
            Self::AmberStrict => "amber-strict",
            Self::Red => "red",
        }
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_names_are_parsed_ignoring_case() {
        let severities = ["info", " Low ", "WARNING", "major", "Fatal", "sev-1", ""].map(Severity::parse);
        let names = severities.map(|severity| severity.map(Severity::name));
        assert_eq!(
            names,
            [Some("informational"), Some("low"), Some("medium"), Some("high"), Some("critical"), None, None]
        );
    }

    #[test]
    fn only_open_and_resolved_states_are_parsed() {
        let states = ["New", "CLOSED", "reopened", "resolved", "inProgress", "active", ""].map(State::parse);
        let (open, resolved) = (Some(State::Open), Some(State::Resolved));
        assert_eq!(states, [open, resolved, open, resolved, None, None, None]);
    }
}
