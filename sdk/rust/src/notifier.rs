//! Write Hookmill notifiers in Rust.
//!
//! A notifier renders an audit entry as the HTTP request that a destination expects. The host sends the request, signs
//! it and retries it. The configuration of a destination names its notifier.
//!
//! ```
//! use hookmill_sdk::Description;
//! use hookmill_sdk::notifier::{HttpRequest, Notification, Notifier, Operation};
//!
//! struct Chat;
//!
//! impl Notifier for Chat {
//!     fn describe() -> Description {
//!         hookmill_sdk::description!("Chat", "Posts new incidents to a chat")
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
pub use crate::bindings::types::{
    Field, HttpRequest, Notification, Observable, Operation, Severity, Status, StoredIncident, Tlp,
};
use serde::Serialize;

/// Renders audit entries as HTTP requests.
pub trait Notifier {
    /// Returns the plugin's description; [`description!`](crate::description) adds the crate's version.
    fn describe() -> Description;

    /// Renders one audit entry. None means that nothing is sent.
    ///
    /// # Errors
    /// Returns an error text if the entry cannot be rendered. The host retries on the destination's schedule.
    fn render(notification: &Notification) -> Result<Option<HttpRequest>, String>;
}

/// Exports a [`Notifier`] as the crate's plugin. Use once per crate.
#[macro_export]
macro_rules! export_notifier {
    ($notifier:ty) => {
        const _: () = {
            struct Plugin;
            impl $crate::bindings::notifier::Guest for Plugin {
                fn describe() -> $crate::Description {
                    $crate::report_panics();
                    <$notifier as $crate::notifier::Notifier>::describe()
                }
                fn render(
                    notification: $crate::notifier::Notification,
                ) -> Result<Option<$crate::notifier::HttpRequest>, String> {
                    $crate::report_panics();
                    <$notifier as $crate::notifier::Notifier>::render(&notification)
                }
            }
            $crate::__export_plugin!(Plugin, notifier);
        };
    };
}

impl HttpRequest {
    /// Returns a POST request with a JSON body to the destination's URL.
    pub fn post_json(body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { method: "POST".into(), url: None, headers: Vec::new(), body }
    }
}

impl Notification {
    /// Returns the new value of an attribute that was set or changed: text without quotes, any other value as JSON.
    pub fn change(&self, name: &str) -> Option<&str> {
        self.changes.iter().find(|change| change.name == name).map(|change| change.value.as_str())
    }
}
