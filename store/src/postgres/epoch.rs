//! The start of a shared database that was restored from a backup. The work of the hosts after the backup is unknown, and
//! must not be repeated.

use super::connection::Address;
use super::migration::migrate;
use super::moving::{refuse_hosts, refuse_moved};
use super::query::cell;
use super::time;
use crate::rows::{EpochChanges, NewEpoch};
use anyhow::{Context, Result};
use hookmill_incident::Clock;
use hookmill_incident::id::{row_key_at, row_key_ms};
use jiff::{Timestamp, tz::TimeZone};

/// Prepares a database for going on in place of the one that was lost, at the time of the database, which the clock follows.
/// Returns the time of its newest row, which is that of the backup, and the changes.
pub(crate) async fn begin(address: &Address, clock: &Clock, skipped_numbers: u32) -> Result<(i64, EpochChanges)> {
    let (mut client, _) = address.connect().await.context("cannot connect to the database")?;
    migrate(&mut client, address.profile).await.context("the database cannot be used")?;
    time::follow(&client, clock).await?;
    let now = clock.now_ms();
    let year = i64::from(Timestamp::from_millisecond(now)?.to_zoned(TimeZone::UTC).year());
    let transaction = client.transaction().await?;
    let last_key: i64 = cell(&transaction, "SELECT last_key FROM head FOR UPDATE", &[]).await?;
    refuse_moved(transaction.client(), address).await?;
    refuse_hosts(transaction.client(), address).await?;
    let backup_at = row_key_ms(last_key).min(now);
    let kill = "UPDATE deliveries SET status = 'dead', error = $1 WHERE status = 'pending'";
    let dead_deliveries = transaction.execute(kill, &[&NewEpoch::reason(backup_at)]).await?;
    // Another version of the playbook would repeat them.
    let ended_triages = transaction.execute("DELETE FROM triage WHERE failed_on IS NOT NULL", &[]).await?;
    // A destination that failed at the time of the backup has not failed ever since, and a session that was ended after the
    // backup must not go on. Nothing is known of the hosts and leases of that time.
    let others = "UPDATE destinations SET failing_since = NULL; DELETE FROM sessions; DELETE FROM hosts; DELETE FROM groups; \
                  UPDATE leases SET host = NULL, epoch = epoch + 1; \
                  UPDATE identity SET id = replace(gen_random_uuid()::text, '-', '')";
    transaction.batch_execute(others).await?;
    if skipped_numbers > 0 {
        let first = "INSERT INTO numbers (year, last) VALUES ($1, 0) ON CONFLICT DO NOTHING";
        transaction.execute(first, &[&year]).await?;
        let skip = "UPDATE numbers SET last = last + $1 WHERE year >= $2";
        transaction.execute(skip, &[&i64::from(skipped_numbers), &year]).await?;
    }
    let last_key = last_key.max(row_key_at(now));
    transaction.execute("UPDATE head SET last_key = $1", &[&last_key]).await?;
    let restored = "INSERT INTO restores (at, backup_at, last_key) VALUES ($1, $2, $3) \
                    ON CONFLICT (at) DO UPDATE SET last_key = excluded.last_key";
    transaction.execute(restored, &[&now, &backup_at, &last_key]).await?;
    transaction.commit().await?;
    let [dead_deliveries, ended_triages] = [dead_deliveries, ended_triages].map(|rows| rows as usize);
    Ok((backup_at, EpochChanges { dead_deliveries, ended_triages }))
}
