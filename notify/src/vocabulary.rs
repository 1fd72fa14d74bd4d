//! The words that a field can hold, and suggestions for misspelt words.

use anyhow::{Result, bail};

/// The words that a field can hold, in their order.
pub(crate) type Vocabulary = fn() -> Vec<&'static str>;

/// The likeness, from 0 to 1, from which on a name is suggested in place of another.
const LIKENESS_MIN: f64 = 0.8;

/// Finds a word in a vocabulary, ignoring case, and returns it as messages write it.
pub(crate) fn known_word(vocabulary: Vocabulary, word: &str) -> Result<&'static str> {
    let words = vocabulary();
    if let Some(known) = words.iter().find(|known| known.eq_ignore_ascii_case(word.trim())) {
        return Ok(known);
    }
    match nearest(word, words.iter().copied()) {
        Some(near) => bail!("`{word}` is not one of: {}; did you mean `{near}`?", words.join(", ")),
        None => bail!("`{word}` is not one of: {}", words.join(", ")),
    }
}

/// Returns the rank of a word, ignoring case; the lowest word of a vocabulary has rank 0.
pub(crate) fn rank(vocabulary: Vocabulary, word: &str) -> Option<usize> {
    vocabulary().iter().position(|known| known.eq_ignore_ascii_case(word))
}

/// Returns the known name that the author of `name` most likely meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let scored = names.map(|known| (likeness(known), known)).filter(|(score, _)| *score >= LIKENESS_MIN);
    scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known)
}
