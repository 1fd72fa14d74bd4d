//! The destinations of deliveries.

use super::channel::Channel;
use super::content::Content;
use super::destination_type::DestinationType;
use super::retry_schedule::RetrySchedule;
use crate::loaded::Loaded;
use crate::rate_limit::RateLimit;
use hookmill_store::{DestinationRow, DueDelivery};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The default number of concurrent attempts of one destination.
pub const CONCURRENCY: usize = 8;
/// The default number of concurrent connections to a mail server: many servers refuse more from one client.
pub const MAIL_CONCURRENCY: usize = 2;
/// The default time between two messages to a chat. Chats take one a second, and messages may be on their way for
/// different times.
pub const CHAT_INTERVAL: Duration = Duration::from_millis(1_050);
/// The largest `concurrency` that can be configured.
pub const CONCURRENCY_MAX: usize = 256;
/// The default time of uninterrupted failures after which a destination is disabled.
pub const DISABLE_AFTER: Duration = Duration::from_secs(5 * 24 * 60 * 60);

/// A receiver, and how deliveries to it are sent and retried.
#[derive(Debug)]
pub struct Destination {
    /// The name.
    pub name: String,
    /// The type.
    pub kind: DestinationType,
    /// A digest of the address, which identifies the destination after a change of the configuration.
    pub fingerprint: String,
    /// Whether the destination gets every audit entry.
    pub gets_all_changes: bool,
    /// Whether changes of one incident are delivered in order.
    pub is_ordered: bool,
    /// The channel to the receiver.
    pub channel: Channel,
    /// The content of deliveries that belong to no notification, or the reason why there is none.
    pub content: Result<Content, String>,
    /// The waits between attempts.
    pub retry_schedule: RetrySchedule,
    /// The number of concurrent attempts.
    pub concurrency: usize,
    /// The time of uninterrupted failures after which the destination is disabled.
    pub disable_after: Duration,
    /// The limit of attempts per second.
    pub rate_limit: RateLimit,
}

/// The steps of each notification, by name.
pub type Notifications = BTreeMap<String, Arc<[Step]>>;

/// One step of a notification.
#[derive(Debug)]
pub struct Step {
    /// The destination.
    pub to: String,
    /// The content of its messages.
    pub content: Content,
}

impl Destination {
    /// Returns the part that the store needs.
    pub fn row(&self) -> DestinationRow {
        DestinationRow {
            name: self.name.clone(),
            fingerprint: self.fingerprint.clone(),
            gets_all_changes: self.gets_all_changes,
            is_ordered: self.is_ordered,
            longest_wait_ms: self.retry_schedule.longest_wait().as_millis() as i64,
        }
    }

    /// Returns the content of a delivery.
    ///
    /// # Errors
    /// Returns an error if the notification or the step of the delivery no longer exists.
    pub(super) fn content_of<'a>(
        &'a self,
        delivery: &DueDelivery,
        notifications: &'a Notifications,
    ) -> Result<&'a Content, String> {
        let Some((name, step)) = &delivery.step else { return self.content.as_ref().map_err(Clone::clone) };
        let steps =
            notifications.get(name).ok_or_else(|| format!("the notification `{name}` is no longer configured"))?;
        let uses_this = |step: &&Step| step.to == self.name;
        // Other steps may have been added or removed since the delivery was queued.
        let mut others = steps.iter().filter(uses_this);
        let step = steps.get(*step).filter(uses_this);
        let step = step.or_else(|| others.next().filter(|_| others.next().is_none()));
        step.map(|step| &step.content).ok_or_else(|| {
            format!("the notification `{name}` was changed, and this step no longer uses this destination")
        })
    }

    /// Returns the files that the connections were created from.
    pub fn files(&self) -> Vec<&PathBuf> {
        self.channel.files()
    }

    /// Returns whether a notifier renders the requests that may be loaded soon.
    pub(super) fn waits_for_plugins(&self, loaded: &Loaded) -> bool {
        let notifier = self.content.as_ref().ok().and_then(|content| content.notifier());
        let is_lacking = |name: &str| loaded.is_lacking() && !loaded.plugins().contains_key(name);
        notifier.is_some_and(|(_, name)| !loaded.is_settled() || is_lacking(name))
    }
}
