//! The memory of what one TheHive does not know, so that not every alert is refused first.

use hookmill_notify::bodies::TheHiveGaps;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time after which an alert is sent unchanged again, because types and techniques can be added to a TheHive.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);
/// The maximum number of names that are remembered.
const NAMES_MAX: usize = 1_000;

/// The parts of alerts that one TheHive refused.
#[derive(Debug, Default)]
pub struct TheHiveMemory(Mutex<Option<(Instant, TheHiveGaps)>>);

impl TheHiveMemory {
    /// Returns what is remembered.
    pub(super) fn gaps(&self) -> TheHiveGaps {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|(since, _)| since.elapsed() > REMEMBERED_FOR) {
            *known = None;
        }
        known.as_ref().map(|(_, gaps)| gaps.clone()).unwrap_or_default()
    }

    /// Remembers gaps with which TheHive accepted an alert.
    pub(super) fn remember(&self, gaps: &TheHiveGaps) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *gaps == TheHiveGaps::default() || gaps.data_types.len() + gaps.techniques.len() > NAMES_MAX {
            return;
        }
        let (_, known) = known.get_or_insert_with(|| (Instant::now(), TheHiveGaps::default()));
        known.data_types.extend(gaps.data_types.iter().cloned());
        known.techniques.extend(gaps.techniques.iter().cloned());
    }
}
