//! Panics of a plugin, in its log.

use std::sync::Once;

/// Lets panics write their message, file and line to the plugin's log before the instance traps.
pub fn report_panics() {
    static SET: Once = Once::new();
    SET.call_once(|| std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string()))));
}
