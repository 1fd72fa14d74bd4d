//! The memory allocator of the program.

use std::time::Duration;

/// Events are allocated on one thread and freed on that of the store, for which this allocator is fast.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seldom enough that the changes of the page table cost nothing.
const RETURN_EVERY: Duration = Duration::from_secs(60);

/// Returns freed memory to the system from time to time. The allocator would keep what the start has freed: the files of
/// plugins and their compiled code, some hundred megabytes.
pub async fn return_freed() {
    loop {
        tokio::time::sleep(RETURN_EVERY).await;
        collect();
    }
}

#[allow(unsafe_code, reason = "the allocator has no safe function for this")]
fn collect() {
    // SAFETY: the function may be called at any time, on any thread.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
