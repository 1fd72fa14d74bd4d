//! Keys that only some kinds of sources or types of destinations have.

use anyhow::{Result, ensure};
use std::fmt::Display;

/// A key, a function that returns whether the key is set, and the kinds that have the key.
pub(super) type Key<D, K> = (&'static str, fn(&D) -> bool, &'static [K]);

/// Checks that only keys are set that the kind has. `selector` is the key that selects the kind.
///
/// # Errors
/// Returns an error that names the first key that the kind does not have.
pub(super) fn check_keys<D, K: Display + PartialEq>(
    declared: &D,
    keys: &[Key<D, K>],
    selector: &str,
    kind: K,
) -> Result<()> {
    for (key, is_set, kinds) in keys {
        ensure!(!is_set(declared) || kinds.contains(&kind), "{selector} `{kind}` has no key `{key}`; remove it");
    }
    Ok(())
}
