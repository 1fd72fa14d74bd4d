//! Write Hookmill playbooks in Rust.
//!
//! A playbook gets an incident and says what is to be done with it. It runs on the incidents of every source with
//! `auto_triage: true` that names it.
//!
//! ```
//! use hookmill_sdk::Description;
//! use hookmill_sdk::playbook::{Action, Playbook, Severity, Status, StoredIncident};
//!
//! struct LoudHosts;
//!
//! impl Playbook for LoudHosts {
//!     fn describe() -> Description {
//!         hookmill_sdk::description!("Loud hosts", "Raises incidents of servers")
//!     }
//!
//!     fn triage(incident: &StoredIncident) -> Result<Vec<Action>, String> {
//!         if incident.values("hostname").any(|host| host.starts_with("srv-")) {
//!             let severity = incident.severity.max(Severity::High);
//!             return Ok(vec![Action::SetSeverity(severity), Action::SetStatus(Status::Triaged)]);
//!         }
//!         Ok(Vec::new())
//!     }
//! }
//!
//! hookmill_sdk::export_playbook!(LoudHosts);
//!
//! // In the crate's tests `hookmill_sdk::testing::check_playbook::<LoudHosts>("incidents")` runs every incident file.
//! ```
//!
//! What judges by several signs, as the bundled playbooks do, collects them in [`Findings`].

mod findings;

use crate::Description;
pub use crate::bindings::mapper::hookmill::plugin::types::{
    Action, Field, Note, Observable, Severity, Status, StoredIncident, Technique, Tlp,
};
pub use findings::{Findings, Words, defanged, named};

/// Judges incidents.
pub trait Playbook {
    /// Introduces the plugin; [`description!`](crate::description) fills in the crate's version.
    fn describe() -> Description;

    /// Says what to do with an incident; an empty list is nothing. Must give the same for the same incident.
    ///
    /// # Errors
    /// What is missing. The incident stays as it is, and shows this.
    fn triage(incident: &StoredIncident) -> Result<Vec<Action>, String>;
}

/// Makes a [`Playbook`] the crate's plugin. Once per crate.
#[macro_export]
macro_rules! export_playbook {
    ($playbook:ty) => {
        const _: () = {
            struct Plugin;
            impl $crate::bindings::playbook::exports::hookmill::plugin::playbook::Guest for Plugin {
                fn describe() -> $crate::Description {
                    <$playbook as $crate::playbook::Playbook>::describe()
                }
                fn triage(incident: $crate::playbook::StoredIncident) -> Result<Vec<$crate::playbook::Action>, String> {
                    <$playbook as $crate::playbook::Playbook>::triage(&incident)
                }
            }
    $crate::bindings::playbook::export!(Plugin with_types_in $crate::bindings::playbook);

            #[cfg(target_arch = "wasm32")]
            #[global_allocator]
            static ALLOCATOR: $crate::Bump = $crate::Bump::new();
        };
    };
}

impl StoredIncident {
    /// The values of its observables of one type.
    pub fn values<'a>(&'a self, data_type: &'a str) -> impl Iterator<Item = &'a str> {
        let of_type = self.observables.iter().filter(move |observable| observable.data_type == data_type);
        of_type.map(|observable| observable.value.as_str())
    }

    /// A vendor's field that the mapper kept: a text as it is, anything else as JSON.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|detail| detail.name == name).map(|detail| detail.value.as_str())
    }
}
