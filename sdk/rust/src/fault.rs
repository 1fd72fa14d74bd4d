//! Faults that the strict pass over a payload meets, and that only the second pass can repair.

use std::cell::Cell;

/// Integers below are exact in 64-bit floating point.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

thread_local! {
    static HAS_FAULT: Cell<bool> = const { Cell::new(false) };
}

/// Asks for the second pass.
pub(crate) fn fault() {
    HAS_FAULT.set(true);
}

/// Asks for the second pass if floating point can lack digits of an integer: the repaired payload has them.
pub(crate) fn check_digits(value: f64) {
    if value.abs() >= EXACT_MAX {
        fault();
    }
}

/// Returns whether the second pass was asked for.
pub(crate) fn has_fault() -> bool {
    HAS_FAULT.get()
}

/// Forgets the faults of an earlier payload.
pub(crate) fn forget_faults() {
    HAS_FAULT.set(false);
}
