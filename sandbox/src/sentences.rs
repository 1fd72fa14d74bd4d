//! A bounded list of sentences, such as problems: a plugin decides how many there are, and how long.

/// The number of sentences that are kept. Further ones are counted.
const KEPT_MAX: usize = 50;
/// The length of one sentence, in bytes.
pub(crate) const SENTENCE_BYTES_MAX: usize = 512;

/// The sentences so far.
#[derive(Debug, Default)]
pub(crate) struct Sentences {
    kept: Vec<String>,
    dropped: usize,
}

impl Sentences {
    /// Returns what is kept of a plugin's own sentences.
    pub fn bounded(sentences: &[String]) -> Vec<String> {
        let mut kept = Self::default();
        sentences.iter().for_each(|sentence| kept.add(sentence));
        kept.finish()
    }

    /// Adds a sentence, or counts it if the list is full.
    pub fn add(&mut self, sentence: &str) {
        match self.kept.len() {
            KEPT_MAX => self.dropped += 1,
            _ => self.kept.push(cut(sentence, SENTENCE_BYTES_MAX).to_owned()),
        }
    }

    /// Returns the sentences, with a last one about those that were only counted.
    pub fn finish(mut self) -> Vec<String> {
        if self.dropped > 0 {
            self.kept.push(format!("and {} more", self.dropped));
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
    use super::{KEPT_MAX, SENTENCE_BYTES_MAX, Sentences, cut};

    #[test]
    fn sentences_beyond_the_bounds_are_counted_or_cut() {
        let mut sentences = Sentences::default();
        (0..KEPT_MAX + 3).for_each(|_| sentences.add(&"x".repeat(SENTENCE_BYTES_MAX + 1)));
        let sentences = sentences.finish();
        assert_eq!((sentences.len(), sentences[0].len()), (KEPT_MAX + 1, SENTENCE_BYTES_MAX));
        assert_eq!(sentences[KEPT_MAX], "and 3 more");
        assert_eq!([cut("aä", 2), cut("aä", 3), cut("", 3)], ["a", "aä", ""]);
    }
}
