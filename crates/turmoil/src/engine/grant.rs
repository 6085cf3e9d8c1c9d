//! Something that is given once, by one task to another.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A turn, or anything else that is given once.
#[derive(Debug, Default)]
pub(super) struct Grant {
    given: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Grant {
    pub(super) fn give(&self) {
        self.given.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) async fn taken(&self) {
        poll_fn(|cx| {
            if self.given.replace(false) {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
