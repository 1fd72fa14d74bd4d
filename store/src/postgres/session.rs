//! The connection that writes, used from a thread that may block.

use super::batch::Statement;
use super::connection::Address;
use crate::columns::{FromCell, value};
use crate::options::Profile;
use anyhow::{Result, anyhow};
use futures_util::future::join_all;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement as Prepared};

/// The values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The time after which a write without an answer is given up, with its connection.
const WRITE_ANSWER_MAX: Duration = Duration::from_secs(20);
/// A host that is stopped in a transaction holds up the others for no longer than this.
const IDLE_IN_TRANSACTION_MAX: Duration = Duration::from_secs(5);
/// Groups of other hosts are waited for. It is longer than the transaction of a host that is stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection with its prepared statements.
pub(super) struct Session {
    runtime: Arc<Runtime>,
    client: Client,
    /// The kind of database.
    pub profile: Profile,
    statements: RefCell<HashMap<String, Prepared>>,
}

/// The database answered nothing in time.
#[derive(Debug, thiserror::Error)]
#[error("the database does not answer")]
pub(super) struct NoAnswer;

impl Session {
    /// Connects. A commit is on disk before it is answered.
    pub fn connect(runtime: Arc<Runtime>, address: &Address) -> Result<Self> {
        let (client, _) = answer(&runtime, address.connect())?;
        let session = Self { runtime, client, profile: address.profile, statements: RefCell::default() };
        session.batch(&format!(
            "SET default_transaction_isolation = 'read committed'; SET idle_in_transaction_session_timeout = {}; SET lock_timeout = {}; SET statement_timeout = {}; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            IDLE_IN_TRANSACTION_MAX.as_millis(),
            LOCK_TIMEOUT.as_millis(),
            WRITE_ANSWER_MAX.as_millis(),
        ))?;
        Ok(session)
    }

    /// Runs statements without values.
    pub fn batch(&self, sql: &str) -> Result<()> {
        self.wait(self.client.batch_execute(sql))
    }

    /// Begins a transaction with a query that has one row, and returns that row and those of further queries. All are sent
    /// together.
    pub fn begin<const QUERIES: usize>(
        &self,
        first: &str,
        queries: &[Option<Statement>; QUERIES],
    ) -> Result<(Row, [Vec<Row>; QUERIES])> {
        let first = self.prepared(first)?;
        let queries = queries.iter().map(|query| query.as_ref().map(|query| self.ready(query)).transpose());
        let queries = queries.collect::<Result<Vec<_>>>()?;
        self.wait(async {
            let queries = queries.iter().map(|query| async move {
                match query {
                    Some((statement, values)) => self.client.query(statement, values).await,
                    None => Ok(Vec::new()),
                }
            });
            let first = self.client.query_one(&first, &[]);
            let (begun, first, found) =
                tokio::join!(biased; self.client.batch_execute("BEGIN"), first, join_all(queries));
            begun?;
            let (first, mut found) = (first?, found.into_iter().collect::<Result<Vec<_>, _>>()?);
            Ok((first, std::array::from_fn(|index| std::mem::take(&mut found[index]))))
        })
    }

    /// Runs the last statements of a transaction, and commits it. All are sent together.
    pub fn commit(&self, statements: &[Statement]) -> Result<()> {
        self.run_and(statements, async || self.client.batch_execute("COMMIT").await)
    }

    /// Runs statements that are sent together.
    pub fn run(&self, statements: &[Statement]) -> Result<()> {
        if statements.is_empty() {
            return Ok(());
        }
        self.run_and(statements, async || Ok(()))
    }

    fn run_and(
        &self,
        statements: &[Statement],
        then: impl AsyncFnOnce() -> Result<(), tokio_postgres::Error>,
    ) -> Result<()> {
        let ready = statements.iter().map(|statement| self.ready(statement)).collect::<Result<Vec<_>>>()?;
        self.wait(async {
            let run = ready.iter().map(|(statement, values)| self.client.execute(statement, values));
            // After a statement that failed, COMMIT is a rollback, and the error of the statement comes first.
            let (run, then) = tokio::join!(biased; join_all(run), then());
            run.into_iter().collect::<Result<Vec<_>, _>>()?;
            then
        })
    }

    fn ready<'s>(&self, statement: &'s Statement) -> Result<(Prepared, Vec<&'s (dyn ToSql + Sync)>)> {
        let values = statement.values.iter().map(|value| &**value).collect();
        Ok((self.prepared(&statement.sql)?, values))
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
    pub fn column<T: FromCell>(&self, sql: &str, values: Values) -> Result<Vec<T>> {
        self.rows(sql, values)?.iter().map(|row| value(row, 0, "first")).collect()
    }

    /// Returns the value in the first column of the only row of a query, if it has one.
    pub fn value<T: FromCell>(&self, sql: &str, values: Values) -> Result<Option<T>> {
        self.row(sql, values)?.map(|row| value(&row, 0, "first")).transpose()
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
        answer(&self.runtime, work(&self.client))
    }

    fn prepared(&self, sql: &str) -> Result<Prepared> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(self.client.prepare(sql))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        answer(&self.runtime, async { Ok(work.await?) })
    }
}

fn answer<T>(runtime: &Runtime, work: impl Future<Output = Result<T>>) -> Result<T> {
    let result = runtime.block_on(async { timeout(WRITE_ANSWER_MAX, work).await });
    result.unwrap_or_else(|_| Err(anyhow!(NoAnswer)))
}
