//! Out-of-memory handling: the command reports an error and exits instead of crashing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;

/// The system allocator. If it is out of memory, the process exits with status 2.
#[derive(Debug)]
pub struct Allocator;

/// Ends the process without allocating.
#[cold]
fn out_of_memory() -> ! {
    let _ = std::io::stderr().write_all(
        b"error: out of memory\n  = help: allow the command more memory, or reduce the number of \
          scenarios, kernels, engines or connections\n",
    );
    std::process::exit(2)
}

fn checked(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        out_of_memory()
    }
    block
}

// SAFETY: every call is passed to the system allocator unchanged.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the same.
        checked(unsafe { System.alloc(layout) })
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the same.
        checked(unsafe { System.alloc_zeroed(layout) })
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's contract is the same.
        checked(unsafe { System.realloc(block, layout, size) })
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(block, layout) }
    }
}
