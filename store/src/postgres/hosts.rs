//! The table `hosts`.

use crate::options::HostIdentity;
use crate::rows::HostRow;
use anyhow::{Result, ensure};
use jiff::Timestamp;
use std::time::{Duration, Instant, SystemTime};
use tokio::time::sleep;
use tokio_postgres::Client;

/// The time for which a lease is granted or renewed. A host that was not seen for longer holds none.
pub(super) const LEASE_TIME: Duration = Duration::from_secs(10);
/// The time after which a host that was not seen any more is forgotten, and its slot may go to another one. It is forgotten
/// earlier if no other slot is left, so that a host that ends and starts again and again finds one.
const SLOT_KEPT_FOR: Duration = Duration::from_secs(600);

const REGISTER: &str = "INSERT INTO hosts (id, slot, name, version) \
    SELECT $1, slot, $2, $3 FROM generate_series(0::bigint, 31) AS free (slot) \
    WHERE slot NOT IN (SELECT slot FROM hosts) ORDER BY slot LIMIT 1 \
    ON CONFLICT (slot) DO NOTHING RETURNING slot";
const FORGET: &str = "DELETE FROM hosts WHERE seen_at < now() - $1::bigint * interval '1 millisecond'";

const FORGET_ONE: &str = "DELETE FROM hosts WHERE id = ( \
    SELECT id FROM hosts WHERE seen_at < now() - $1::bigint * interval '1 millisecond' ORDER BY seen_at LIMIT 1)";
const SLOTS: i64 = 32;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Adds a host and returns its slot. Waits for the slot of a host that was killed a moment ago, if none is free.
pub(super) async fn register(client: &Client, host: &HostIdentity) -> Result<u64> {
    client.execute(FORGET, &[&(SLOT_KEPT_FOR.as_millis() as i64)]).await?;
    let until = Instant::now() + LEASE_TIME + TRY_AGAIN_AFTER;
    loop {
        if let Some(slot) = try_register(client, host).await? {
            return Ok(slot);
        }
        ensure!(Instant::now() < until, "{SLOTS} hosts run on this database already; stop one of them");
        sleep(TRY_AGAIN_AFTER).await;
    }
}

/// Adds a host, unless another one took the same slot at this moment, or all are taken.
async fn try_register(client: &Client, host: &HostIdentity) -> Result<Option<u64>> {
    let count: i64 = client.query_one("SELECT count(*) FROM hosts", &[]).await?.try_get(0)?;
    if count >= SLOTS {
        client.execute(FORGET_ONE, &[&(LEASE_TIME.as_millis() as i64)]).await?;
    }
    let row = client.query_opt(REGISTER, &[&host.id, &host.name, &host.version]).await?;
    row.map(|row| Ok(row.try_get::<_, i64>(0)?.try_into()?)).transpose()
}

/// Records that a host lives, which leases of others it would take, and its loaded plugins in JSON. Returns false if the host
/// was forgotten.
pub(super) async fn put_seen(client: &Client, id: &str, waiting: &[String], plugins: &str) -> Result<bool> {
    let sql = "UPDATE hosts SET seen_at = now(), waiting = $2, plugins = $3 WHERE id = $1";
    Ok(client.execute(sql, &[&id, &waiting, &plugins]).await? > 0)
}

/// Returns the leases that each other live host would take.
pub(super) async fn live_others(client: &Client, id: &str) -> Result<Vec<Vec<String>>> {
    let sql = "SELECT waiting FROM hosts WHERE id <> $1 AND seen_at > now() - $2::bigint * interval '1 millisecond'";
    let rows = client.query(sql, &[&id, &(LEASE_TIME.as_millis() as i64)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Removes a host that ends.
pub(super) async fn remove(client: &Client, id: &str) -> Result<()> {
    client.execute("DELETE FROM hosts WHERE id = $1", &[&id]).await?;
    Ok(())
}

/// Returns the hosts with the leases that each of them holds, by slot.
pub(super) async fn list(client: &Client) -> Result<Vec<HostRow>> {
    let sql = "SELECT id, name, slot, version, started_at, seen_at, \
        seen_at > now() - $1::bigint * interval '1 millisecond', \
        array(SELECT leases.name FROM leases WHERE host = hosts.id AND expires_at > now() ORDER BY leases.name), \
        plugins FROM hosts ORDER BY slot";
    let rows = client.query(sql, &[&(LEASE_TIME.as_millis() as i64)]).await?;
    rows.iter()
        .map(|row| {
            Ok(HostRow {
                id: row.try_get(0)?,
                name: row.try_get(1)?,
                slot: row.try_get(2)?,
                version: row.try_get(3)?,
                started_at: time(row.try_get(4)?)?,
                seen_at: time(row.try_get(5)?)?,
                is_live: row.try_get(6)?,
                leases: row.try_get(7)?,
                plugins: serde_json::from_str(row.try_get(8)?)?,
            })
        })
        .collect()
}

fn time(time: SystemTime) -> Result<Timestamp> {
    Ok(Timestamp::try_from(time)?)
}

#[cfg(test)]
mod tests {
    use super::{SLOTS, register, try_register};
    use crate::options::HostIdentity;
    use crate::postgres::test_database::migrated;

    #[tokio::test]
    async fn a_host_that_is_gone_gives_its_slot_only_if_no_other_is_left() {
        let (client, _) = migrated().await.connect().await.unwrap();
        let host = |id: String| HostIdentity { name: id.clone(), id, version: "1".into() };
        for slot in 0..SLOTS {
            let own = register(&client, &host(format!("host-{slot}"))).await.unwrap();
            assert_eq!(own, slot as u64);
            // All but the last one are gone, the fourth for longest.
            let ago = if slot == 3 { 60 } else { 30 };
            if slot + 1 < SLOTS {
                let gone = "UPDATE hosts SET seen_at = now() - $1::bigint * interval '1 second' WHERE slot = $2";
                client.execute(gone, &[&(ago as i64), &slot]).await.unwrap();
            }
        }
        assert_eq!(register(&client, &host("another".into())).await.unwrap(), 3);
        client.batch_execute("UPDATE hosts SET seen_at = now()").await.unwrap();
        assert_eq!(try_register(&client, &host("one too many".into())).await.unwrap(), None);
    }
}
