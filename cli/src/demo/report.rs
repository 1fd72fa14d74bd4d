//! What the demo prints, and how many of its expectations were met.

use std::io::{IsTerminal, Write};

const GREEN: &str = "32";
const RED: &str = "1;31";
const BOLD: &str = "1";
const DIM: &str = "2";
/// How long an answer may be before it is cut off.
const ANSWER_CHARS_MAX: usize = 110;

pub(super) struct Report {
    coloured: bool,
    terminal: bool,
    headings: usize,
    met: usize,
    failed: usize,
}

impl Report {
    pub fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let coloured = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { coloured, terminal, headings: 0, met: 0, failed: 0 }
    }

    pub fn heading(&mut self, text: &str) {
        self.headings += 1;
        let gap = if self.headings == 1 { "" } else { "\n" };
        println!("{gap}{}", self.paint(BOLD, &format!("{}. {text}", self.headings)));
    }

    /// The heads of what [`Report::row`] prints.
    pub fn columns(&self, what: &str, expected: &str, answered: &str) {
        println!("{}", self.paint(DIM, &format!("    {what:<52}  {expected:<24}  {answered}")));
    }

    /// An expectation with what was answered.
    pub fn row(&mut self, met: bool, what: &str, expected: &str, answered: &str) {
        let mut answered: String = answered.replace('\n', " ");
        if answered.chars().count() > ANSWER_CHARS_MAX {
            answered = answered.chars().take(ANSWER_CHARS_MAX - 1).chain(['…']).collect();
        }
        self.check(met, &format!("{what:<52}  {expected:<24}  {answered}"));
    }

    /// An expectation.
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

    /// Text that is no expectation.
    pub fn show(&self, text: &str) {
        for line in text.lines() {
            println!("{}", format!("    {line}").trim_end());
        }
    }

    /// Says on a terminal what goes on, in a line that the next one takes the place of.
    pub fn progress(&self, text: &str) {
        if self.terminal {
            print!("\r\x1b[K  … {text}");
            let _ = std::io::stdout().flush();
        }
    }

    pub fn clear_progress(&self) {
        if self.terminal {
            print!("\r\x1b[K");
        }
    }

    /// How many expectations were met and how many not.
    pub fn counts(&self) -> (usize, usize) {
        (self.met, self.failed)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
