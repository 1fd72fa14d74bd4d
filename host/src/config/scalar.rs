//! The single values of the configuration that have a type of their own: names, sizes and durations.

use hookmill_incident::name::check_name;
use hookmill_sandbox::MEMORY_BYTES_MAX;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

pub(super) const MIB: usize = 1024 * 1024;
const MIB_MAX: u32 = 4096;
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The name of a source, plugin or destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_name(text).map(|()| Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// A number of MiB.
#[derive(Clone, Copy, Hash)]
pub(super) struct Mib(NonZeroU32);

impl Mib {
    pub fn bytes(self) -> usize {
        self.0.get() as usize * MIB
    }
}

impl FromStr for Mib {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<NonZeroU32>() {
            Ok(mib) if mib.get() <= MIB_MAX => Ok(Self(mib)),
            _ => Err(format!("`{text}` is not a whole number of MiB from 1 to {MIB_MAX}")),
        }
    }
}

/// The memory of one plugin instance, in MiB.
#[derive(Clone, Copy)]
pub(super) struct MemoryMib(Mib);

impl MemoryMib {
    pub fn bytes(self) -> usize {
        self.0.bytes()
    }
}

impl FromStr for MemoryMib {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Mib>() {
            Ok(mib) if mib.bytes() <= MEMORY_BYTES_MAX => Ok(Self(mib)),
            _ => Err(format!("`{text}` is not a whole number of MiB from 1 to {}", MEMORY_BYTES_MAX / MIB)),
        }
    }
}

/// The number of events that one plugin instance may take: `fresh` (one) or `reuse(N)`.
#[derive(Clone, Copy)]
pub(super) struct EventsPerInstance(NonZeroU32);

impl EventsPerInstance {
    pub fn get(self) -> NonZeroU32 {
        self.0
    }
}

impl FromStr for EventsPerInstance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = match text {
            "fresh" => Some(NonZeroU32::MIN),
            text => text.strip_prefix("reuse(").and_then(|rest| rest.strip_suffix(')')?.trim().parse().ok()),
        };
        count.map(Self).ok_or_else(|| format!("`{text}` is not `fresh` or `reuse(N)`, such as reuse(1000)"))
    }
}

/// A share from 0 to 1.
#[derive(Clone, Copy)]
pub(super) struct Share(f64);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or_else(|| format!("`{text}` is not a number from 0 to 1, such as 0.1"))
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// A duration: `30s`, `5m`, `2h`, `7d`.
#[derive(Clone, Copy, Hash)]
pub(super) struct Period(Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is not a duration; write `30s`, `5m`, `2h` or `7d`");
        let span: jiff::Span = text.parse().map_err(|_| problem())?;
        let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| problem())?;
        Duration::try_from(length).map(Self).map_err(|_| problem())
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

/// An age from which rows are removed: a duration, which may be in years of 365 days, or `never`.
#[derive(Clone, Copy)]
pub(super) struct Age(Option<Duration>);

impl Age {
    /// Returns the age; `None` for `never`.
    pub fn get(self) -> Option<Duration> {
        self.0
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        let years = text.strip_suffix('y').and_then(|years| years.parse::<u32>().ok());
        let age = match years {
            Some(years) => Some(YEAR.saturating_mul(years)),
            None => text.parse::<Period>().ok().map(Duration::from),
        };
        age.map(|age| Self(Some(age)))
            .ok_or_else(|| format!("`{text}` is not an age; write `never`, or a duration such as `12h`, `90d` or `2y`"))
    }
}
