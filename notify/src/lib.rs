//! What a notification looks at, whom it tells and in which words: pure functions of one JSON message.
//!
//! Nothing here reads the store, knows of HTTP or of where a message goes.

pub mod fields;
pub mod filter;
mod message;
mod rule;
pub mod shapes;
pub mod template;

pub use fields::Trigger;
pub use filter::Filter;
pub use message::{about_change, about_event};
pub use rule::Rule;
pub use template::{Place, Template, UrlTemplate};
