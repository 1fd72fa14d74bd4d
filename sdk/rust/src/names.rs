//! Names of enum values: vendors' names for severities and states, and the names in `wit/plugin.wit`.

use crate::{Severity, State, Tlp};

impl Severity {
    /// Parses vendors' common names of the five severities, such as `info`, `Low` or `1 - WARNING`, ignoring case and
    /// numbers around the name. Returns none for other text.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim_matches(|sign: char| !sign.is_alphabetic());
        let severities: [(Self, &[&str]); 5] = [
            (Self::Informational, &["informational", "information", "info", "informative", "debug", "notice"]),
            (Self::Low, &["low", "minor"]),
            (Self::Medium, &["medium", "moderate", "warning", "warn"]),
            (Self::High, &["high", "error", "major", "severe"]),
            (Self::Critical, &["critical", "crit", "very high", "emergency", "emerg", "fatal"]),
        ];
        severities.iter().find(|(_, names)| is_one_of(name, names)).map(|(severity, _)| *severity)
    }

    /// Converts a number on a vendor's scale. Returns none if it is outside the scale.
    pub fn on_scale(scale: Scale, number: f64) -> Option<Self> {
        let (least, [low, medium, high, critical, greatest]) = match scale {
            Scale::One => (0.0, [0.2, 0.4, 0.6, 0.8, 1.0]),
            Scale::Five => (1.0, [2.0, 3.0, 4.0, 5.0, 5.0]),
            Scale::Ten => (0.0, [1.0, 4.0, 7.0, 9.0, 10.0]),
            Scale::Sixteen => (0.0, [4.0, 7.0, 12.0, 15.0, 16.0]),
            Scale::Hundred => (0.0, [20.0, 40.0, 60.0, 80.0, 100.0]),
            Scale::Steps(steps) => (0.0, steps),
        };
        let severities = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];
        let is_on_scale = (least..=greatest).contains(&number);
        let step = [low, medium, high, critical].iter().filter(|step| number >= **step).count();
        is_on_scale.then(|| severities[step])
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

/// A vendor's scale of severities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// 0 to 1: from 0.2 low, from 0.4 medium, from 0.6 high, from 0.8 critical.
    One,
    /// 1 to 5: informational to critical.
    Five,
    /// 0 to 10, like CVSS and GuardDuty: from 1 low, from 4 medium, from 7 high, from 9 critical.
    Ten,
    /// 0 to 16, like Wazuh: from 4 low, from 7 medium, from 12 high, from 15 critical.
    Sixteen,
    /// 0 to 100: from 20 low, from 40 medium, from 60 high, from 80 critical.
    Hundred,
    /// A scale from 0 of one vendor: the least number of low, medium, high and critical, and the greatest number.
    Steps([f64; 5]),
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
    /// Parses the names of the Traffic Light Protocol, such as `WHITE`, `clear` or `TLP:AMBER+STRICT`, ignoring case.
    /// Returns none for other text.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        let is_marked = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("tlp:"));
        let levels: [(Self, &[&str]); 5] = [
            (Self::Clear, &["clear", "white"]),
            (Self::Green, &["green"]),
            (Self::Amber, &["amber"]),
            (Self::AmberStrict, &["amber+strict"]),
            (Self::Red, &["red"]),
        ];
        let name = if is_marked { &name[4..] } else { name };
        levels.iter().find(|(_, names)| is_one_of(name, names)).map(|(level, _)| *level)
    }

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

/// Returns whether two names differ only in case and separators, as `Source IP`, `source_ip` and `sourceIp` do.
pub fn is_same_name(one: &str, other: &str) -> bool {
    letters(one).eq(letters(other))
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|sign| !sign.is_ascii_punctuation() && *sign != ' ').map(|sign| sign.to_ascii_lowercase())
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    let name = name.trim();
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_names_are_parsed_ignoring_case() {
        let severities = ["info", " Low ", "2 - WARNING", "major", "Fatal", "sev-1", ""].map(Severity::parse);
        let names = severities.map(|severity| severity.map(Severity::name));
        assert_eq!(
            names,
            [Some("informational"), Some("low"), Some("medium"), Some("high"), Some("critical"), None, None]
        );
    }

    #[test]
    fn numbers_are_converted_by_their_scale() {
        let cases = [
            (Scale::One, [0.19, 0.2, 0.4, 0.6, 1.0]),
            (Scale::Five, [1.0, 2.0, 3.0, 4.0, 5.0]),
            (Scale::Ten, [0.0, 3.9, 4.0, 8.9, 9.0]),
            (Scale::Sixteen, [3.0, 6.0, 11.0, 14.0, 16.0]),
            (Scale::Hundred, [19.0, 20.0, 59.0, 60.0, 80.0]),
            (Scale::Steps([1.0, 40.0, 70.0, 90.0, 100.0]), [0.0, 1.0, 69.0, 70.0, 100.0]),
        ];
        for (scale, numbers) in cases {
            let names = numbers.map(|number| Severity::on_scale(scale, number).map(Severity::name));
            let all = ["informational", "low", "medium", "high", "critical"].map(Some);
            assert_eq!(names, all, "{scale:?}");
        }
        for number in [-1.0, 101.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Severity::on_scale(Scale::Hundred, number), None, "{number}");
        }
    }

    #[test]
    fn levels_of_the_traffic_light_protocol_are_parsed() {
        let levels = ["WHITE", "tlp:green", "TLP:AMBER+STRICT", "amber strict", "tlp:"].map(Tlp::parse);
        assert_eq!(levels, [Some(Tlp::Clear), Some(Tlp::Green), Some(Tlp::AmberStrict), None, None]);
    }

    #[test]
    fn names_are_the_same_in_any_spelling() {
        for name in ["Source IP", "source_ip", "sourceIp", "source-ip"] {
            assert!(is_same_name(name, "sourceip"), "{name}");
        }
        assert!(!is_same_name("source_ip", "source_ips"));
    }

    #[test]
    fn only_open_and_resolved_states_are_parsed() {
        let states = ["New", "CLOSED", "reopened", "resolved", "inProgress", "active", ""].map(State::parse);
        let (open, resolved) = (Some(State::Open), Some(State::Resolved));
        assert_eq!(states, [open, resolved, open, resolved, None, None, None]);
    }
}
