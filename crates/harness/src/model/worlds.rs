//! Worlds of runs that are over, for the next: it needs much the same memory, which is slow to come by.

use std::cell::RefCell;

use fourtuple_kernel::World;

use super::branches;

thread_local! {
    /// Those of this thread. There is nothing in them but room.
    static EMPTY: RefCell<Vec<World>> = const { RefCell::new(Vec::new()) };
}

/// A world with nothing in it.
pub(super) fn take() -> World {
    EMPTY.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Takes everything out of a world that is not needed any more.
pub(super) fn give_back(mut world: World) {
    EMPTY.with_borrow_mut(|empty| {
        // As many as there are in use at a time: one of a run, and those of branches.
        if empty.len() <= branches::MOST {
            world.clear();
            empty.push(world);
        }
    });
}
