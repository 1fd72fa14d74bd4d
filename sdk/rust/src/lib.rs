//! Write Hookmill plugins in Rust.
//!
//! A plugin is of one kind: a [`Mapper`], a [`Playbook`](playbook::Playbook) or a [`Notifier`](notifier::Notifier).
//! A mapper turns one vendor's payload into incidents. It is a type that implements [`Mapper`], exported with
//! [`export!`], in a crate of type `cdylib`:
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
//!         incident.observe("ip", alert.source_ip.get(), "where it came from");
//!         Ok(incident.into())
//!     }
//! }
//!
//! hookmill_sdk::export!(Acme);
//!
//! // In the crate's tests `hookmill_sdk::testing::check::<Acme>("payloads")` runs every payload file natively.
//! let mut event = Event::new(r#"{"alert_id": 7, "name": "Odd login", "level": "HIGH", "source_ip": "192.0.2.1"}"#);
//! let outcome = Acme::map(&event).unwrap();
//! assert_eq!(outcome.incidents[0].source_ref, "7");
//! assert_eq!(outcome.incidents[0].severity, Some(Severity::High));
//! event.body = b"{".to_vec();
//! assert!(matches!(Acme::map(&event), Err(MappingError::Malformed(_))));
//! ```
//!
//! The crate is built with `hookmill plugin build DIR`, tried with `hookmill plugin run FILE --payload F` and put to
//! work by copying the `.wasm` file into the plugins folder of a running host. The shapes are those of
//! `wit/plugin.wit`, where every field is described.
//!
//! An instance lives for one event. The exported component therefore carries an allocator that only moves a pointer:
//! nothing is given back before the instance goes, and no page table changes while it runs.

mod allocator;
#[doc(hidden)]
pub mod bindings;
mod digest;
mod fields;
mod incident;
mod list;
pub mod notifier;
mod payload;
pub mod playbook;
pub mod testing;
mod text;
mod time;

pub use bindings::mapper::hookmill::plugin::types::{
    Description, Event, Field, Incident, MappingError, Observable, Outcome, Severity, State, Technique, Tlp,
};
pub use digest::fingerprint;
pub use fields::Fields;
pub use list::List;
pub use text::{Text, sentence};
pub use time::timestamp;

#[doc(hidden)]
pub use allocator::Bump;

/// Maps one vendor's payloads to incidents.
pub trait Mapper {
    /// Introduces the plugin; [`description!`] fills in the crate's version.
    fn describe() -> Description;

    /// Maps one payload. Must give the same outcome for the same event.
    ///
    /// # Errors
    /// [`MappingError::Unsupported`] when the payload is of another kind than this mapper's: name what was expected.
    /// [`MappingError::Malformed`] when it is of this kind and broken.
    fn map(event: &Event) -> Result<Outcome, MappingError>;
}

/// A [`Description`] with the version of the crate it stands in: `description!(name, summary)`, and optionally the
/// name of the signature scheme that the vendor uses: `description!(name, summary, scheme)`.
#[macro_export]
macro_rules! description {
    ($name:expr, $summary:expr) => {
        $crate::description!(@ $name, $summary, None)
    };
    ($name:expr, $summary:expr, $scheme:expr) => {
        $crate::description!(@ $name, $summary, Some($scheme.into()))
    };
    (@ $name:expr, $summary:expr, $scheme:expr) => {
        $crate::Description {
            name: $name.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: $summary.into(),
            scheme: $scheme,
        }
    };
}

/// Makes a [`Mapper`] the crate's plugin. Once per crate.
#[macro_export]
macro_rules! export {
    ($mapper:ty) => {
        const _: () = {
            struct Plugin;
            impl $crate::bindings::mapper::exports::hookmill::plugin::mapper::Guest for Plugin {
                fn describe() -> $crate::Description {
                    <$mapper as $crate::Mapper>::describe()
                }
                fn to_incidents(event: $crate::Event) -> Result<$crate::Outcome, $crate::MappingError> {
                    <$mapper as $crate::Mapper>::map(&event)
                }
            }
    $crate::bindings::mapper::export!(Plugin with_types_in $crate::bindings::mapper);

            #[cfg(target_arch = "wasm32")]
            #[global_allocator]
            static ALLOCATOR: $crate::Bump = $crate::Bump::new();
        };
    };
}

/// Lines for the plugin's log. In native tests they go to standard error.
pub mod log {
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::mapper::hookmill::plugin::log::{Level, write};

    macro_rules! levels {
        ($($name:ident $level:ident $doc:literal)*) => {$(
            #[doc = $doc]
            pub fn $name(message: &str) {
                #[cfg(target_arch = "wasm32")]
                write(Level::$level, message);
                #[cfg(not(target_arch = "wasm32"))]
                eprintln!("{}: {message}", stringify!($name));
            }
        )*};
    }
    levels! {
        debug Debug "For the plugin's author."
        info Info "For the record."
        warn Warn "Odd, but it was dealt with."
        error Error "Something was lost."
    }
}
