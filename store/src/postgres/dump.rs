//! Every row of the database as text, for a test that compares it.

use super::connection::Address;
use super::query::{column, raw_rows};
use crate::columns::{Cell, Cells};
use anyhow::Result;
use std::collections::BTreeMap;

/// Returns the rows of these tables, sorted.
pub(crate) async fn dump(
    address: &Address,
    tables: &[&'static str],
) -> Result<BTreeMap<&'static str, Vec<Vec<String>>>> {
    let (client, _) = address.connect().await?;
    let mut dump = BTreeMap::new();
    for table in tables {
        let found = raw_rows(&client, &format!("SELECT * FROM {table}"), &[]).await?;
        let text_of = |row: &tokio_postgres::Row| (0..row.len()).map(|column| row.cell(column).map(text)).collect();
        let mut rows = found.iter().map(text_of).collect::<Result<Vec<Vec<String>>>>()?;
        rows.sort();
        dump.insert(*table, rows);
    }
    Ok(dump)
}

/// Returns the names of the tables, without partitions.
pub(crate) async fn tables(address: &Address) -> Result<Vec<String>> {
    let (client, _) = address.connect().await?;
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
               AND NOT relispartition";
    column(&client, sql, &[]).await
}

fn text(value: Cell) -> String {
    match value {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Text(text) => text.into_owned(),
        Cell::Bytes(bytes) => hex::encode(bytes),
    }
}
