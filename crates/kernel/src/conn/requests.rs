//! Connection requests (`struct request_sock`): SYNs that a listener has answered, by 4-tuple.

use crate::addr::fold;
use crate::conn::tuples::Tuple;
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
    /// The one that came last: its acknowledgement is most often the next segment.
    newest: Option<(Tuple, Request)>,
    /// All others.
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
    #[inline]
    pub(crate) fn get(&self, tuple: &Tuple) -> Option<Request> {
        if let Some((known, request)) = &self.newest
            && known == tuple
        {
            return Some(*request);
        }
        if self.table.is_empty() {
            return None;
        }
        let found = self.table.find(hash(tuple), |(known, _)| known == tuple);
        found.map(|(_, request)| *request)
    }

    /// Enters a request, in the place of one of the same 4-tuple.
    #[inline]
    pub(crate) fn insert(&mut self, tuple: Tuple, request: Request) {
        self.remove(&tuple);
        if let Some(former) = self.newest.replace((tuple, request)) {
            self.table
                .insert_unique(hash(&former.0), former, |(known, _)| hash(known));
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, tuple: &Tuple) {
        if self
            .newest
            .as_ref()
            .is_some_and(|(known, _)| known == tuple)
        {
            self.newest = None;
        } else if !self.table.is_empty()
            && let Ok(entry) = self
                .table
                .find_entry(hash(tuple), |(known, _)| known == tuple)
        {
            entry.remove();
        }
    }

    /// Forgets those of a listener that has ended.
    pub(crate) fn remove_all_of(&mut self, listener: u32) {
        self.newest
            .take_if(|(_, request)| request.listener == listener);
        self.table
            .retain(|(_, request)| request.listener != listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Ip;

    fn tuple(rport: u16) -> Tuple {
        Tuple {
            local: Ip::LOOPBACK4,
            remote: Ip::LOOPBACK4,
            lport: 80,
            rport,
        }
    }

    #[test]
    fn the_newest_and_the_others_are_found_until_they_are_removed() {
        let of = |listener| Request {
            listener,
            timestamps: listener.is_multiple_of(3),
        };
        let mut requests = Requests::default();
        for n in 0..100 {
            requests.insert(tuple(n), of(u32::from(n % 2)));
        }
        for n in [7, 99] {
            requests.insert(tuple(n), of(5));
        }
        let known = |requests: &Requests, n| requests.get(&tuple(n)).map(|r| r.listener);
        assert_eq!(
            [7, 98, 99, 100].map(|n| known(&requests, n)),
            [Some(5), Some(0), Some(5), None]
        );
        requests.remove(&tuple(99));
        requests.remove(&tuple(98));
        assert_eq!(
            [97, 98, 99].map(|n| known(&requests, n)),
            [Some(1), None, None]
        );
        requests.insert(tuple(200), of(1));
        requests.remove_all_of(1);
        assert_eq!(
            [200, 97, 96, 7].map(|n| known(&requests, n)),
            [None, None, Some(0), Some(5)]
        );
    }
}
