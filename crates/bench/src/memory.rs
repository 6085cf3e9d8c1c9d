//! Allocated bytes.

use cap::Cap;
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The number of bytes allocated now.
pub(crate) fn used() -> usize {
    ALLOCATOR.allocated()
}
