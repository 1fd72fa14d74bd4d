//! The schema, and its migrations.

use super::connection::set_if_known;
use crate::options::Profile;
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
/// CockroachDB would commit a transaction before each statement that changes the schema, and YugabyteDB would distribute rows
/// by the hashes of their keys, so that no range of keys could be read in order.
const SETTINGS: [(&str, &str); 2] = [("autocommit_before_ddl", "off"), ("yb_use_hash_splitting_by_default", "off")];
/// The columns that the index of a primary key has beside the key. CockroachDB and YugabyteDB keep the rows themselves in the
/// order of their keys, and have no such columns.
const BESIDE_KEY: &str = " INCLUDE (deleted, status, severity, source, created_at, updated_at)";
/// YugabyteDB keeps the tables of a migration that did not end, but not its rows: these statements do nothing the second time.
const REPEATABLE: [(&str, &str); 3] = [
    ("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS "),
    ("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS "),
    ("ADD COLUMN ", "ADD COLUMN IF NOT EXISTS "),
];
/// Hosts that migrate at the same time may fail.
const TRIES: u32 = 10;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Brings the database to the newest schema. Of several hosts that start at once, one does so and the others wait.
pub(super) async fn migrate(client: &mut Client, profile: Profile) -> Result<()> {
    let encoding: String = client.query_one("SHOW server_encoding", &[]).await?.try_get(0)?;
    ensure!(encoding == "UTF8", "the database has the encoding {encoding}; create it with the encoding UTF8");
    client.batch_execute(&set_if_known(&SETTINGS)).await?;
    for _ in 1..TRIES {
        match migrate_once(client, profile).await {
            Err(error) if is_race(&error) => sleep(TRY_AGAIN_AFTER).await,
            result => return result,
        }
    }
    migrate_once(client, profile).await
}

async fn migrate_once(client: &mut Client, profile: Profile) -> Result<()> {
    client.batch_execute(MIGRATIONS).await.context("cannot create the table of the migrations")?;
    let transaction = client.transaction().await?;
    transaction.query_one("SELECT 1 FROM migrations WHERE number = 0 FOR UPDATE", &[]).await?;
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
        transaction
            .batch_execute(&statements(sql, profile))
            .await
            .with_context(|| format!("the migration {number} failed"))?;
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

/// Returns the statements of a migration for a kind of database.
fn statements(sql: &str, profile: Profile) -> String {
    match profile {
        Profile::Postgres => sql.to_owned(),
        Profile::CockroachDb => sql.replace(BESIDE_KEY, ""),
        Profile::YugabyteDb => {
            let once = sql.replace(BESIDE_KEY, "");
            REPEATABLE.iter().fold(once, |sql, (once, repeatable)| sql.replace(once, repeatable))
        }
    }
}

/// Returns whether an error is that of hosts that migrate at once.
fn is_race(error: &anyhow::Error) -> bool {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()?.code());
    code.is_some_and(|code| {
        let races = [
            SqlState::UNIQUE_VIOLATION,
            SqlState::DUPLICATE_TABLE,
            // A table has a type of its name.
            SqlState::DUPLICATE_OBJECT,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ];
        races.contains(code)
    })
}

fn checksum(sql: &str) -> String {
    hex::encode(Sha256::digest(sql))
}

#[cfg(test)]
mod tests {
    use super::{SCHEMA, migrate};
    use crate::options::Profile;
    use crate::postgres::Address;
    use crate::postgres::test_database::{address, profile};
    use tokio::task::JoinSet;
    use tokio_postgres::Client;

    async fn connected(address: &Address) -> Client {
        address.connect().await.unwrap().0
    }

    async fn text(client: &Client, sql: &str) -> String {
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    #[tokio::test]
    async fn hosts_that_start_at_once_migrate_once() {
        let address = address();
        let mut running = JoinSet::new();
        for _ in 0..4 {
            let address: Address = address.clone();
            running.spawn(async move { migrate(&mut connected(&address).await, profile()).await });
        }
        for result in running.join_all().await {
            result.unwrap();
        }
        let rows = text(&connected(&address).await, "SELECT count(*)::text FROM head").await;
        assert_eq!(rows, "1");
    }

    #[tokio::test]
    async fn a_schema_of_another_hookmill_is_refused() {
        let address = address();
        let mut client = connected(&address).await;
        migrate(&mut client, profile()).await.unwrap();
        client.batch_execute("UPDATE migrations SET checksum = 'another' WHERE number = 1").await.unwrap();
        assert!(migrate(&mut client, profile()).await.unwrap_err().to_string().contains("is not the one"));
        client.batch_execute("INSERT INTO migrations VALUES (9, ''), (10, '')").await.unwrap();
        assert!(migrate(&mut client, profile()).await.unwrap_err().to_string().contains("use the hookmill"));
    }

    /// The host of a database whose first migration was made by an earlier version makes the others.
    #[tokio::test]
    async fn an_older_schema_is_migrated_with_its_rows() {
        let mut client = connected(&address()).await;
        migrate(&mut client, profile()).await.unwrap();
        let identity = text(&client, "SELECT id FROM identity").await;
        let back = "ALTER TABLE head DROP COLUMN move; DROP TABLE plugin_files; ALTER TABLE hosts DROP COLUMN plugins; \
                    DELETE FROM migrations WHERE number > 1; UPDATE head SET number = 7";
        client.batch_execute(back).await.unwrap();
        migrate(&mut client, profile()).await.unwrap();
        assert_eq!(text(&client, "SELECT id FROM identity").await, identity);
        assert_eq!(text(&client, "SELECT number || coalesce(move, ' stays') FROM head").await, "7 stays");
        let made = text(&client, "SELECT max(number)::text FROM migrations").await;
        assert_eq!(made, SCHEMA.len().to_string());
    }

    #[tokio::test]
    async fn each_kind_of_database_gets_what_it_has() {
        for (profile, covers) in
            [(Profile::Postgres, true), (Profile::CockroachDb, false), (Profile::YugabyteDb, false)]
        {
            let mut client = connected(&address()).await;
            migrate(&mut client, profile).await.unwrap();
            let key = text(&client, "SELECT indexdef FROM pg_indexes WHERE indexname = 'incidents_pkey'").await;
            assert_eq!(key.contains("INCLUDE"), covers, "{profile}: {key}");
        }
        // As YugabyteDB leaves a migration that did not end: with the tables, and without the rows.
        let mut client = connected(&address()).await;
        migrate(&mut client, Profile::YugabyteDb).await.unwrap();
        client
            .batch_execute("DELETE FROM migrations WHERE number > 0; DELETE FROM head; DELETE FROM identity")
            .await
            .unwrap();
        migrate(&mut client, Profile::YugabyteDb).await.unwrap();
        let rows = "SELECT concat((SELECT count(*) FROM head), (SELECT count(*) FROM identity))";
        assert_eq!(text(&client, rows).await, "11");
    }
}
