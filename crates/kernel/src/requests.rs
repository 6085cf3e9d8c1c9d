//! Connection requests (`struct request_sock`): SYNs that a listener has answered, by 4-tuple.

use crate::ns::fold;
use crate::tuples::Tuple;
use hashbrown::HashTable;

/// A connection request that a listener has answered and that is not yet a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) listener: u32,
    pub(crate) timestamps: bool,
}

/// The requests of a namespace. Most of the time there is none, or one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    table: HashTable<(Tuple, Request)>,
}

fn hash(tuple: &Tuple) -> u64 {
    let [(_, local), (_, remote)] = [tuple.local, tuple.remote].map(|ip| ip.halves());
    let ports = u64::from(tuple.lport) << 16 | u64::from(tuple.rport);
    fold(
        local ^ remote.rotate_left(32),
        ports ^ 0x9e37_79b9_7f4a_7c15,
    )
}

impl Requests {
    pub(crate) fn get(&self, tuple: &Tuple) -> Option<Request> {
        if self.table.is_empty() {
            return None;
        }
        let found = self.table.find(hash(tuple), |(known, _)| known == tuple);
        found.map(|(_, request)| *request)
    }

    /// Enters a request, in the place of one of the same 4-tuple.
    pub(crate) fn insert(&mut self, tuple: Tuple, request: Request) {
        if !self.table.is_empty() {
            self.remove(&tuple);
        }
        self.table
            .insert_unique(hash(&tuple), (tuple, request), |(known, _)| hash(known));
    }

    pub(crate) fn remove(&mut self, tuple: &Tuple) {
        if let Ok(entry) = self
            .table
            .find_entry(hash(tuple), |(known, _)| known == tuple)
        {
            entry.remove();
        }
    }

    /// Forgets those of a listener that has ended.
    pub(crate) fn remove_all_of(&mut self, listener: u32) {
        self.table
            .retain(|(_, request)| request.listener != listener);
    }
}
