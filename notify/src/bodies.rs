//! The bodies of requests to chats and TheHive, and changes of incidents in the form of OCSF.
//!
//! This module does not escape values: each text was rendered by a [`Template`](crate::Template) for the output context
//! of its destination.

mod attack;
mod chat;
mod data_type;
mod markup;
mod ocsf;
mod thehive;
mod truncate;

pub use chat::{mattermost, slack, teams};
pub use ocsf::{OcsfProduct, detection_finding};
pub use thehive::{TheHiveGaps, TheHiveUpdate, thehive_alert, thehive_update};
