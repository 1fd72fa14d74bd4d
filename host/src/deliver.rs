//! Delivers messages to destinations: signs them, retries until they arrive or are dead, and records every attempt.
//!
//! Each destination has its own task, so that a slow receiver delays no other destination. Deliveries are queued in the
//! store; the task reads those that are due. Tasks that want to read at the same time share one read of the store.

mod activity;
mod attempt;
mod breaker;
mod channel;
mod content;
mod content_options;
mod context;
mod deliverer;
mod destination;
mod destination_type;
mod dry_run;
mod email;
mod file;
mod http;
mod mail;
mod message_body;
mod notifier;
mod outgoing;
mod prepare;
mod queue;
mod queue_reader;
mod queue_state;
mod record;
mod request;
mod retry_schedule;
mod send_context;
mod send_result;
mod signature;
mod thehive;
mod thehive_answer;
mod thehive_memory;

pub use channel::Channel;
pub use content_options::{ContentOptions, StepTemplates};
pub use deliverer::Deliverer;
pub use destination::{
    CHAT_INTERVAL, CONCURRENCY, CONCURRENCY_MAX, DISABLE_AFTER, Destination, MAIL_CONCURRENCY, Notifications, Step,
};
pub use destination_type::{Chat, DestinationType, Format, Ordering};
pub use dry_run::{DryRunAttempt, DryRunMessage, DryRunStep};
pub use email::EmailOptions;
pub use file::LineFile;
pub use http::Http;
pub use mail::{MailAddresses, ShownMail};
pub use message_body::template_values;
pub use notifier::render;
pub use request::{ShownRequest, has_body};
pub use retry_schedule::RetrySchedule;
pub use signature::Signature;
pub use thehive::ShownAlert;
pub use thehive_memory::TheHiveMemory;
