//! The tables `postings` and `words`: the values and the words by which incidents are found.

use crate::postgres::columns::stored_text;
use crate::postgres::session::Session;
use crate::search_values::values;
use crate::search_words::Texts;
use anyhow::Result;
use hookmill_incident::Incident;

/// Removes an incident from the tables.
pub(super) fn remove(session: &Session, key: i64, incident: &Incident) -> Result<()> {
    let texts = Texts::from(incident);
    let values = values(&texts);
    let (kinds, values): (Vec<i64>, Vec<_>) =
        values.iter().map(|(kind, value)| (*kind as i64, stored_text(value))).unzip();
    let sql = "DELETE FROM postings WHERE (kind, value) IN (SELECT * FROM UNNEST($1::bigint[], $2::text[])) \
               AND incident = $3";
    session.execute(sql, &[&kinds, &values, &key])?;
    session.execute("DELETE FROM words WHERE incident = $1", &[&key])?;
    Ok(())
}
