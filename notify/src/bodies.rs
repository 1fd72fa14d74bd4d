//! The bodies of requests to chats and TheHive.
//!
//! Nothing here escapes values: a text comes from a [`Template`](crate::Template) for the output context of its
//! destination.

mod chat;
mod markup;
mod thehive;
mod truncate;

pub use chat::{mattermost, slack, teams};
pub use thehive::{TheHiveGaps, TheHiveUpdate, thehive_alert, thehive_update};
