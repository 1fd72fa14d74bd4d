//! Write Hookmill playbooks in Rust.
//!
//! A playbook receives a stored incident and returns the actions to apply to it. A source with `auto_triage: true`
//! names its playbook; the host runs the playbook on the incidents of that source.
//!
//! ```
//! use hookmill_sdk::Description;
//! use hookmill_sdk::playbook::{Action, Playbook, Severity, Status, StoredIncident};
//!
//! struct ServerTriage;
//!
//! impl Playbook for ServerTriage {
//!     fn describe() -> Description {
//!         hookmill_sdk::description!("Server triage", "Raises incidents on servers to high")
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
//! hookmill_sdk::export_playbook!(ServerTriage);
//!
//! // The crate's tests call `hookmill_sdk::testing::check_playbook::<ServerTriage>("incidents")`.
//! ```
//!
//! [`Findings`] collects several reasons for a severity, as the bundled playbooks do.

mod findings;

use crate::Description;
pub use crate::bindings::types::{Action, Field, Note, Observable, Severity, Status, StoredIncident, Technique, Tlp};
pub use findings::{Findings, Words, defang, listed};

/// Triages incidents.
pub trait Playbook {
    /// Returns the plugin's description; [`description!`](crate::description) adds the crate's version.
    fn describe() -> Description;

    /// Returns the actions to apply to an incident; an empty list changes nothing. Must be deterministic: the same
    /// incident gives the same actions.
    ///
    /// # Errors
    /// Returns an error text if the incident cannot be triaged. The incident stays unchanged and shows the text, which
    /// should name what is missing.
    fn triage(incident: &StoredIncident) -> Result<Vec<Action>, String>;
}

/// Exports a [`Playbook`] as the crate's plugin. Use once per crate.
#[macro_export]
macro_rules! export_playbook {
    ($playbook:ty) => {
        const _: () = {
            struct Plugin;
            impl $crate::bindings::playbook::Guest for Plugin {
                fn describe() -> $crate::Description {
                    $crate::report_panics();
                    <$playbook as $crate::playbook::Playbook>::describe()
                }
                fn triage(incident: $crate::playbook::StoredIncident) -> Result<Vec<$crate::playbook::Action>, String> {
                    $crate::report_panics();
                    <$playbook as $crate::playbook::Playbook>::triage(&incident)
                }
            }
            $crate::__export_plugin!(Plugin, playbook);
        };
    };
}

impl StoredIncident {
    /// Returns the values of the observables of one type.
    pub fn values<'a>(&'a self, data_type: &'a str) -> impl Iterator<Item = &'a str> {
        let of_type = self.observables.iter().filter(move |observable| observable.data_type == data_type);
        of_type.map(|observable| observable.value.as_str())
    }

    /// Returns a vendor's field that the mapper kept: text without quotes, any other value as JSON.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|detail| detail.name == name).map(|detail| detail.value.as_str())
    }
}
