//! A line on a terminal that shows the progress of long work.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// A text that is replaced sooner cannot be read.
const EVERY: Duration = Duration::from_millis(100);

/// A line on standard error, which only a terminal shows.
pub(crate) struct ProgressLine {
    is_visible: bool,
    /// The time at which the text was replaced; none while the line is empty.
    shown_at: Option<Instant>,
}

impl ProgressLine {
    /// Returns an empty line.
    pub fn new() -> Self {
        Self { is_visible: stderr().is_terminal(), shown_at: None }
    }

    /// Replaces the text, unless that happened a moment ago.
    pub fn show(&mut self, text: &str) {
        if self.shown_at.is_none_or(|at| at.elapsed() >= EVERY) {
            self.show_now(text);
        }
    }

    /// Replaces the text.
    pub fn show_now(&mut self, text: &str) {
        if self.is_visible {
            // The code erases the rest of the line.
            eprint!("\r{text}\x1b[K");
            let _ = stderr().flush();
            self.shown_at = Some(Instant::now());
        }
    }

    /// Empties the line.
    pub fn clear(&mut self) {
        if self.shown_at.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}
