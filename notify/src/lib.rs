//! Notification rules: which messages are sent, to which destinations, and with which texts.
//!
//! - A [`Trigger`] is an occasion; [`about_change`] and [`about_event`] make its message, one JSON object.
//! - A [`Filter`] decides whether a notification is for a message; a [`Rule`] adds the destinations.
//! - A [`Template`] and a [`UrlTemplate`] render a message. Values are escaped for the [`OutputContext`], so that a
//!   payload contributes text and nothing else.
//! - [`bodies`] has the bodies that chats and TheHive expect.
//!
//! Filters and templates are checked completely when they are parsed. All functions are pure: this crate must not know
//! about the store, HTTP or the configuration.

pub mod bodies;
mod compare;
mod default_template;
mod fields;
mod filter;
mod message;
mod message_fields;
mod payload_json;
mod rule;
mod template;
#[cfg(test)]
mod test_messages;
mod trigger;
mod url_template;
mod vocabulary;

pub use default_template::default_template;
pub use filter::Filter;
pub use message::{about_change, about_event};
pub use rule::{Rule, Rules};
pub use template::{OutputContext, Template};
pub use trigger::Trigger;
pub use url_template::UrlTemplate;
