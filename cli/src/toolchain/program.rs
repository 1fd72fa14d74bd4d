//! Calls of other programs.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// Runs a program and returns its output without surrounding space. Returns `None` if the program fails or is missing.
pub(super) fn output_of(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
