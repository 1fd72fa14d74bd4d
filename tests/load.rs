//! Senders that post signed payloads one after another without a pause, and keep every answer.

use crate::host::{Answer, Host, send, signed, unix_s};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

const SENDERS: usize = 16;

/// A payload that was sent.
pub struct Sent {
    pub body: String,
    /// The signing time.
    pub at: u64,
    /// `None` if the host ended before it answered.
    pub answer: Option<Answer>,
}

/// Running senders.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    senders: JoinSet<Vec<Sent>>,
}

impl Load {
    /// Starts senders that post different bodies, each beginning with `name`.
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

    /// Waits for at least this many further answers.
    pub async fn pass(&self, more: usize) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        crate::host::eventually("answers under load", async || {
            (self.answered.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    /// Stops the senders and returns the payloads that they sent, with the answers.
    pub async fn end(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.senders.join_all().await.into_iter().flatten().collect()
    }
}
