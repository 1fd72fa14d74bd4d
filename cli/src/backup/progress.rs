//! The progress of long work, on a terminal.

use hookmill_host::backup::{Pace, Progress};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(100);

/// Returns a pace that shows the progress on standard error, if that is a terminal and the output is for people.
pub(super) fn pace(bytes_per_second: Option<u64>, is_json: bool) -> Pace<'static> {
    let mut line = Line { is_shown: !is_json && std::io::stderr().is_terminal(), shown: None };
    Pace::new(bytes_per_second, Default::default(), move |progress| line.show(progress))
}

struct Line {
    is_shown: bool,
    /// The stage that is shown, and when it was shown last.
    shown: Option<(&'static str, Instant)>,
}

impl Line {
    fn show(&mut self, progress: Progress) {
        let is_due = self.shown.is_none_or(|(stage, at)| stage != progress.stage || at.elapsed() >= EVERY);
        if !self.is_shown || !is_due {
            return;
        }
        self.shown = Some((progress.stage, Instant::now()));
        let percent = (progress.done_bytes * 100).checked_div(progress.total_bytes);
        let percent = percent.map(|percent| format!(" {percent} %")).unwrap_or_default();
        // The code erases the rest of the line.
        eprint!("\r{}{percent}\x1b[K", progress.stage);
        let _ = std::io::stderr().flush();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
