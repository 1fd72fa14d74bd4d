//! The schema, and its migrations.

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::sleep;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tracing::info;

/// The migrations, each from the version before. A released migration is never edited.
const SCHEMA: [&str; 3] = [include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];
/// The table of the migrations that were made. Its row 0 is the lock, which needs no other kind of lock than rows have.
const MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS migrations (number bigint PRIMARY KEY, checksum text NOT NULL); \
    INSERT INTO migrations (number, checksum) VALUES (0, '') ON CONFLICT DO NOTHING";
/// Hosts that create the table at the same time may fail.
const TRIES: u32 = 10;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Brings the database to the newest schema. Of several hosts that start at once, one does so and the others wait.
pub(super) async fn migrate(client: &mut Client) -> Result<()> {
    let encoding: String = client.query_one("SHOW server_encoding", &[]).await?.try_get(0)?;
    ensure!(encoding == "UTF8", "the database has the encoding {encoding}; create it with the encoding UTF8");
    create_table(client).await?;
    let transaction = client.transaction().await?;
    transaction.query_one("SELECT FROM migrations WHERE number = 0 FOR UPDATE", &[]).await?;
    let sql = "SELECT number, checksum FROM migrations WHERE number > 0 ORDER BY number";
    let made = transaction.query(sql, &[]).await?;
    ensure!(
        made.len() <= SCHEMA.len(),
        "the schema of the database has version {}, but this hookmill supports at most {}; use the hookmill that wrote it",
        made.len(),
        SCHEMA.len()
    );
    for (row, sql) in made.iter().zip(SCHEMA) {
        let (number, stored): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        ensure!(stored == checksum(sql), "the migration {number} of the database is not the one of this hookmill");
    }
    for (index, sql) in SCHEMA.iter().enumerate().skip(made.len()) {
        let number = index as i64 + 1;
        if !made.is_empty() {
            info!("migrating the database to version {number} of {}", SCHEMA.len());
        }
        transaction.batch_execute(sql).await.with_context(|| format!("the migration {number} failed"))?;
        let insert = "INSERT INTO migrations (number, checksum) VALUES ($1, $2)";
        transaction.execute(insert, &[&number, &checksum(sql)]).await?;
    }
    Ok(transaction.commit().await?)
}

/// Refuses a database whose schema has another version.
pub(super) async fn check_current(client: &Client) -> Result<()> {
    let made: i64 = client
        .query_one("SELECT count(*) FROM migrations WHERE number > 0", &[])
        .await
        .context("the database was not made by hookmill")?
        .try_get(0)?;
    ensure!(
        made == SCHEMA.len() as i64,
        "the schema of the database has version {made}, but this hookmill has version {}; use the hookmill that wrote it, or \
         start this one once, which migrates it",
        SCHEMA.len()
    );
    Ok(())
}

async fn create_table(client: &Client) -> Result<()> {
    for left in (0..TRIES).rev() {
        match client.batch_execute(MIGRATIONS).await {
            Ok(()) => break,
            Err(error) if left > 0 && is_race(error.code()) => sleep(TRY_AGAIN_AFTER).await,
            Err(error) => return Err(error).context("cannot create the table of the migrations"),
        }
    }
    Ok(())
}

/// Returns whether an error is that of hosts that create the same table at once.
fn is_race(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE].contains(code))
}

fn checksum(sql: &str) -> String {
    hex::encode(Sha256::digest(sql))
}

#[cfg(test)]
mod tests {
    use super::migrate;
    use crate::postgres::Address;
    use crate::postgres::test_database::address;
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn hosts_that_start_at_once_migrate_once() {
        let address = address();
        let mut running = JoinSet::new();
        for _ in 0..4 {
            let address: Address = address.clone();
            running.spawn(async move { migrate(&mut address.connect().await.unwrap().0).await });
        }
        for result in running.join_all().await {
            result.unwrap();
        }
        let (client, _) = address.connect().await.unwrap();
        let count: i64 = client.query_one("SELECT count(*) FROM head", &[]).await.unwrap().get(0);
        assert_eq!(count, 1);
    }

    #[tokio::test]
    async fn a_schema_of_another_hookmill_is_refused() {
        let address = address();
        let (mut client, _) = address.connect().await.unwrap();
        migrate(&mut client).await.unwrap();
        client.batch_execute("UPDATE migrations SET checksum = 'another' WHERE number = 1").await.unwrap();
        assert!(migrate(&mut client).await.unwrap_err().to_string().contains("is not the one"));
        client.batch_execute("INSERT INTO migrations VALUES (9, ''), (10, '')").await.unwrap();
        assert!(migrate(&mut client).await.unwrap_err().to_string().contains("use the hookmill"));
    }
}
