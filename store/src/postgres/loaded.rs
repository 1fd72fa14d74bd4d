//! The rows of a database of SQLite in one of PostgreSQL, for a test that compares their reads.

use super::columns::stored_text;
use super::readers::Readers;
use super::test_database::migrated;
use crate::search_words::Texts;
use anyhow::{Context, Result};
use rusqlite::types::{Value, ValueRef};
use std::path::Path;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

const COLUMNS: &str = "SELECT column_name, data_type FROM information_schema.columns \
                       WHERE table_schema = 'public' AND table_name = $1 AND is_identity = 'NO' ORDER BY ordinal_position";

/// Returns the reads of a new database with the rows that a database of SQLite has in these tables.
pub(crate) async fn loaded(sqlite: &Path, tables: &[&str]) -> Result<Readers> {
    let source = rusqlite::Connection::open(sqlite)?;
    let address = migrated().await;
    let (client, _) = address.connect().await?;
    client.batch_execute("DELETE FROM identity").await?;
    for table in tables {
        load(&client, &source, table).await.with_context(|| format!("the table {table}"))?;
    }
    load_words(&client, &source).await?;
    client.batch_execute("ANALYZE").await?;
    Readers::new(&address)
}

async fn load(client: &Client, source: &rusqlite::Connection, table: &str) -> Result<()> {
    let columns: Vec<(String, String)> =
        client.query(COLUMNS, &[&table]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let parameters: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let (names, parameters) = (names.join(", "), parameters.join(", "));
    let insert = client.prepare(&format!("INSERT INTO {table} ({names}) VALUES ({parameters})")).await?;
    let mut query = source.prepare(&format!("SELECT {names} FROM {table}"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let mut values = Vec::new();
        for (index, (_, kind)) in columns.iter().enumerate() {
            values.push(converted(row.get_ref(index)?, kind)?);
        }
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as _).collect();
        client.execute(&insert, &values).await?;
    }
    Ok(())
}

fn converted(value: ValueRef, kind: &str) -> Result<Box<dyn ToSql + Sync>> {
    Ok(match (Value::try_from(value)?, kind) {
        (Value::Null, "bigint") => Box::new(None::<i64>),
        (Value::Null, "bytea") => Box::new(None::<Vec<u8>>),
        (Value::Null, _) => Box::new(None::<String>),
        (Value::Integer(number), "boolean") => Box::new(number != 0),
        (Value::Integer(number), _) => Box::new(number),
        (Value::Text(text), _) => Box::new(stored_text(&text).into_owned()),
        (Value::Blob(bytes), _) => Box::new(bytes),
        (other, _) => anyhow::bail!("{other:?} is not a value of any column"),
    })
}

async fn load_words(client: &Client, source: &rusqlite::Connection) -> Result<()> {
    let insert = "INSERT INTO words (incident, words) VALUES ($1, array_to_tsvector($2))";
    let mut query = source.prepare("SELECT key, source_ref, record FROM incidents WHERE deleted = 0")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (key, source_ref, record): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let mut texts: Texts = serde_json::from_str(&record)?;
        texts.source_ref = &source_ref;
        let words: Vec<String> = texts.words().into_iter().collect();
        client.execute(insert, &[&key, &words]).await?;
    }
    Ok(())
}
