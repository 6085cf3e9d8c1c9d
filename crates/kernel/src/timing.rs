//! The kernel's own intervals, for callers that carry its packets and must know when a timer of
//! its own fires.

use crate::chooser::Chooser;
use crate::machine::{Machine, NsId};
use crate::time::MS;

/// Intervals, in nanoseconds.
impl<C: Chooser> Machine<C> {
    /// The time until an unanswered SYN is repeated (`tcp_retransmit_timer`).
    #[must_use]
    pub fn syn_timeout(&self) -> u64 {
        u64::from(self.b.syn_rto_ms()) * MS
    }

    /// The time until a SYN that was repeated so many times is repeated again.
    #[must_use]
    pub fn syn_repetition(&self, ns: NsId, repetitions: u32) -> u64 {
        self.syn_delay_after(ns.0, repetitions)
    }

    /// The longest time until a FIN is acknowledged (`tcp_send_delayed_ack`).
    #[must_use]
    pub fn delayed_ack(&self) -> u64 {
        u64::from(self.b.delayed_ack_ms()) * MS
    }

    /// The time between two ticks of its clock (a jiffy).
    #[must_use]
    pub fn tick(&self) -> u64 {
        1_000 * MS / u64::from(self.b.hz().max(1))
    }
}
