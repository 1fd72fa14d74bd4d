//! The identity of this process among the hosts that share a database.

use anyhow::Result;
use hookmill_store::HostIdentity;

/// Returns a new identity, with the name of the machine.
///
/// # Errors
/// Returns an error if the system provides no random numbers.
pub fn new_identity() -> Result<HostIdentity> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("host").to_owned();
    Ok(HostIdentity { id: hex::encode(id), name, version: env!("CARGO_PKG_VERSION").to_owned() })
}
