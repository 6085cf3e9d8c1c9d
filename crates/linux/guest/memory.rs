//! The heap: one piece of zeroed memory of the executable, used from its beginning. A page that is
//! never touched costs nothing.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};

/// The most bytes that are in use at once.
const SIZE: usize = 96 << 20;

/// See the module's documentation.
struct Heap {
    bytes: UnsafeCell<[u8; SIZE]>,
    used: Cell<usize>,
}

// SAFETY: the guest has no threads.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap {
    bytes: UnsafeCell::new([0; SIZE]),
    used: Cell::new(0),
};

impl Heap {
    fn base(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    /// `true` if nothing was allocated behind a block.
    fn is_last(&self, block: *mut u8, layout: Layout) -> bool {
        block as usize + layout.size() == self.base() as usize + self.used.get()
    }
}

// SAFETY: blocks do not overlap, because each begins behind all that are in use, and have the
// alignment that was asked for.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.base() as usize;
        let start = (base + self.used.get()).next_multiple_of(layout.align()) - base;
        let end = start.saturating_add(layout.size());
        if end > SIZE {
            return core::ptr::null_mut();
        }
        self.used.set(end);
        // SAFETY: the block is within the memory.
        unsafe { self.base().add(start) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.is_last(block, layout) {
            self.used.set(block as usize - self.base() as usize);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize - self.base() as usize;
        if self.is_last(block, layout) && start.saturating_add(size) <= SIZE {
            self.used.set(start + size);
            return block;
        }
        // SAFETY: the caller vouches for the size, and the alignment was valid before.
        let layout_after = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as for any allocation.
        let moved = unsafe { self.alloc(layout_after) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least as long, and do not overlap.
            unsafe { core::ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
        }
        moved
    }
}

/// A place in the heap.
pub struct Mark(usize);

/// The place from which on nothing is allocated yet.
pub fn mark() -> Mark {
    Mark(HEAP.used.get())
}

/// Frees everything that was allocated since the mark.
///
/// # Safety
/// Nothing of it is used any more.
pub unsafe fn release(mark: Mark) {
    HEAP.used.set(mark.0);
}
