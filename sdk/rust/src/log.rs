//! Writes lines to the plugin's log, in native tests to standard error.

#[cfg(target_arch = "wasm32")]
use crate::bindings::log::{Level, write};

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
    debug Debug "Writes a line for the plugin's author."
    info Info "Writes a line about normal operation."
    warn Warn "Writes a line about an unexpected condition that the plugin handled."
    error Error "Writes a line about a failure; data was lost."
}
