//! Reads of the tables `sources`, `source_secrets`, `tallies`, `cursors`, `raised_notices` and `silent_sources`.

use crate::columns::sources::{SecretColumns, SourceColumns, TallyColumns};
use crate::columns::{Columns, value};
use crate::postgres::query::{Value, column, raw_rows, row, rows};
use crate::rows::{SecretRow, SourceRow, Tally};
use anyhow::Result;
use hookmill_notify::Trigger;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio_postgres::GenericClient;

/// Returns the registered sources, by name.
pub(crate) async fn list(client: &impl GenericClient) -> Result<Vec<SourceRow>> {
    let sql = format!("SELECT {}, source FROM source_secrets ORDER BY source, id", SecretColumns::LIST);
    let mut secrets: HashMap<String, Vec<SecretRow>> = HashMap::new();
    for row in raw_rows(client, &sql, &[]).await? {
        let source = value(&row, SecretColumns::COUNT, "source")?;
        secrets.entry(source).or_default().push(SecretColumns::read(&row)?.into());
    }
    let sql = format!("SELECT {} FROM sources ORDER BY name", SourceColumns::LIST);
    let sources: Vec<SourceColumns> = rows(client, &sql, &[]).await?;
    let with_secrets = |source: SourceColumns| {
        let secrets = secrets.remove(&source.name).unwrap_or_default();
        source.into_row(secrets)
    };
    Ok(sources.into_iter().map(with_secrets).collect())
}

/// Returns the counts of a source.
pub(crate) async fn tally(client: &impl GenericClient, source: &str) -> Result<Tally> {
    let sql = format!("SELECT {} FROM tallies WHERE source = $1", TallyColumns::LIST);
    let found: Option<TallyColumns> = row(client, &sql, &[source.into()]).await?;
    Ok(found.map(Tally::from).unwrap_or_default())
}

/// Returns the counts of sources.
pub(super) async fn tallies(client: &impl GenericClient, sources: Vec<Arc<str>>) -> Result<BTreeMap<Arc<str>, Tally>> {
    let sql = format!("SELECT {}, source FROM tallies WHERE source = ANY($1)", TallyColumns::LIST);
    let rows = raw_rows(client, &sql, &[Value::texts(&sources)]).await?;
    let mut tallies: BTreeMap<Arc<str>, Tally> = sources.into_iter().map(|source| (source, Tally::default())).collect();
    for row in &rows {
        let source: String = value(row, TallyColumns::COUNT, "source")?;
        tallies.insert(source.into(), TallyColumns::read(row)?.into());
    }
    Ok(tallies)
}

/// Returns the positions up to which sources were read, by their names.
pub(super) async fn cursors(client: &impl GenericClient) -> Result<BTreeMap<String, String>> {
    let rows = raw_rows(client, "SELECT source, position FROM cursors", &[]).await?;
    rows.iter().map(|row| Ok((value(row, 0, "source")?, value(row, 1, "position")?))).collect()
}

/// Returns the silent sources, each with the start of its silence.
pub(crate) async fn silent(client: &impl GenericClient) -> Result<BTreeMap<String, i64>> {
    let rows = raw_rows(client, "SELECT source, since FROM silent_sources", &[]).await?;
    rows.iter().map(|row| Ok((value(row, 0, "source")?, value(row, 1, "since")?))).collect()
}

/// Returns the start of a condition about which notifications were queued, in milliseconds since the Unix epoch.
pub(super) async fn raised_since(client: &impl GenericClient, trigger: Trigger) -> Result<Option<i64>> {
    let sql = "SELECT since FROM raised_notices WHERE trigger = $1";
    Ok(column(client, sql, &[trigger.as_str().into()]).await?.pop())
}
