//! A shared database that is moved, or into which one is moved, while no host uses it.

use super::columns::stored_text;
use super::connection::Address;
use super::hosts;
use super::migration::{check_current, migrate};
use super::plugin_files;
use super::query::{cell, raw_rows};
use super::reads::sources;
use super::search_rows::SearchRows;
use crate::columns::incidents::IncidentColumns;
use crate::columns::{Columns, value};
use crate::move_mark::MoveMark;
use crate::moved_rows::{MOVED_TABLES, MovedRows, MovedValue};
use crate::rows::{PluginFile, SourceRow};
use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use futures_util::TryStreamExt;
use hookmill_incident::PluginVersion;
use hookmill_incident::id::row_key_at;
use std::error::Error;
use std::pin::pin;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// The statement that permits hosts to use the database again.
const UNDO: &str = "run `UPDATE head SET move = NULL` in the database";
/// Waits for a host that is about to end, and not for another move.
const SETTINGS: &str =
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '10s'";
/// The incidents that are read together.
const INCIDENTS: i64 = 200;

/// A database in one transaction, whose row `head` is locked: no host writes or starts meanwhile.
pub(crate) struct MovingShared {
    client: Client,
}

impl MovingShared {
    /// Opens a database to move it. Nothing in it is changed until the end.
    pub async fn source(address: &Address) -> Result<Self> {
        let client = connected(address).await?;
        check_current(&client).await?;
        let shared = Self { client };
        shared.client.batch_execute("BEGIN").await?;
        shared.lock().await?;
        // A host that starts is registered before it looks at the row `head`.
        refuse_hosts(&shared.client, address).await?;
        Ok(shared)
    }

    /// Opens an empty database to write into it, and marks it first.
    pub async fn target(address: &Address, mark: &MoveMark) -> Result<Self> {
        let mut client = connected(address).await?;
        migrate(&mut client, address.profile).await.context("the database cannot be used")?;
        let shared = Self { client };
        shared.client.batch_execute("BEGIN").await?;
        shared.lock().await?;
        refuse_hosts(&shared.client, address).await?;
        for table in MOVED_TABLES.iter().filter(|table| **table != "identity") {
            let has_rows: i64 =
                cell(&shared.client, &format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1) AS first"), &[])
                    .await?;
            ensure!(
                has_rows == 0,
                "{address} has rows in the table `{table}`, and a move replaces no data; create another database, and name \
                 that one"
            );
        }
        shared.put_mark(Some(mark)).await?;
        shared.client.batch_execute("COMMIT; BEGIN").await?;
        ensure!(shared.lock().await?.as_ref() == Some(mark), "another move into {address} has begun");
        shared.client.batch_execute("DELETE FROM identity").await?;
        Ok(shared)
    }

    /// Returns the mark of a database, after its tables were created if they were missing.
    pub async fn mark_of(address: &Address) -> Result<Option<MoveMark>> {
        let mut client = connected(address).await?;
        migrate(&mut client, address.profile).await.context("the database cannot be used")?;
        mark(&client).await
    }

    /// Waits for groups of writes, and keeps hosts from using the database until the transaction ends.
    async fn lock(&self) -> Result<Option<MoveMark>> {
        let sql = "SELECT coalesce(move, '') FROM head FOR UPDATE";
        let text: String = cell(&self.client, sql, &[]).await.context("a host or another move uses the database")?;
        read_mark(&text)
    }

    /// Returns the mark of the database.
    pub async fn mark(&self) -> Result<Option<MoveMark>> {
        mark(&self.client).await
    }

    /// Refuses a database that has a mark.
    pub fn refuse(address: &Address, mark: &MoveMark) -> Result<()> {
        mark.refuse(&address.to_string(), UNDO)
    }

    async fn put_mark(&self, mark: Option<&MoveMark>) -> Result<()> {
        let text = mark.map(MoveMark::text).transpose()?;
        self.client.execute("UPDATE head SET move = $1", &[&text]).await?;
        Ok(())
    }

    /// Returns the registered sources with their sealed secrets.
    pub async fn sources(&self) -> Result<Vec<SourceRow>> {
        sources::list(&self.client).await
    }

    /// Returns the number of rows of a table.
    pub async fn count(&self, table: &str) -> Result<u64> {
        // Of a large table, this takes longer than a host waits for an answer.
        let row = self.client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?;
        value(&row, 0, "count")
    }

    /// Reads a table in parts.
    pub async fn read(
        &self,
        table: &str,
        columns: &[String],
        mut each: impl AsyncFnMut(MovedRows) -> Result<()>,
    ) -> Result<()> {
        // Sessions have no other order than that in which they began.
        let order = if table == "sessions" { "ORDER BY number" } else { "" };
        let sql = format!("SELECT {} FROM {table} {order}", columns.join(", "));
        // The connection takes no more rows than are asked for.
        let mut rows = pin!(self.client.query_raw(&sql, std::iter::empty::<i64>()).await?);
        let mut part = MovedRows::default();
        while let Some(row) = rows.try_next().await? {
            part.add(&row, columns.len())?;
            if part.is_full() {
                each(std::mem::take(&mut part)).await?;
            }
        }
        each(part).await
    }

    /// Adds rows to a table.
    pub async fn write(&self, table: &str, columns: &[String], rows: &MovedRows) -> Result<()> {
        let list = columns.join(", ");
        let query = self.client.prepare(&format!("SELECT {list} FROM {table}")).await?;
        let types: Vec<Type> = query.columns().iter().map(|column| column.type_().clone()).collect();
        let sink = self.client.copy_in(&format!("COPY {table} ({list}) FROM STDIN (FORMAT binary)")).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for row in &rows.rows {
            writer.as_mut().write_raw(row).await?;
        }
        writer.finish().await?;
        Ok(())
    }

    /// Returns the file of a plugin version, if it is there.
    pub async fn plugin_file(&self, plugin: &PluginVersion) -> Result<Option<PluginFile>> {
        plugin_files::file(&self.client, &plugin.name, &plugin.sha256).await
    }

    /// Keeps the file of a plugin version, as the newest one of its plugin.
    pub async fn put_plugin_file(&self, plugin: &PluginVersion, file: &PluginFile) -> Result<()> {
        plugin_files::put(&self.client, plugin, file).await
    }

    /// Adds what incidents are found by, which is not copied.
    pub async fn add_search(&self) -> Result<()> {
        let sql = format!(
            "SELECT {}, key FROM incidents WHERE NOT deleted AND key > $1 ORDER BY key LIMIT $2",
            IncidentColumns::LIST
        );
        let mut after = i64::MIN;
        loop {
            let (rows, mut search) =
                (raw_rows(&self.client, &sql, &[after.into(), INCIDENTS.into()]).await?, SearchRows::default());
            let Some(last) = rows.last() else { return Ok(()) };
            after = value(last, IncidentColumns::COUNT, "key")?;
            for row in &rows {
                let key = value(row, IncidentColumns::COUNT, "key")?;
                // One that cannot be read is not found by its texts, as in the other database.
                if let Ok(row) = IncidentColumns::read(row).and_then(IncidentColumns::into_row) {
                    search.add(key, None, &row.incident);
                }
            }
            for statement in search.take() {
                let values: Vec<&(dyn ToSql + Sync)> = statement.values.iter().map(|value| &**value as _).collect();
                self.client.execute(&statement.sql, &values).await?;
            }
        }
    }

    /// Writes what follows from the rows: later keys and audit entries come after them.
    pub async fn flush(&self) -> Result<()> {
        let keys =
            ["events", "incidents", "audit", "deliveries"].map(|table| format!("(SELECT max(key) FROM {table})"));
        let sql = format!(
            "UPDATE head SET last_key = least(greatest(last_key, (SELECT max(last_key) FROM restores), {}), $1), \
             newest_audit = coalesce((SELECT id FROM audit ORDER BY key DESC LIMIT 1), newest_audit)",
            keys.join(", ")
        );
        self.client.execute(&sql, &[&row_key_at(i64::MAX)]).await?;
        Ok(())
    }

    /// Records that the database was moved. A host that was stopped and wakes up gets no lease and writes nothing.
    pub async fn end_source(self, mark: &MoveMark) -> Result<()> {
        self.put_mark(Some(mark)).await?;
        self.client.batch_execute("UPDATE leases SET host = NULL, epoch = epoch + 1; COMMIT").await?;
        Ok(())
    }

    /// Permits hosts to use the database.
    pub async fn end_target(self) -> Result<()> {
        self.put_mark(None).await?;
        self.client.batch_execute("COMMIT").await.context("the commit of the rows")?;
        for table in MOVED_TABLES.iter().chain(&["postings", "words"]) {
            self.client.batch_execute(&format!("ANALYZE {table}")).await?;
        }
        Ok(())
    }
}

/// Refuses a database that has a mark, or gets one at this moment.
pub(super) async fn refuse_moved(client: &Client, address: &Address) -> Result<()> {
    let text: String = cell(client, "SELECT coalesce(move, '') FROM head", &[]).await?;
    let mark = match read_mark(&text)? {
        None => {
            client.batch_execute("SET lock_timeout = '10s'").await?;
            mark(client).await.context("the database is being moved, or a group of writes does not end; try again")?
        }
        mark => mark,
    };
    mark.map_or(Ok(()), |mark| MovingShared::refuse(address, &mark))
}

/// Does what the refusal of a database that was moved says.
#[cfg(test)]
pub(crate) async fn undo_move(address: &Address) -> Result<()> {
    let (client, _) = address.connect().await?;
    let statement = UNDO.split('`').nth(1).context("a statement")?;
    Ok(client.batch_execute(statement).await?)
}

async fn mark(client: &Client) -> Result<Option<MoveMark>> {
    read_mark(&cell::<String>(client, "SELECT coalesce(move, '') FROM head FOR SHARE", &[]).await?)
}

fn read_mark(text: &str) -> Result<Option<MoveMark>> {
    (!text.is_empty()).then(|| MoveMark::parse(text)).transpose()
}

async fn connected(address: &Address) -> Result<Client> {
    let (client, _) = address.connect().await.context("cannot connect to the database")?;
    client.batch_execute(SETTINGS).await?;
    Ok(client)
}

/// Refuses a database on which hosts run.
pub(super) async fn refuse_hosts(client: &Client, address: &Address) -> Result<()> {
    let live = hosts::list(client).await?.into_iter().filter(|host| host.is_live);
    let names: Vec<String> = live.map(|host| host.name).collect();
    ensure!(
        names.is_empty(),
        "hosts run on {address}: {}; stop them. One that was killed counts for 10 s more",
        names.join(", ")
    );
    Ok(())
}

impl ToSql for MovedValue {
    fn to_sql(&self, column: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) if *column == Type::BOOL => (*number != 0).to_sql(column, out),
            Self::Integer(number) => number.to_sql(column, out),
            Self::Text(text) => stored_text(text).to_sql(column, out),
            Self::Bytes(bytes) => bytes.to_sql(column, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
