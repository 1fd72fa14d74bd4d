//! The report of the demo, which counts the expectations that were met.

use std::io::{IsTerminal, Write};

const GREEN: &str = "32";
const RED: &str = "1;31";
const BOLD: &str = "1";
const DIM: &str = "2";
/// The length to which an answer is truncated.
const ANSWER_CHARS_MAX: usize = 110;

/// The printed report with its counts.
pub(super) struct DemoReport {
    coloured: bool,
    terminal: bool,
    headings: usize,
    met: usize,
    failed: usize,
}

impl DemoReport {
    /// Creates a report, coloured if standard output is a terminal and `NO_COLOR` is not set.
    pub fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let coloured = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { coloured, terminal, headings: 0, met: 0, failed: 0 }
    }

    /// Prints a numbered heading.
    pub fn heading(&mut self, text: &str) {
        self.headings += 1;
        let gap = if self.headings == 1 { "" } else { "\n" };
        println!("{gap}{}", self.paint(BOLD, &format!("{}. {text}", self.headings)));
    }

    /// Prints the heads of the columns of [`DemoReport::row`].
    pub fn columns(&self, name: &str, expected: &str, answered: &str) {
        println!("{}", self.paint(DIM, &format!("    {name:<52}  {expected:<24}  {answered}")));
    }

    /// Prints and counts an expectation with the answer.
    pub fn row(&mut self, met: bool, name: &str, expected: &str, answered: &str) {
        let mut answered: String = answered.replace('\n', " ");
        if answered.chars().count() > ANSWER_CHARS_MAX {
            answered = answered.chars().take(ANSWER_CHARS_MAX - 1).chain(['…']).collect();
        }
        self.check(met, &format!("{name:<52}  {expected:<24}  {answered}"));
    }

    /// Prints and counts an expectation.
    pub fn check(&mut self, met: bool, text: &str) {
        self.clear_progress();
        if met {
            self.met += 1;
            println!("  {} {text}", self.paint(GREEN, "✓"));
        } else {
            self.failed += 1;
            println!("  {} {text}", self.paint(RED, "✗ FAILED"));
        }
    }

    /// Prints text that is not an expectation.
    pub fn show(&self, text: &str) {
        for line in text.lines() {
            println!("{}", format!("    {line}").trim_end());
        }
    }

    /// Prints a progress line on a terminal. The next line replaces it.
    pub fn progress(&self, text: &str) {
        if self.terminal {
            print!("\r\x1b[K  … {text}");
            let _ = std::io::stdout().flush();
        }
    }

    /// Removes the progress line.
    pub fn clear_progress(&self) {
        if self.terminal {
            print!("\r\x1b[K");
        }
    }

    /// Returns the number of expectations that were met and of those that were not.
    pub fn counts(&self) -> (usize, usize) {
        (self.met, self.failed)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
