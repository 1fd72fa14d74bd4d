//! A bounded list of problems: a plugin decides how many there are, and how long.

/// The number of problems that are kept. Further ones are counted.
const KEPT_MAX: usize = 20;
/// The length of one problem, in bytes.
const PROBLEM_BYTES_MAX: usize = 512;

/// The problems that were found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    kept: Vec<String>,
    dropped: usize,
}

impl Problems {
    /// Adds a problem, or counts it if the list is full.
    pub fn add(&mut self, problem: String) {
        match self.kept.len() {
            KEPT_MAX => self.dropped += 1,
            _ => self.kept.push(cut(&problem, PROBLEM_BYTES_MAX).to_owned()),
        }
    }

    /// Returns the problems, with a last one about those that were only counted.
    pub fn finish(mut self) -> Vec<String> {
        if self.dropped > 0 {
            self.kept.push(format!("{} further problems", self.dropped));
        }
        self.kept
    }
}

/// Returns the longest beginning of a text that has at most `bytes_max` bytes.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::{KEPT_MAX, PROBLEM_BYTES_MAX, Problems, cut};

    #[test]
    fn problems_beyond_the_bounds_are_counted_or_cut() {
        let mut problems = Problems::default();
        (0..KEPT_MAX + 3).for_each(|_| problems.add("x".repeat(PROBLEM_BYTES_MAX + 1)));
        let problems = problems.finish();
        assert_eq!((problems.len(), problems[0].len()), (KEPT_MAX + 1, PROBLEM_BYTES_MAX));
        assert_eq!(problems[KEPT_MAX], "3 further problems");
        assert_eq!([cut("aä", 2), cut("aä", 3), cut("", 3)], ["a", "aä", ""]);
    }
}
