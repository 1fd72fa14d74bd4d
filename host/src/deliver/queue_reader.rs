//! Reads the queues of all destinations: those that wait at the same time share one read of the store.

use crate::tasks::finish_one;
use anyhow::{Context, Result};
use futures_util::future::join_all;
use hookmill_store::{DueDeliveries, QueueRead, Store};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Queues that are read at once: few enough that none waits long for the others.
const QUEUES_MAX: usize = 16;
/// Reads that run at the same time, so that a slow one does not hold up all destinations.
const READS_MAX: usize = 4;

/// The task that reads the queues. It ends with this.
#[derive(Debug)]
pub(super) struct QueueReader(mpsc::UnboundedSender<Wanted>);

/// The deliveries of one queue, later.
pub(super) type Reading = oneshot::Receiver<Result<DueDeliveries>>;

struct Wanted {
    read: QueueRead,
    reply: oneshot::Sender<Result<DueDeliveries>>,
}

impl QueueReader {
    /// Starts the task. It does not keep the store open while it waits.
    pub fn start(store: &Arc<Store>) -> Self {
        let (store, (sender, mut waiting)) = (Arc::downgrade(store), mpsc::unbounded_channel());
        tokio::spawn(async move {
            let (mut wanted, mut running) = (Vec::new(), JoinSet::new());
            while waiting.recv_many(&mut wanted, QUEUES_MAX).await > 0
                && let Some(store) = store.upgrade()
            {
                if running.len() == READS_MAX {
                    finish_one(&mut running).await;
                }
                running.spawn(read_together(store, std::mem::take(&mut wanted)));
            }
        });
        Self(sender)
    }

    /// Begins to read a queue.
    pub fn request(&self, read: QueueRead) -> Reading {
        let (reply, answer) = oneshot::channel();
        // This fails only if the task has ended, which the receiver notices too.
        let _ = self.0.send(Wanted { read, reply });
        answer
    }
}

async fn read_together(store: Arc<Store>, mut wanted: Vec<Wanted>) {
    // A destination that has begun anew waits for another read.
    wanted.retain(|wanted| !wanted.reply.is_closed());
    let queues: Arc<[QueueRead]> = wanted.iter().map(|wanted| wanted.read.clone()).collect();
    match store.due_deliveries(queues).await {
        Ok(due) => {
            for (Wanted { reply, .. }, due) in wanted.into_iter().zip(due) {
                let _ = reply.send(Ok(due));
            }
        }
        // The read of a queue must not fail because of the others.
        Err(_) => {
            let each = wanted.into_iter().map(async |Wanted { read, reply }| {
                let _ = reply.send(read_alone(&store, read).await);
            });
            join_all(each).await;
        }
    }
}

async fn read_alone(store: &Store, read: QueueRead) -> Result<DueDeliveries> {
    store.due_deliveries([read].into()).await?.pop().context("the store returned no queue")
}
