//! What other hosts commit: the row `head` is read every moment, and the topics of this host are published.

use super::connection::Address;
use super::head::GROUPS_KEPT;
use crate::topics::{Changed, Topics};
use anyhow::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tracing::debug;
use uuid::Uuid;

/// A change of another host is noticed after this time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const HEAD: &str = "SELECT number, newest_audit, deliveries, retries, queued, triage, settings FROM head";
const EVENTS: &str =
    "SELECT events FROM group_events WHERE number > $1 AND number <= $2 AND host <> $3 ORDER BY number";

/// The task that watches the database for the commits of other hosts. It ends with this value.
#[derive(Debug)]
pub(super) struct Follower(JoinHandle<()>);

/// The row `head`, as it was looked at last.
#[derive(Clone, Copy)]
struct Seen {
    number: i64,
    newest_audit: Uuid,
    /// The counters of deliveries, retries, queued events, triage requests and settings.
    topics: [i64; 5],
}

impl Follower {
    /// Starts the task for a host with this id.
    pub fn start(address: Address, host: String, topics: Arc<Topics>) -> Self {
        Self(tokio::spawn(async move {
            let (mut client, mut seen) = (None, None);
            loop {
                if let Err(error) = look(&address, &host, &topics, &mut client, &mut seen).await {
                    debug!("the commits of other hosts cannot be seen: {error:#}");
                    client = None;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn look(
    address: &Address,
    host: &String,
    topics: &Topics,
    client: &mut Option<Client>,
    seen: &mut Option<Seen>,
) -> Result<()> {
    let client = match client {
        Some(client) => client,
        None => client.insert(address.connect().await?.0),
    };
    let row = client.query_one(HEAD, &[]).await?;
    let newest_audit = Uuid::from_slice(row.try_get(1)?)?;
    let counters = [row.try_get(2)?, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?];
    let now = Seen { number: row.try_get(0)?, newest_audit, topics: counters };
    // The first look may follow commits that this host has not read.
    let before = seen.unwrap_or(Seen { number: now.number, newest_audit: Uuid::nil(), topics: [-1; 5] });
    if before.number == now.number && seen.is_some() {
        return Ok(());
    }
    let oldest = before.number.max(now.number - GROUPS_KEPT);
    let rows = client.query(EVENTS, &[&oldest, &now.number, host]).await?;
    let mut events = Vec::new();
    for row in rows {
        let ids: &[u8] = row.try_get(0)?;
        events.extend(ids.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()));
    }
    let topic = |index: usize| before.topics.get(index) != now.topics.get(index);
    let [deliveries, retries, queued, triage, settings] = std::array::from_fn(topic);
    let newest_audit = Some(now.newest_audit).filter(|id| *id != before.newest_audit);
    topics.publish(Changed { newest_audit, deliveries, retries, queued, triage, settings }, events);
    if settings {
        topics.publish_settings();
    }
    *seen = Some(now);
    Ok(())
}
