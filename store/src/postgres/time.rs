//! The time of the database, which is that of all hosts.
//!
//! One host decides what another one made due. If their clocks were minutes apart, deliveries would wait for that long, and
//! each host would accept other signatures.

use crate::columns::value;
use anyhow::Result;
use hookmill_incident::Clock;
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use tracing::warn;

/// A smaller difference changes nothing, so that the clock of the host goes on evenly.
const DIFFERENCE_MS_MAX: i64 = 1_000;
/// The time is not known from an answer that took longer.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(500);

/// Sets the clock of the host by that of the database if they differ.
pub(super) async fn follow(client: &Client, clock: &Clock) -> Result<()> {
    let (asked_at, before) = (Instant::now(), clock.now_ms());
    let row = client.query_one("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", &[]).await?;
    let took = asked_at.elapsed();
    let database: i64 = value(&row, 0, "time")?;
    let difference = database - before - took.as_millis() as i64 / 2;
    if took <= ROUND_TRIP_MAX && difference.abs() > DIFFERENCE_MS_MAX {
        let (seconds, side) = (difference.abs() / 1000, if difference > 0 { "behind" } else { "ahead of" });
        warn!("the clock of this machine is {seconds} s {side} the database's, which all hosts follow; set it right");
        clock.shift_ms(difference);
    }
    Ok(())
}
