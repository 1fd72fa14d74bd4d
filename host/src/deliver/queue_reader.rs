//! Reads the queues of all destinations: those that wait at the same time share one read of the store.

use anyhow::{Context, Result};
use futures_util::future::join_all;
use hookmill_store::{DueDeliveries, QueueRead, Store};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Queues that are read at once: few enough that none waits long for the others.
const QUEUES_MAX: usize = 64;

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
    /// Starts the task.
    pub fn start(store: Arc<Store>) -> Self {
        let (sender, mut waiting) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut wanted = Vec::new();
            while waiting.recv_many(&mut wanted, QUEUES_MAX).await > 0 {
                read(&store, std::mem::take(&mut wanted)).await;
            }
        });
        Self(sender)
    }

    /// Begins to read a queue.
    pub fn read(&self, read: QueueRead) -> Reading {
        let (reply, answer) = oneshot::channel();
        // This fails only if the task has ended, which the receiver notices too.
        let _ = self.0.send(Wanted { read, reply });
        answer
    }
}

async fn read(store: &Store, wanted: Vec<Wanted>) {
    let queues: Arc<[QueueRead]> = wanted.iter().map(|wanted| wanted.read.clone()).collect();
    match store.due_deliveries(queues).await {
        Ok(due) => {
            for (Wanted { reply, .. }, due) in wanted.into_iter().zip(due) {
                // The destination may have begun anew.
                let _ = reply.send(Ok(due));
            }
        }
        // The read of a queue must not fail because of the others.
        Err(_) => {
            let each = wanted.into_iter().map(|Wanted { read, reply }| async move {
                let _ = reply.send(read_alone(store, read).await);
            });
            join_all(each).await;
        }
    }
}

async fn read_alone(store: &Store, read: QueueRead) -> Result<DueDeliveries> {
    store.due_deliveries([read].into()).await?.pop().context("the store returned no queue")
}
