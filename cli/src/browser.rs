//! The browser of the person who runs the program.

use std::io::Error;
use std::process::{Command, Stdio};

/// The program that opens an address in the browser that its user has chosen.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Opens an address.
///
/// # Errors
/// Returns an error if this machine has no such program.
pub(super) fn open(url: &str) -> Result<(), String> {
    let started =
        Command::new(OPENER).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut opener = started.map_err(|error: Error| format!("{OPENER}: {error}"))?;
    // A program that ended stays in the table of processes until it is waited for.
    std::thread::spawn(move || opener.wait());
    Ok(())
}
