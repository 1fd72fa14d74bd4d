//! The way of an event through the stages, for people who look for a cause. No decision depends on it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The maximum number of bytes of plugins' logs that are kept with one event.
const LOG_BYTES_MAX: usize = 8 * 1024;

/// The way of an event through the stages. It is stored with the event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journey {
    /// The time that receiving the body took, in microseconds; `None` for an event that the host read itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_us: Option<u64>,
    /// The time that verifying the sender and unpacking the body took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_us: Option<u64>,
    /// The way in which the sender was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<SenderVerification>,
    /// When the event was mapped again, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapped_again_at: Option<i64>,
    /// The calls of mappers, in the order of the versions that were tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<MapperRun>,
    /// The lines that the mappers logged. They may quote the payload, and are removed with it.
    #[serde(skip)]
    pub log: KeptLog,
}

/// The way in which the sender of a payload was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderVerification {
    /// The name of the scheme.
    pub scheme: Cow<'static, str>,
    /// The secret that the sender used; `None` for a scheme without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<UsedSecret>,
}

/// The secret that a sender used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedSecret {
    /// The index among the secrets of the source.
    pub index: usize,
    /// Whether another secret replaces it, so that it is valid for a limited time.
    pub is_replaced: bool,
}

/// One call of a mapper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapperRun {
    /// The version that the plugin states.
    pub version: String,
    /// The duration of the call in microseconds.
    pub us: u64,
    /// The peak memory of the instance, in bytes.
    pub memory: usize,
    /// The code of the failure, if the call failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The lines that mappers logged for one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLog {
    /// The lines, as far as they fit.
    pub lines: Vec<KeptLine>,
    /// The number of further lines.
    pub dropped: usize,
}

/// One line of a plugin's log: the index of the call, the level and the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLine(pub usize, pub String, pub String);

impl Journey {
    /// Adds a call of a mapper, with the lines that it logged as pairs of level and text.
    pub fn add_run<'l>(&mut self, run: MapperRun, lines: impl IntoIterator<Item = (&'l str, &'l str)>) {
        let index = self.runs.len();
        self.runs.push(run);
        let mut bytes: usize = self.log.lines.iter().map(|KeptLine(_, _, text)| text.len()).sum();
        for (level, text) in lines {
            bytes += text.len();
            if self.log.dropped > 0 || bytes > LOG_BYTES_MAX {
                self.log.dropped += 1;
            } else {
                self.log.lines.push(KeptLine(index, level.to_owned(), text.to_owned()));
            }
        }
    }

    /// Returns the way of the same event that is mapped again at a time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn again(self, at: i64) -> Self {
        Self { mapped_again_at: Some(at), runs: Vec::new(), log: KeptLog::default(), ..self }
    }
}

impl KeptLog {
    /// Returns whether no mapper logged anything.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

/// Returns a duration in microseconds.
pub fn microseconds(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_and_what_is_left_out_is_counted() {
        let mut journey = Journey::default();
        let run = || MapperRun { version: "1.0".into(), us: 5, memory: 65536, code: None };
        let long = "x".repeat(LOG_BYTES_MAX - 1);
        journey.add_run(run(), [("info", "a")]);
        journey.add_run(run(), [("warn", long.as_str()), ("info", "b"), ("info", "c")]);
        let kept: Vec<(usize, &str)> =
            journey.log.lines.iter().map(|KeptLine(run, level, _)| (*run, level.as_str())).collect();
        assert_eq!((kept, journey.log.dropped), (vec![(0, "info"), (1, "warn")], 2));
        let again = journey.clone().again(7);
        assert!(again.runs.is_empty() && again.log.is_empty() && again.mapped_again_at == Some(7));
        let text = serde_json::to_string(&journey).unwrap();
        assert_eq!(
            text,
            r#"{"runs":[{"version":"1.0","us":5,"memory":65536},{"version":"1.0","us":5,"memory":65536}]}"#
        );
        assert_eq!(serde_json::from_str::<Journey>(&text).unwrap().runs, journey.runs);
    }
}
