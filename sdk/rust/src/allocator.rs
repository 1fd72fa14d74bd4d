//! The allocator for instances that handle one event.

#![allow(unsafe_code, reason = "an allocator is unsafe by its trait")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

const PAGE_BYTES: usize = 64 * 1024;

/// A bump allocator, which moves a pointer up from the end of the static data.
///
/// Only the newest block can grow in place or be freed. The allocator calls `memory.grow` only after the initial memory
/// is used up, because that call changes page tables, which slows down all cores of a busy host.
pub struct BumpAllocator {
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: without the threads proposal a component instance has one thread.
unsafe impl Sync for BumpAllocator {}

impl BumpAllocator {
    /// Returns an allocator that reads the bounds of its memory on first use.
    pub const fn new() -> Self {
        Self { next: Cell::new(0), end: Cell::new(0) }
    }

    /// Grows the memory up to `end` where needed. Returns whether the memory is large enough.
    fn ensure(&self, end: usize) -> bool {
        if end <= self.end.get() {
            return true;
        }
        let missing = (end - self.end.get()).div_ceil(PAGE_BYTES);
        if memory::grow(missing) {
            self.end.set(self.end.get() + missing * PAGE_BYTES);
            return true;
        }
        false
    }
}

impl Default for BumpAllocator {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks never overlap, because `next` moves back only over the newest block, when that is freed or shrinks.
unsafe impl GlobalAlloc for BumpAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.end.get() == 0 {
            self.next.set(memory::heap_base());
            self.end.set(memory::bytes());
        }
        let start = self.next.get().next_multiple_of(layout.align());
        match start.checked_add(layout.size()) {
            Some(end) if self.ensure(end) => {
                self.next.set(end);
                core::ptr::with_exposed_provenance_mut(start)
            }
            _ => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block.addr() + layout.size() == self.next.get() {
            self.next.set(block.addr());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if block.addr() + layout.size() == self.next.get() {
            return match block.addr().checked_add(size) {
                Some(end) if self.ensure(end) => {
                    self.next.set(end);
                    block
                }
                _ => core::ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller guarantees that `layout`'s alignment is valid and that `size` does not overflow with it.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least `layout.size()` long and do not overlap.
            unsafe { core::ptr::copy_nonoverlapping(block, moved, layout.size()) };
        }
        moved
    }
}

#[cfg(target_arch = "wasm32")]
mod memory {
    use core::arch::wasm32::{memory_grow, memory_size};

    unsafe extern "C" {
        /// The end of the static data and the stack, set by the linker.
        static __heap_base: u8;
    }

    pub fn heap_base() -> usize {
        (&raw const __heap_base).addr()
    }

    pub fn bytes() -> usize {
        memory_size(0) * super::PAGE_BYTES
    }

    pub fn grow(pages: usize) -> bool {
        memory_grow(0, pages) != usize::MAX
    }
}

/// Stubs for native builds, which compile the allocator to check it but never install it.
#[cfg(not(target_arch = "wasm32"))]
mod memory {
    pub fn heap_base() -> usize {
        0
    }

    pub fn bytes() -> usize {
        0
    }

    pub fn grow(_pages: usize) -> bool {
        false
    }
}
