//! The bodies of requests to chats and TheHive.
//!
//! This module does not escape values: each text was rendered by a [`Template`](crate::Template) for the output context
//! of its destination.

mod chat;
mod markup;
mod thehive;
mod truncate;

pub use chat::{mattermost, slack, teams};
pub use thehive::{TheHiveGaps, TheHiveUpdate, thehive_alert, thehive_update};
