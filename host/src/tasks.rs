//! Sets of tasks, of which one that panics ends alone, the pauses and leases of tasks that run until the host stops, and
//! the pauses between the writes of long work.

use hookmill_store::{Lease, LeaseName, Leases, Store, StoreError, Timed};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

/// Waits for one task. Returns false if there is none.
pub async fn finish_one(tasks: &mut JoinSet<()>) -> bool {
    match tasks.join_next().await {
        None => false,
        Some(ended) => {
            if let Err(defect) = ended {
                error!("a task ended with a defect: {defect}");
            }
            true
        }
    }
}

/// Waits for all tasks. [`JoinSet::join_all`] would panic with the first task that does.
pub async fn finish_all(mut tasks: JoinSet<()>) {
    while finish_one(&mut tasks).await {}
}

/// Waits, and returns whether the host still runs.
pub async fn pause(duration: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::time::timeout(duration, stopped.wait_for(|stopped| *stopped)).await.is_err()
}

/// Waits for a lease. Returns `None` if the host stops first.
pub async fn lease(store: &Store, name: LeaseName, stopped: &mut watch::Receiver<bool>) -> Option<Lease> {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => None,
        lease = store.acquire(name) => Some(lease),
    }
}

/// Does one write of many, and leaves the writer to others for a while.
///
/// # Errors
/// Returns an error if the write fails.
pub async fn paced<T>(write: impl Future<Output = Result<Timed<T>, StoreError>>) -> Result<T, StoreError> {
    /// The least pause after a write.
    const PAUSE: Duration = Duration::from_millis(10);
    /// The pause after a write is so many times as long as the write took.
    const PAUSE_SHARE: u32 = 4;
    let Timed { answer, took } = write.await?;
    tokio::time::sleep(PAUSE.max(took * PAUSE_SHARE)).await;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn the_defect_of_one_task_ends_no_other() {
        let done = Arc::new(AtomicU32::new(0));
        let mut tasks = JoinSet::new();
        for index in 0..4 {
            let done = done.clone();
            tasks.spawn(async move {
                tokio::task::yield_now().await;
                assert_ne!(index, 1, "it panics");
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        finish_all(tasks).await;
        assert_eq!(done.load(Ordering::Relaxed), 3);
    }
}
