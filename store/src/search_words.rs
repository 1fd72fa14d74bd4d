//! The words by which incidents are found, in texts and in queries.
//!
//! A word is a run of letters and digits in lower case. A run that has `.`, `-` or `_` between letters and digits, such as
//! an address, a host name or a number, is a word too, as are its parts. The database must not split words again.

use hookmill_incident::Incident;
use std::collections::BTreeSet;

/// The characters of a word that count; the rest of a longer word is ignored. Hexadecimal SHA-256 digests fit.
const WORD_CHARS_MAX: usize = 64;
/// The different words of an incident that count. The title and the source-ref come first, the observables last.
const WORDS_MAX: usize = 4_096;
/// The words of a query.
const QUERY_WORDS_MAX: usize = 32;

/// One word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchWord {
    pub text: String,
    /// Whether all words that begin with the text are meant.
    pub is_prefix: bool,
}

/// The words of a query. An incident that has all of them is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchWords(Vec<SearchWord>);

impl SearchWords {
    /// Reads the words of a query; a `*` after a word makes it the beginning of words.
    ///
    /// # Errors
    /// Returns a sentence about a query without words or with too many.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut words = Vec::new();
        for (run, rest) in runs(query) {
            let word = SearchWord { text: lower(run), is_prefix: rest.starts_with('*') };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        match words.len() {
            0 => Err("there is no letter or digit to search for".to_owned()),
            1..=QUERY_WORDS_MAX => Ok(Self(words)),
            count => Err(format!("there are {count} words; at most {QUERY_WORDS_MAX} can be searched for")),
        }
    }

    pub(crate) fn words(&self) -> &[SearchWord] {
        &self.0
    }

    /// Returns whether an incident has all words.
    pub(crate) fn are_in(&self, incident: &Incident) -> bool {
        let words = words_of(incident);
        self.0.iter().all(|word| match word.is_prefix {
            false => words.contains(&word.text),
            true => words.range(word.text.clone()..).next().is_some_and(|first| first.starts_with(&word.text)),
        })
    }
}

/// Returns the words of an incident.
pub(crate) fn words_of(incident: &Incident) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let texts = [Some(&incident.title), Some(&incident.source_ref), incident.description.as_ref()];
    let values = incident.observables.iter().map(|observable| &observable.value);
    for text in texts.into_iter().flatten().chain(values) {
        for (run, _) in runs(text) {
            if words.len() >= WORDS_MAX {
                return words;
            }
            words.insert(lower(run));
            if run.contains(JOINS) {
                words.extend(run.split(JOINS).filter(|part| !part.is_empty()).map(lower));
            }
        }
    }
    words
}

/// The characters that join parts into one word.
const JOINS: [char; 3] = ['.', '-', '_'];

/// Returns the runs of letters and digits, with joins between them, each with the text after it.
fn runs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[rest.find(char::is_alphanumeric)?..];
        let end = rest.find(|letter| !is_in_word(letter)).unwrap_or(rest.len());
        let run = rest[..end].trim_end_matches(JOINS);
        let found = (run, &rest[run.len()..]);
        rest = &rest[end..];
        Some(found)
    })
}

/// Returns the part of a word that counts, in lower case.
fn lower(run: &str) -> String {
    // Letter by letter: the lower case of a letter must not depend on its neighbours, or prefixes would differ.
    run.chars().take(WORD_CHARS_MAX).flat_map(char::to_lowercase).filter(|letter| is_in_word(*letter)).collect()
}

/// Returns whether a character may stand in a word. The lower case of a few letters has marks that may not.
fn is_in_word(letter: char) -> bool {
    letter.is_alphanumeric() || JOINS.contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(query: &str) -> Vec<(String, bool)> {
        let parsed = SearchWords::parse(query).map(|words| words.0).unwrap_or_default();
        parsed.into_iter().map(|word| (word.text, word.is_prefix)).collect()
    }

    #[test]
    fn queries_are_split_into_words() {
        let expected = |words: &[(&str, bool)]| -> Vec<_> {
            words.iter().map(|(text, is_prefix)| ((*text).to_owned(), *is_prefix)).collect()
        };
        let long = "x".repeat(WORD_CHARS_MAX);
        for (query, found) in [
            ("Malware on WS-1.", &[("malware", false), ("on", false), ("ws-1", false)][..]),
            ("192.0.2.7:443", &[("192.0.2.7", false), ("443", false)]),
            ("evil*", &[("evil", true)]),
            ("ev-*", &[("ev", false)]),
            ("* ** \"", &[]),
            ("", &[]),
            (
                "a AND NOT (b) OR title:\"c\"*",
                &[
                    ("a", false),
                    ("and", false),
                    ("not", false),
                    ("b", false),
                    ("or", false),
                    ("title", false),
                    ("c", false),
                ],
            ),
            ("Ärger İs ΣΑΣ", &[("ärger", false), ("is", false), ("σασ", false)]),
            ("-a- a _", &[("a", false)]),
            ("日本語*", &[("日本語", true)]),
            (&"x".repeat(10_000), &[(&*long, false)]),
        ] {
            assert_eq!(words(query), expected(found), "{query}");
        }
        let many: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        assert!(SearchWords::parse(&many.join(" ")).unwrap_err().contains("at most 32"));
    }
}
