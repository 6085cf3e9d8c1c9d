//! The reasons of a search that found nothing: each port by itself, one after the other.

use super::Reference;
use fourtuple_kernel::PortVerdict;
use std::collections::BTreeMap;

/// The number of refused ports by reason.
pub(crate) type Reasons = BTreeMap<PortVerdict, u32>;

impl Reference {
    /// A call begins.
    pub(crate) fn forget_reasons(&mut self) {
        self.reasons.clear();
        self.visited.clear();
    }

    pub(crate) fn because(&mut self, verdict: PortVerdict) {
        *self.reasons.entry(verdict).or_insert(0) += 1;
    }

    /// The ports of the range that a search has not come to.
    pub(crate) fn passed_by(&mut self, (low, high): (u16, u16)) {
        for port in low..=high {
            if !self.visited.contains(&port) {
                self.because(PortVerdict::NotVisited);
            }
        }
    }

    /// Every port of the range, after bind() or listen() has found none.
    pub(crate) fn none_to_bind(&mut self, i: usize) {
        let (low, high) = self.range_of(i);
        for port in low..=high {
            let verdict = if self.reserved.contains(&port) {
                PortVerdict::Reserved
            } else {
                match self.find(port) {
                    Some(_) if !self.shares() => PortVerdict::HasBucket,
                    Some(t) if self.conflict(i, t, self.strict()) => PortVerdict::Conflict,
                    _ => PortVerdict::NotVisited,
                }
            };
            assert!(
                verdict != PortVerdict::NotVisited || !self.visited.contains(&port),
                "{port} can be taken"
            );
            self.because(verdict);
        }
    }
}
