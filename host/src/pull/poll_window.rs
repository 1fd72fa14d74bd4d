//! The times that one poll asks for.

use super::position::PollPosition;
use std::time::Duration;

/// The rules for the times that a poll asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollWindow {
    /// The time by which a poll overlaps the one before.
    pub overlap: Duration,
    /// The longest time that one poll asks for. A longer one is read by several polls.
    pub longest: Option<Duration>,
    /// The time for which the server keeps items. It is not asked for earlier ones.
    pub history: Option<Duration>,
}

/// The times of one poll, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PollTimes {
    pub since: i64,
    pub until: i64,
    /// The beginning of the time before `since` of which the server does not have the items any more.
    pub lost_since: Option<i64>,
}

impl PollWindow {
    /// Returns the times of the poll after a position.
    pub(super) fn times(&self, position: &PollPosition, now: i64) -> PollTimes {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        // The clock may have been set back since the last poll.
        let last = position.at_ms.min(now);
        let oldest = self.history.map_or(0, |history| now.saturating_sub(ms(history)).max(0));
        let since = last.saturating_sub(ms(self.overlap)).max(oldest);
        let until = self.longest.map_or(now, |longest| since.saturating_add(ms(longest)).min(now));
        // A source that begins with everything, or goes on where the server says, misses nothing.
        let is_by_time = last > 0 && position.cursor.is_none();
        PollTimes { since, until, lost_since: Some(last).filter(|last| is_by_time && *last < oldest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 60 * 60 * 1000;

    /// After an outage, the windows follow each other up to the present.
    #[test]
    fn windows_leave_no_gap() {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        let window = PollWindow { overlap: hours(1) / 6, longest: Some(hours(1)), history: Some(hours(8)) };
        let now = 100 * HOUR_MS;
        let times = |at_ms| window.times(&PollPosition { at_ms, cursor: None }, now);
        let (mut at, mut windows) = (now - 5 * HOUR_MS, 0);
        loop {
            let PollTimes { since, until, lost_since } = times(at);
            assert!(since < at && until > at && until - since <= HOUR_MS && lost_since.is_none());
            (at, windows) = (until, windows + 1);
            if until == now {
                break;
            }
        }
        assert_eq!(windows, 6);
        let (oldest, first) = (now - 8 * HOUR_MS, now - 7 * HOUR_MS);
        assert_eq!(times(0), PollTimes { since: oldest, until: first, lost_since: None });
        let lost = now - 9 * HOUR_MS;
        assert_eq!(times(lost), PollTimes { since: oldest, until: first, lost_since: Some(lost) });
        let kept = PollPosition { at_ms: lost, cursor: Some("c".into()) };
        assert_eq!(window.times(&kept, now).lost_since, None);
        assert_eq!(times(now + HOUR_MS), PollTimes { since: now - HOUR_MS / 6, until: now, lost_since: None });
    }
}
