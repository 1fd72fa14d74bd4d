//! The rows by which incidents are found: in `postings` their values, in `words` their words.

use super::batch::{Batch, Statement};
use crate::search_values::values;
use crate::search_words::Texts;
use hookmill_incident::Incident;

/// Rows that are written together.
pub(super) struct SearchRows {
    values_gone: Batch,
    new_values: Batch,
    words: Batch,
}

impl Default for SearchRows {
    fn default() -> Self {
        Self {
            values_gone: Batch::new("DELETE FROM postings WHERE (kind, value, incident) IN (SELECT * FROM @)"),
            new_values: Batch::new("INSERT INTO postings (kind, value, incident) SELECT * FROM @"),
            words: Batch::new(
                "INSERT INTO words (incident, words) \
                 SELECT incident, CAST(words AS tsvector) FROM @ AS new (incident, words) \
                 ON CONFLICT (incident) DO UPDATE SET words = excluded.words",
            ),
        }
    }
}

impl SearchRows {
    /// Adds what changes with an incident, which is not in the tables without a `before`.
    pub fn add(&mut self, key: i64, before: Option<&Incident>, incident: &Incident) {
        let (before, after) = (before.map(Texts::from), Texts::from(incident));
        let (was, is) = (before.as_ref().map(values).unwrap_or_default(), values(&after));
        for (kind, value) in was.difference(&is) {
            self.values_gone.push([(*kind as i64).into(), (&**value).into(), key.into()]);
        }
        for (kind, value) in is.difference(&was) {
            self.new_values.push([(*kind as i64).into(), (&**value).into(), key.into()]);
        }
        let words = after.words();
        if before.is_none_or(|before| before.words() != words) {
            // Words have no character of the language of `tsvector`, and are quoted.
            let words: String = words.iter().map(|word| format!("'{word}' ")).collect();
            self.words.push([key.into(), words.as_str().into()]);
        }
    }

    /// Takes the rows as statements.
    pub fn take(&mut self) -> impl Iterator<Item = Statement> {
        [&mut self.values_gone, &mut self.new_values, &mut self.words].into_iter().filter_map(Batch::take)
    }
}
