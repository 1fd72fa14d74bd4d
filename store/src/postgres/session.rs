//! The connection that writes, used from a thread that may block.

use super::connection::Address;
use anyhow::{Result, anyhow};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

/// The values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The time after which a connection without an answer is given up.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// A host that is stopped in a transaction holds up the others for no longer than this.
const IDLE_IN_TRANSACTION_MAX: Duration = Duration::from_secs(5);
/// Groups of other hosts are waited for. It is longer than the transaction of a host that is stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection with its prepared statements.
pub(super) struct Session<'a> {
    runtime: &'a Runtime,
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
}

/// The database answered nothing in time.
#[derive(Debug, thiserror::Error)]
#[error("the database does not answer")]
pub(super) struct NoAnswer;

impl<'a> Session<'a> {
    /// Connects. A commit is on disk before it is answered.
    pub fn connect(runtime: &'a Runtime, address: &Address) -> Result<Self> {
        let (client, _) = answer(runtime, address.connect())?;
        let session = Self { runtime, client, statements: RefCell::default() };
        session.batch(&format!(
            "SET idle_in_transaction_session_timeout = {}; SET lock_timeout = {}; SET statement_timeout = {}; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            IDLE_IN_TRANSACTION_MAX.as_millis(),
            LOCK_TIMEOUT.as_millis(),
            ANSWER_MAX.as_millis(),
        ))?;
        Ok(session)
    }

    /// Runs statements without values.
    pub fn batch(&self, sql: &str) -> Result<()> {
        self.wait(self.client.batch_execute(sql))
    }

    /// Returns the rows of a query.
    pub fn rows(&self, sql: &str, values: Values) -> Result<Vec<Row>> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.query(&statement, values))
    }

    /// Returns the only row of a query, if it has one.
    pub fn row(&self, sql: &str, values: Values) -> Result<Option<Row>> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.query_opt(&statement, values))
    }

    /// Returns the values in the first column of a query.
    pub fn column<T: for<'b> tokio_postgres::types::FromSql<'b>>(&self, sql: &str, values: Values) -> Result<Vec<T>> {
        self.rows(sql, values)?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Returns the value in the first column of the only row of a query, if it has one.
    pub fn value<T: for<'b> tokio_postgres::types::FromSql<'b>>(&self, sql: &str, values: Values) -> Result<Option<T>> {
        Ok(self.row(sql, values)?.map(|row| row.try_get(0)).transpose()?)
    }

    /// Returns whether a query has rows.
    pub fn exists(&self, sql: &str, values: Values) -> Result<bool> {
        Ok(!self.rows(sql, values)?.is_empty())
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub fn execute(&self, sql: &str, values: Values) -> Result<usize> {
        let statement = self.prepared(sql)?;
        Ok(self.wait(self.client.execute(&statement, values))? as usize)
    }

    /// Waits for what uses the connection itself.
    pub fn wait_for<T>(&self, work: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        let result = self.runtime.block_on(timeout(ANSWER_MAX, work(&self.client)));
        result.unwrap_or_else(|_| Err(anyhow!(NoAnswer)))
    }

    fn prepared(&self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(self.client.prepare(sql))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        answer(self.runtime, async { Ok(work.await?) })
    }
}

fn answer<T>(runtime: &Runtime, work: impl Future<Output = Result<T>>) -> Result<T> {
    let result = runtime.block_on(async { timeout(ANSWER_MAX, work).await });
    result.unwrap_or_else(|_| Err(anyhow!(NoAnswer)))
}
