//! Memory that has run out is a failure of the command, with a sentence and an exit status, not a crash.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;

/// The system's allocator; the process ends with exit status 2 where that has no more memory to give.
#[derive(Debug)]
pub struct Allocator;

/// Ends the process. Nothing here allocates.
#[cold]
fn out_of_memory() -> ! {
    let _ = std::io::stderr().write_all(b"error: there is not enough memory\n  = help: allow the command more, or ask for less: fewer scenarios, kernels, engines or connections\n");
    std::process::exit(2)
}

fn checked(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        out_of_memory()
    }
    block
}

// SAFETY: every call goes to the system's allocator as it is.
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
