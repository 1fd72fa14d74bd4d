//! The newest lines of the log, kept in memory for clients that cannot read the host's standard error.
//!
//! There is one log per process: `hookmill serve` installs [`layer`] beside the layer that writes to standard error.
//! Nothing is removed here, so secrets must not be logged in the first place.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::registry::LookupSpan;

/// The number of lines that are kept.
pub const LINES_MAX: usize = 10_000;
/// The maximum number of bytes of a line; with [`LINES_MAX`], at most 10 MiB are kept.
const LINE_BYTES_MAX: usize = 1024;

static LINES: Mutex<VecDeque<Arc<str>>> = Mutex::new(VecDeque::new());

/// Returns a layer that keeps lines of level `info` and above, independent of the filters of other layers.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Keeper).with_filter(LevelFilter::INFO)
}

/// Returns the newest lines that contain `filter`, ignoring case; at most `tail` lines, the oldest first.
pub fn lines(filter: &str, tail: usize) -> Vec<String> {
    let filter = filter.to_lowercase();
    // The search uses a copy, so that it does not block logging.
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let fitting = lines.iter().rev().filter(|line| line.to_lowercase().contains(&filter));
    let mut newest: Vec<String> = fitting.take(tail).map(|line| line.to_string()).collect();
    newest.reverse();
    newest
}

/// A writer that keeps lines. The formatting layer writes one log event per call.
struct Keeper;

impl io::Write for Keeper {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = line(&String::from_utf8_lossy(event));
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a log event as one line of bounded length. Line feeds in values from senders cannot begin a new line.
fn line(event: &str) -> Arc<str> {
    const CUT: &str = "…";
    let event = event.trim_end();
    let mut line = event.replace(char::is_control, " ");
    if line.len() > LINE_BYTES_MAX {
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX - CUT.len()));
        line += CUT;
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn an_event_is_one_line_of_bounded_length() {
        assert_eq!(&*line("one\r\ntwo\u{1b}[31m\n"), "one  two [31m");
        assert_eq!(line(&"x".repeat(LINE_BYTES_MAX)).len(), LINE_BYTES_MAX);
        let cut = line(&"ä".repeat(LINE_BYTES_MAX));
        assert!(cut.ends_with("ä…") && (LINE_BYTES_MAX - 1..=LINE_BYTES_MAX).contains(&cut.len()), "{}", cut.len());
    }

    #[test]
    fn the_newest_lines_are_kept_and_found() {
        for number in 0..LINES_MAX + 5 {
            Keeper.write_all(format!("Line {number}\n").as_bytes()).unwrap();
        }
        assert_eq!(lines("", usize::MAX).len(), LINES_MAX);
        assert_eq!(lines("", 2), [format!("Line {}", LINES_MAX + 3), format!("Line {}", LINES_MAX + 4)]);
        assert_eq!(lines("line 10004", 5), ["Line 10004"]);
        assert_eq!(lines("LINE 999", 3), ["Line 9997", "Line 9998", "Line 9999"]);
        assert!(lines("Line 4 ", 5).is_empty() && lines("nowhere", 5).is_empty());
        assert_eq!(lines("", LINES_MAX)[0], "Line 5");
    }
}
