//! Bytes that are allocated.

use cap::Cap;
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that are allocated now.
pub(crate) fn used() -> usize {
    ALLOCATOR.allocated()
}
