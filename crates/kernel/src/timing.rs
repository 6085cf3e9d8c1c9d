//! The kernel's own intervals, for callers that carry its packets and must know when it acts by
//! itself.

use crate::chooser::Chooser;
use crate::machine::{Machine, NsId};
use crate::time::MS;

/// Intervals, in nanoseconds.
impl<C: Chooser> Machine<C> {
    /// Until an unanswered SYN is repeated.
    #[must_use]
    pub fn syn_timeout(&self) -> u64 {
        u64::from(self.b.syn_rto_ms()) * MS
    }

    /// Until a SYN that was repeated so many times is repeated again.
    #[must_use]
    pub fn syn_repetition(&self, ns: NsId, repetitions: u32) -> u64 {
        self.syn_delay_after(ns.0, repetitions)
    }

    /// Until a FIN is acknowledged at the latest.
    #[must_use]
    pub fn delayed_ack(&self) -> u64 {
        u64::from(self.b.delayed_ack_ms()) * MS
    }

    /// Between two ticks of its clock.
    #[must_use]
    pub fn tick(&self) -> u64 {
        1_000 * MS / u64::from(self.b.hz().max(1))
    }
}
