//! Write Hookmill notifiers in Rust.
//!
//! A notifier makes of an audit entry the HTTP request that a destination takes. The host sends it, signs it and tries
//! again; a destination names its notifier in the configuration.
//!
//! ```
//! use hookmill_sdk::Description;
//! use hookmill_sdk::notifier::{HttpRequest, Notification, Notifier, Operation};
//!
//! struct Chat;
//!
//! impl Notifier for Chat {
//!     fn describe() -> Description {
//!         hookmill_sdk::description!("Chat", "Says in a chat which incidents are new")
//!     }
//!
//!     fn render(notification: &Notification) -> Result<Option<HttpRequest>, String> {
//!         if notification.operation != Operation::Creation {
//!             return Ok(None);
//!         }
//!         let incident = &notification.incident;
//!         let text = format!("{}: {}", incident.number, incident.title);
//!         Ok(Some(HttpRequest::post_json(&serde_json::json!({"text": text}))))
//!     }
//! }
//!
//! hookmill_sdk::export_notifier!(Chat);
//! ```

use crate::Description;
pub use crate::bindings::mapper::hookmill::plugin::types::{
    Field, HttpRequest, Notification, Observable, Operation, Severity, Status, StoredIncident, Tlp,
};
use serde::Serialize;

/// Turns audit entries into requests.
pub trait Notifier {
    /// Introduces the plugin; [`description!`](crate::description) fills in the crate's version.
    fn describe() -> Description;

    /// Renders one audit entry; none sends nothing.
    ///
    /// # Errors
    /// What is wrong. It is tried again on the destination's schedule.
    fn render(notification: &Notification) -> Result<Option<HttpRequest>, String>;
}

/// Makes a [`Notifier`] the crate's plugin. Once per crate.
#[macro_export]
macro_rules! export_notifier {
    ($notifier:ty) => {
        const _: () = {
            struct Plugin;
            impl $crate::bindings::notifier::exports::hookmill::plugin::notifier::Guest for Plugin {
                fn describe() -> $crate::Description {
                    <$notifier as $crate::notifier::Notifier>::describe()
                }
                fn render(
                    notification: $crate::notifier::Notification,
                ) -> Result<Option<$crate::notifier::HttpRequest>, String> {
                    <$notifier as $crate::notifier::Notifier>::render(&notification)
                }
            }
    $crate::bindings::notifier::export!(Plugin with_types_in $crate::bindings::notifier);

            #[cfg(target_arch = "wasm32")]
            #[global_allocator]
            static ALLOCATOR: $crate::Bump = $crate::Bump::new();
        };
    };
}

impl HttpRequest {
    /// A POST of this as JSON to the destination's URL.
    pub fn post_json(body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { method: "POST".into(), url: None, headers: Vec::new(), body }
    }
}

impl Notification {
    /// The new value of an attribute that was set or changed: a text as it is, anything else as JSON.
    pub fn change(&self, name: &str) -> Option<&str> {
        self.changes.iter().find(|change| change.name == name).map(|change| change.value.as_str())
    }
}
