//! Calls of libraries that panic on some untrusted input.

use anyhow::{Result, anyhow};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Returns the result of `work`. A panic of `work` on this thread is not printed.
///
/// # Errors
/// Returns the text of the panic if there was one.
pub(crate) fn without_panic<T>(work: impl FnOnce() -> T) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                print(info);
            }
        }));
    });
    IS_QUIET.set(true);
    // The values that `work` changed are dropped together with its result.
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_QUIET.set(false);
    result.map_err(|panic| anyhow!("{}", text(&*panic)))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("the reason is unknown")
}

#[cfg(test)]
mod tests {
    use super::without_panic;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(without_panic(|| 1).unwrap(), 1);
        let error = without_panic::<()>(|| panic!("out of {}", "bounds")).unwrap_err().to_string();
        assert_eq!(error, "out of bounds");
    }
}
