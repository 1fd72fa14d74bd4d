//! What the store has to know of a notification to put its deliveries into queues.

use super::{Filter, Trigger};
use std::sync::Arc;

/// When to tell whom.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The notification's name.
    pub name: Arc<str>,
    /// What it is made for.
    pub trigger: Trigger,
    /// Which of those.
    pub filter: Arc<Filter>,
    /// The destination of each of its steps.
    pub to: Arc<[String]>,
}
