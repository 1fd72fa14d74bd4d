//! Senders that post signed payloads as fast as they are answered, and remember every answer.

use crate::host::{Answer, Host, send, signed, unix_s};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

const SENDERS: usize = 16;

/// One payload that was sent.
pub struct Sent {
    pub body: String,
    /// When it was signed.
    pub at: u64,
    /// None when the host went away before it answered.
    pub answer: Option<Answer>,
}

/// Senders under way.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    senders: JoinSet<Vec<Sent>>,
}

impl Load {
    /// Posts bodies that begin with `name` and are all different.
    pub fn start(host: &Host<'_>, source: &str, name: &str) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let (stop, answered) = (stop.clone(), answered.clone());
            let (webhook, name) = (host.webhook(source), format!("{name}-{sender}"));
            senders.spawn(async move {
                let mut sent = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let (body, at) = (format!("{name}-{}", sent.len()), unix_s());
                    let answer = send(signed(webhook.try_clone().unwrap(), at, body.clone())).await.ok();
                    let gone = answer.is_none();
                    sent.push(Sent { body, at, answer });
                    if gone {
                        break;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                sent
            });
        }
        Self { stop, answered, senders }
    }

    /// Waits until at least this many more were answered.
    pub async fn pass(&self, more: usize) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        crate::host::eventually("answers under load", async || {
            (self.answered.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    /// Lets every sender end and returns what they sent.
    pub async fn end(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.senders.join_all().await.into_iter().flatten().collect()
    }
}
