//! Write Hookmill plugins in Rust.
//!
//! A plugin has one kind: [`Mapper`], [`Playbook`](playbook::Playbook) or [`Notifier`](notifier::Notifier). A mapper
//! maps the payloads of one vendor to incidents. It is a type that implements [`Mapper`], exported with [`export!`], in
//! a crate of type `cdylib`:
//!
//! ```
//! use hookmill_sdk::{Description, Event, Incident, Mapper, MappingError, Outcome, Severity, Text};
//! use serde::Deserialize;
//!
//! struct Acme;
//!
//! #[derive(Deserialize)]
//! struct Alert<'a> {
//!     #[serde(borrow)]
//!     alert_id: Text<'a>,
//!     name: Text<'a>,
//!     level: Text<'a>,
//!     source_ip: Text<'a>,
//! }
//!
//! impl Mapper for Acme {
//!     fn describe() -> Description {
//!         hookmill_sdk::description!("Acme EDR", "Alerts of Acme's endpoint agent")
//!     }
//!
//!     fn map(event: &Event) -> Result<Outcome, MappingError> {
//!         let alert: Alert = event.json("an Acme alert with `alert_id`")?;
//!         let id = alert.alert_id.get().ok_or_else(|| MappingError::Malformed("`alert_id` is empty".into()))?;
//!         let mut incident = Incident::new(id);
//!         incident.title = alert.name.owned();
//!         incident.vendor_severity = alert.level.owned();
//!         incident.severity = alert.level.get().and_then(Severity::parse);
//!         incident.observe("ip", alert.source_ip.get(), "source address");
//!         Ok(incident.into())
//!     }
//! }
//!
//! hookmill_sdk::export!(Acme);
//!
//! // The crate's tests call `hookmill_sdk::testing::check::<Acme>("payloads")`, which maps all payload files.
//! let mut event = Event::new(r#"{"alert_id": 7, "name": "Odd login", "level": "HIGH", "source_ip": "192.0.2.1"}"#);
//! let outcome = Acme::map(&event).unwrap();
//! assert_eq!(outcome.incidents[0].source_ref, "7");
//! assert_eq!(outcome.incidents[0].severity, Some(Severity::High));
//! event.body = b"{".to_vec();
//! assert!(matches!(Acme::map(&event), Err(MappingError::Malformed(_))));
//! ```
//!
//! `hookmill plugin build DIR` builds the crate, `hookmill plugin run FILE --payload PAYLOAD` runs the plugin on a
//! payload. To install the plugin, copy the `.wasm` file to the plugins folder of a running host.
//!
//! # Records and units
//!
//! The types are those of `wit/plugin.wit`, which documents every field:
//!
//! | type | contents |
//! |---|---|
//! | [`Event`] | one received payload: `body` (bytes), `headers`, `context`, `settings`, `received_at` (milliseconds since the Unix epoch) |
//! | [`Incident`] | the observation of one incident; absent values leave the stored incident unchanged |
//! | [`Outcome`] | the incidents of one payload, with the reasons for parts that are not incidents (`skipped`) or could not be mapped (`problems`) |
//! | [`MappingError`] | the reason why a whole payload could not be mapped |
//!
//! Times in an [`Incident`] are text: RFC 3339 or a number, see [`timestamp`]. A value that breaks a rule,
//! such as a tag outside 1 to 128 bytes, costs that value and makes a problem; a `source_ref` outside 1 to 512 bytes costs
//! the incident. [`Incident::set_title`] and [`Incident::tag`] truncate.
//!
//! # Faulty payloads
//!
//! A part of a payload that is wrong costs that part, is reported in the outcome's `problems`, and costs nothing else.
//! Mappers get this from the types: [`Text`], [`List`], [`Part`] and [`Fields`] leave out a value of another type,
//! [`timestamp`] leaves out an impossible time. If the body is not JSON as the standard has it, [`map`] repairs it and
//! calls the mapper again: half a surrogate pair becomes U+FFFD, of repeated keys the last counts, of several JSON values
//! or lists in one body each is mapped, values nested deeper than 64 levels become text. A reason in `skipped` that quotes
//! U+FFFD is a problem. Use [`json`] and
//! [`json_list`] for JSON inside texts, [`problem`] for parts that a mapper itself finds wrong, and
//! [`Incident::keep_unread`], [`Incident::keep_members`] or [`Incident::keep_rest`] for the fields that it does not read.
//! [`Fields`] repairs a fault of one object in that object alone. An object in place of a text of [`Fields`] is a problem
//! as elsewhere, and is kept as a field that was not read.
//!
//! # Errors
//!
//! Return [`MappingError::Unsupported`] for payloads of another kind: if the source has several mappers, the host calls
//! the next one. Return [`MappingError::Malformed`] for broken payloads of the right kind. The sender sees the text.
//! After either error, and after a panic, the host keeps the event in quarantine. A panic's message, file and line are
//! written to the plugin's log.
//!
//! # Memory
//!
//! An instance handles one event. The exported component therefore contains a bump allocator: memory is not freed
//! before the instance ends, and no page table changes while it runs.

mod allocator;
pub mod attack;
#[doc(hidden)]
pub mod bindings;
mod details;
mod digest;
mod document;
mod equal;
mod export;
mod fault;
mod fields;
mod flat;
mod incident;
mod items;
mod key;
mod list;
pub mod log;
mod mapper;
mod names;
pub mod notifier;
mod object;
mod one_pass;
mod pairs;
mod panic;
mod part;
mod path;
mod payload;
pub mod playbook;
mod present;
mod problems;
pub mod prometheus;
mod reading;
mod repair;
mod rest;
pub mod stix;
mod tables;
pub mod testing;
mod text;
mod time;

pub use bindings::types::{
    Description, Event, Field, Incident, MappingError, Observable, Outcome, Severity, State, Technique, Tlp,
};
pub use digest::fingerprint;
pub use fields::Fields;
pub use items::{Envelopes, has_objects, is_list, map_list};
pub use list::List;
pub use mapper::Mapper;
pub use names::{Scale, is_same_name};
pub use pairs::pairs;
pub use part::Part;
pub use present::present;
pub use problems::problem;
pub use reading::{json, json_list, map};
pub use rest::WithRest;
pub use text::{Text, file_name, lines, sentence};
pub use time::{is_timestamp, timestamp};

#[doc(hidden)]
pub use allocator::BumpAllocator;
#[doc(hidden)]
pub use panic::report_panics;
