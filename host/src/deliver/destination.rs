//! Where deliveries go: by which channel, how often again, how many at once.

use super::content::Content;
use super::email::Email;
use super::file::LineFile;
use super::http::Http;
use crate::rate_limit::RateLimit;
use hookmill_incident::words;
use hookmill_store::DestinationRow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Attempts that one destination has under way at once.
pub const CONCURRENCY: usize = 8;
/// The most that can be configured.
pub const CONCURRENCY_MAX: usize = 256;
/// How long nothing but failures may last before a destination gets nothing any more.
pub const DISABLE_AFTER: Duration = Duration::from_secs(5 * 24 * 60 * 60);

words!(
    /// What a destination is.
    DestinationType {
        /// Audit entries as JSON over HTTP.
        Webhook = "webhook",
        /// Any HTTP request.
        Http = "http",
        Slack = "slack", Mattermost = "mattermost",
        /// Microsoft Teams, through a Workflows URL.
        Teams = "teams",
        /// SMTP.
        Email = "email",
        /// Alerts of a TheHive.
        Thehive = "thehive",
        /// Lines of JSON in a file.
        File = "file",
    }
);

words!(
    /// What waits for what.
    Ordering {
        /// Changes of one incident for each other.
        Incident = "incident",
        /// Nothing.
        None = "none",
    }
);

/// A receiver and how it is dealt with.
#[derive(Debug)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: DestinationType,
    /// What makes it the same destination after a change of the configuration: where it is.
    pub fingerprint: String,
    /// Whether every audit entry goes there.
    pub receives_all: bool,
    /// Whether changes of one incident wait for each other.
    pub is_ordered: bool,
    /// The way there.
    pub channel: Channel,
    /// What it is sent of a change that no notification sends there, or why there is nothing to send.
    pub content: Result<Content, String>,
    /// When to try again.
    pub retry_schedule: RetrySchedule,
    /// Attempts under way at once.
    pub concurrency: usize,
    /// How long nothing but failures may last.
    pub disable_after: Duration,
    /// Attempts in a second.
    pub rate_limit: RateLimit,
}

/// How something is sent.
#[derive(Debug)]
pub enum Channel {
    /// A request and its answer.
    Http(Http),
    /// A mail.
    Email(Email),
    /// A line.
    File(LineFile),
}

/// The waits between attempts; one attempt more than waits, and it is dead.
#[derive(Clone, Debug)]
pub struct RetrySchedule(Vec<Duration>);

/// What each notification sends, step by step.
pub type Notifications = BTreeMap<String, Arc<[Step]>>;

/// What one step of a notification sends where.
#[derive(Debug)]
pub struct Step {
    /// The destination.
    pub to: String,
    /// What is sent.
    pub content: Content,
}

impl RetrySchedule {
    /// These waits.
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// The wait after so many attempts; none when that was the last one.
    pub fn wait(&self, attempts: u32) -> Option<Duration> {
        self.0.get(attempts as usize).copied()
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let seconds = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self(seconds.into_iter().map(Duration::from_secs).collect())
    }
}

impl Destination {
    /// What the store has to know of it.
    pub fn row(&self) -> DestinationRow {
        DestinationRow {
            name: self.name.clone(),
            fingerprint: self.fingerprint.clone(),
            receives_all: self.receives_all,
            is_ordered: self.is_ordered,
        }
    }

    /// The files that its connections are made with.
    pub fn files(&self) -> &[PathBuf] {
        match &self.channel {
            Channel::Http(http) => http.connection.files(),
            Channel::Email(email) => email.files(),
            Channel::File(_) => &[],
        }
    }

    /// Whether a plugin makes what it is sent.
    pub(super) fn waits_for_plugins(&self) -> bool {
        self.content.as_ref().is_ok_and(Content::has_notifier)
    }
}
