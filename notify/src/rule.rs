//! The part of a notification that decides which deliveries are queued.

use crate::{Filter, Trigger};
use std::sync::Arc;

/// A configured notification, as far as the store needs it to queue deliveries.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The notification's name.
    pub name: Arc<str>,
    /// The occasion.
    pub trigger: Trigger,
    /// The condition on the trigger's messages.
    pub filter: Arc<Filter>,
    /// The destination of each step.
    pub to: Arc<[String]>,
}
