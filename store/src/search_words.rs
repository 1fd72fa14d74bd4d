//! The words by which incidents are found, in texts and in queries.
//!
//! A word is a run of letters and digits in lower case. A run that has `.`, `-` or `_` between letters and digits, such as
//! an address, a host name or a number, is a word too, as are its parts. The database must not split words again.

use hookmill_incident::{Incident, Observable, Technique};
use serde::Deserialize;
use std::borrow::Cow;
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
            let word = SearchWord { text: lower(run).into_owned(), is_prefix: rest.starts_with('*') };
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

    /// Returns the whole words together, and each beginning of words, as queries that an incident must pass all.
    pub(crate) fn separated(&self) -> impl Iterator<Item = Self> + use<> {
        let (beginnings, whole): (Vec<_>, Vec<_>) = self.0.iter().cloned().partition(|word| word.is_prefix);
        let whole = Some(whole).filter(|words| !words.is_empty());
        whole.into_iter().chain(beginnings.into_iter().map(|word| vec![word])).map(Self)
    }

    /// Returns whether an incident with this source-ref and this stored record may have all words. That takes a tenth of the
    /// time of reading the texts.
    pub(crate) fn may_be_in(&self, source_ref: &str, record: &str) -> bool {
        // The lower case of a few other letters is in ASCII. No letter and no digit is escaped in a record.
        if !(record.is_ascii() && source_ref.is_ascii()) {
            return true;
        }
        let (source_ref, record) = (source_ref.to_ascii_lowercase(), record.to_ascii_lowercase());
        self.0.iter().all(|word| record.contains(&word.text) || source_ref.contains(&word.text))
    }

    /// Returns whether the texts of an incident have all words.
    pub(crate) fn are_in(&self, texts: &Texts) -> bool {
        let words = texts.words();
        self.0.iter().all(|word| match word.is_prefix {
            false => words.contains(&*word.text),
            true => words.range(Cow::from(&word.text)..).next().is_some_and(|first| first.starts_with(&word.text)),
        })
    }
}

/// The texts by which an incident is found, as its stored record has them.
#[derive(Deserialize)]
pub(crate) struct Texts<'a> {
    #[serde(borrow)]
    title: Cow<'a, str>,
    /// A column of its own beside the record.
    #[serde(skip)]
    pub source_ref: &'a str,
    #[serde(borrow, default)]
    description: Cow<'a, str>,
    #[serde(borrow, default)]
    observables: Vec<TextOfObservable<'a>>,
    // The words of the others do not count.
    #[serde(borrow, default)]
    pub tags: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub techniques: Vec<IdOfTechnique<'a>>,
    #[serde(default)]
    pub assignee: Option<Cow<'a, str>>,
}

/// One text.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// An observable, of which only the value counts.
#[derive(Deserialize)]
struct TextOfObservable<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// A technique, of which only the id counts.
#[derive(Deserialize)]
pub(crate) struct IdOfTechnique<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
}

impl<'a> From<&'a Incident> for Texts<'a> {
    fn from(incident: &'a Incident) -> Self {
        let text = |observable: &'a Observable| TextOfObservable { value: observable.value.as_str().into() };
        let id = |technique: &'a Technique| IdOfTechnique { id: technique.id.as_str().into() };
        Self {
            title: incident.title.as_str().into(),
            source_ref: &incident.source_ref,
            description: incident.description.as_deref().unwrap_or_default().into(),
            observables: incident.observables.iter().map(text).collect(),
            tags: incident.tags.iter().map(|tag| Text(tag.as_str().into())).collect(),
            techniques: incident.techniques.iter().map(id).collect(),
            assignee: incident.assignee.as_deref().map(Into::into),
        }
    }
}

impl Texts<'_> {
    /// Returns the values of the observables.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.observables.iter().map(|observable| &*observable.value)
    }

    /// Returns the words.
    pub fn words(&self) -> BTreeSet<Cow<'_, str>> {
        let mut words = BTreeSet::new();
        for text in [&self.title, self.source_ref, &self.description].into_iter().chain(self.values()) {
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
fn lower(run: &str) -> Cow<'_, str> {
    if run.is_ascii() {
        let word = &run[..run.len().min(WORD_CHARS_MAX)];
        let has_capitals = word.bytes().any(|byte| byte.is_ascii_uppercase());
        return if has_capitals { word.to_ascii_lowercase().into() } else { word.into() };
    }
    // Letter by letter: the lower case of a letter must not depend on its neighbours, or prefixes would differ.
    let letters = run.chars().take(WORD_CHARS_MAX).flat_map(char::to_lowercase);
    letters.filter(|letter| is_in_word(*letter)).collect()
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

    #[test]
    fn records_without_a_word_are_told_from_those_that_may_have_all() {
        for (source_ref, title, query, expected) in [
            ("Ref-1", "Blue \"Sky\"\n", "ref-1 sky blu*", true),
            ("ref-1", "blue", "ref green", false),
            ("ref-1", "blue", "blues", false),
            // The Kelvin sign, whose lower case is a letter of ASCII.
            ("ref-1", "\u{212a}elvin", "kelvin", true),
            ("Ä-1", "blue", "ä-1", true),
        ] {
            let (words, record) =
                (SearchWords::parse(query).unwrap(), serde_json::json!({ "title": title }).to_string());
            let mut texts: Texts = serde_json::from_str(&record).unwrap();
            texts.source_ref = source_ref;
            assert_eq!(words.may_be_in(source_ref, &record), expected, "{query}");
            assert_eq!(words.are_in(&texts), expected, "{query}");
        }
    }
}
