//! The table `leases`: which host does which work. Expiry is judged by the database's clock.
//!
//! Every statement locks rows in the order of their names, so that no two wait for each other.

use super::hosts::LEASE_TIME;
use super::lease_share::LeaseRow;
use anyhow::Result;
use std::collections::BTreeMap;
use tokio_postgres::{Client, Row};

/// Reads the epochs of the newest grants. The leases are granted to no other host until the transaction ends.
pub(super) const NEWEST_EPOCHS: &str = "SELECT name, epoch FROM leases WHERE name = ANY($1) ORDER BY name FOR SHARE";
const RENEW: &str = "WITH own AS (SELECT name FROM leases WHERE host = $1 AND name = ANY($2) ORDER BY name FOR UPDATE) \
    UPDATE leases SET expires_at = now() + $3::bigint * interval '1 millisecond' FROM own \
    WHERE leases.name = own.name RETURNING leases.name, epoch";
/// Of a database that was moved, no host gets a lease.
const TAKE: &str = "INSERT INTO leases (name, host, epoch, expires_at) \
    SELECT name, $1, 1, now() + $3::bigint * interval '1 millisecond' FROM unnest($2::text[]) AS wanted (name) \
    WHERE NOT EXISTS (SELECT 1 FROM head WHERE move IS NOT NULL) ORDER BY name \
    ON CONFLICT (name) DO UPDATE \
    SET host = excluded.host, epoch = leases.epoch + 1, expires_at = excluded.expires_at \
    WHERE leases.host IS NULL OR leases.host = excluded.host OR leases.expires_at < now() \
    RETURNING name, epoch";
const RELEASE: &str = "WITH own AS (SELECT name FROM leases WHERE host = $1 AND name = ANY($2) ORDER BY name FOR UPDATE) \
    UPDATE leases SET host = NULL, expires_at = now() FROM own WHERE leases.name = own.name";
const RELEASE_ALL: &str = "WITH own AS (SELECT name FROM leases WHERE host = $1 ORDER BY name FOR UPDATE) \
    UPDATE leases SET host = NULL, expires_at = now() FROM own WHERE leases.name = own.name";
const LIST: &str = "SELECT name, host, expires_at > now(), expires_at < now() - $1::bigint * interval '1 millisecond' \
    FROM leases";

fn lease_ms() -> i64 {
    LEASE_TIME.as_millis() as i64
}

/// Renews those leases that the host still has, and returns them with their epochs.
pub(super) async fn renew(client: &Client, host: &str, names: &[String]) -> Result<BTreeMap<String, u64>> {
    epochs(&client.query(RENEW, &[&host, &names, &lease_ms()]).await?)
}

/// Takes those leases that are free, and returns them with their epochs.
pub(super) async fn take(client: &Client, host: &str, names: &[String]) -> Result<BTreeMap<String, u64>> {
    epochs(&client.query(TAKE, &[&host, &names, &lease_ms()]).await?)
}

/// Releases leases of the host.
pub(super) async fn release(client: &Client, host: &str, names: &[String]) -> Result<()> {
    client.execute(RELEASE, &[&host, &names]).await?;
    Ok(())
}

/// Releases every lease of the host.
pub(super) async fn release_all(client: &Client, host: &str) -> Result<()> {
    client.execute(RELEASE_ALL, &[&host]).await?;
    Ok(())
}

/// Returns all leases.
pub(super) async fn list(client: &Client) -> Result<Vec<LeaseRow>> {
    let rows = client.query(LIST, &[&lease_ms()]).await?;
    let lease = |row: &Row| {
        let is_held: bool = row.try_get(2)?;
        let host = Option::filter(row.try_get(1)?, |_| is_held);
        Ok(LeaseRow { name: row.try_get(0)?, host, is_left: row.try_get(3)? })
    };
    rows.iter().map(lease).collect()
}

fn epochs(rows: &[Row]) -> Result<BTreeMap<String, u64>> {
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.try_into()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::{NEWEST_EPOCHS, renew};
    use crate::postgres::test_database::migrated;
    use std::time::Duration;
    use tokio_postgres::Client;

    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";

    async fn wait_for(client: &Client, waiting: i64) {
        while client.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) < waiting {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A renewal and a group of writes that want the same leases wait for one another, and neither fails.
    #[tokio::test]
    async fn renewals_and_writes_lock_leases_in_one_order() {
        let address = migrated().await;
        let connect = async || address.connect().await.unwrap().0;
        let (holder, keeper, writer) = (connect().await, connect().await, connect().await);
        let names = ["a".to_owned(), "b".to_owned()];
        // The rows lie in the other order.
        for name in ["b", "a"] {
            let insert = "INSERT INTO leases (name, host, epoch, expires_at) VALUES ($1, 'own', 1, now())";
            holder.execute(insert, &[&name]).await.unwrap();
        }
        holder.batch_execute("BEGIN; UPDATE leases SET epoch = epoch WHERE name = 'b'").await.unwrap();
        let renewed = renew(&keeper, "own", &names);
        let watched = async {
            wait_for(&holder, 1).await;
            let read = async { writer.query(NEWEST_EPOCHS, &[&&names[..]]).await };
            let released = async {
                wait_for(&holder, 2).await;
                holder.batch_execute("COMMIT").await
            };
            let (read, released) = tokio::join!(read, released);
            released.unwrap();
            read
        };
        let (renewed, read) = tokio::join!(renewed, watched);
        assert_eq!((renewed.unwrap().len(), read.unwrap().len()), (2, 2));
    }
}
