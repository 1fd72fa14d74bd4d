//! What other hosts commit: the row `head` is read every moment, and the topics of this host are published.

use super::connection::Address;
use super::head::GROUPS_KEPT;
use super::own_groups::{OwnGroups, TaskCounters};
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

/// The row, with the events of groups of other hosts after a number, as one snapshot.
const LOOK: &str = "SELECT number, newest_audit, settings, deliveries, retries, queued, triage, \
    CASE WHEN number > $1 THEN array(SELECT events FROM group_events AS kept \
        WHERE kept.number > $1 AND host <> $2 ORDER BY kept.number) END FROM head";

/// The row `head`, as it was looked at last.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    number: i64,
    newest_audit: Uuid,
    settings: i64,
    counters: TaskCounters,
}

/// The task that watches the database for the commits of other hosts. It ends with this value.
#[derive(Debug)]
pub(super) struct Follower(JoinHandle<()>);

impl Follower {
    /// Starts the task for a host with this id, whose groups are `own`. What was committed after `seen` is published.
    pub fn start(address: Address, host: String, mut seen: Seen, own: Arc<OwnGroups>, topics: Arc<Topics>) -> Self {
        Self(tokio::spawn(async move {
            let mut client = None;
            loop {
                match look(&address, &host, &mut client, seen.number).await {
                    Ok((now, events)) => {
                        publish(&topics, seen, now, own.take(seen.number, now.number), events);
                        seen = now;
                    }
                    Err(error) => {
                        debug!("the commits of other hosts cannot be seen: {error:#}");
                        client = None;
                    }
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

/// Returns the row as it is before any further commit of this host.
pub(super) async fn first_look(client: &Client, host: &str) -> Result<Seen> {
    Ok(read(client, host, i64::MAX).await?.0)
}

async fn look(address: &Address, host: &str, client: &mut Option<Client>, after: i64) -> Result<(Seen, Vec<Uuid>)> {
    let client = match client {
        Some(client) => client,
        None => client.insert(address.connect().await?.0),
    };
    read(client, host, after).await
}

async fn read(client: &Client, host: &str, after: i64) -> Result<(Seen, Vec<Uuid>)> {
    let row = client.query_one(LOOK, &[&after, &host]).await?;
    let counters = [row.try_get(3)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?];
    let newest_audit = Uuid::from_slice(row.try_get(1)?)?;
    let seen = Seen { number: row.try_get(0)?, newest_audit, settings: row.try_get(2)?, counters };
    let groups: Option<Vec<Vec<u8>>> = row.try_get(7)?;
    let events = groups.into_iter().flatten().flat_map(|ids| {
        let ids = ids.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok());
        ids.collect::<Vec<_>>()
    });
    Ok((seen, events.collect()))
}

/// Publishes what other hosts committed between two looks.
fn publish(topics: &Topics, before: Seen, now: Seen, own: TaskCounters, events: Vec<Uuid>) {
    if now.number - before.number > GROUPS_KEPT {
        // Some of the groups have taken the places of others.
        topics.publish_missed_events();
    }
    let [deliveries, retries, queued, triage] =
        std::array::from_fn(|index| now.counters[index] - before.counters[index] > own[index]);
    let newest_audit = Some(now.newest_audit).filter(|id| *id != before.newest_audit);
    let settings = now.settings != before.settings;
    topics.publish(Changed { newest_audit, queued, triage, ..Changed::default() }, events);
    // The row does not say which destinations.
    if deliveries {
        topics.publish_all_deliveries();
    }
    if retries {
        topics.publish_all_retries();
    }
    if settings {
        topics.publish_settings();
    }
}

#[cfg(test)]
mod tests {
    use super::{OwnGroups, Seen, publish};
    use crate::topics::Topics;
    use uuid::Uuid;

    fn seen(number: i64, counters: [i64; 4]) -> Seen {
        Seen { number, newest_audit: Uuid::nil(), settings: 0, counters }
    }

    #[test]
    fn what_a_host_committed_itself_is_not_published_again() {
        let (topics, own) = (Topics::new(Uuid::nil()), OwnGroups::default());
        let (mut deliveries, mut retries) = (topics.watch_deliveries("soc"), topics.watch_retries("soc"));
        let mut look = |before: Seen, now: Seen| {
            publish(&topics, before, now, own.take(before.number, now.number), Vec::new());
            [&mut deliveries, &mut retries].map(|topic| {
                let has_changed = topic.has_changed().unwrap();
                topic.mark_unchanged();
                has_changed
            })
        };
        // Of the groups 1 to 3, the host made 1 and 3.
        own.add(1, [1, 1, 0, 0]);
        own.add(3, [1, 0, 0, 0]);
        let first = seen(3, [3, 1, 0, 0]);
        assert_eq!(look(seen(0, [0; 4]), first), [true, false]);
        // The host did not know yet that group 4 was committed, which is said once more than needed.
        let second = seen(4, [4, 2, 0, 0]);
        assert_eq!(look(first, second), [true, true]);
        own.add(4, [1, 1, 0, 0]);
        own.add(5, [1, 0, 0, 0]);
        let third = seen(6, [6, 3, 0, 0]);
        assert_eq!(look(second, third), [true, true]);
        own.add(7, [1, 1, 0, 0]);
        assert_eq!(look(third, seen(7, [7, 4, 0, 0])), [false, false]);
    }
}
