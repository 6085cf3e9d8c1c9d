//! Notes about a run, each of them once.

use fourtuple_harness::note_unmodelled;
use fourtuple_kernel::{Errno, sysctl_has_no_effect};
use std::cell::RefCell;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Notes(RefCell<Vec<String>>);

impl From<Vec<String>> for Notes {
    fn from(notes: Vec<String>) -> Self {
        Notes(RefCell::new(notes))
    }
}

impl Notes {
    pub(super) fn add(&self, note: String) {
        let mut notes = self.0.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Notes a sysctl that has no effect on ports.
    pub(super) fn unmodelled(&self, host: &str, key: &str) {
        if sysctl_has_no_effect(key) {
            note_unmodelled(&mut self.0.borrow_mut(), host, key);
        }
    }

    /// Notes a sysctl that a kernel rejects.
    pub(super) fn refused(&self, host: &str, key: &str, value: &str, errno: Errno) {
        self.add(format!(
            "{host}: sysctl {key} = {value} is refused with {errno}"
        ));
    }

    pub(super) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}
