//! The TIME-WAIT sockets of a machine.

use crate::conn::socket::Tw;
use crate::slab::Slab;
use crate::time::Time;
use crate::time_wait::wheel::Wheel;

/// The TIME-WAIT sockets of a machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeWaits {
    pub(crate) socks: Slab<Tw>,
    /// Scheduled ones, over all namespaces: the number that `tcp_max_tw_buckets` limits.
    pub(crate) count: u32,
    /// The moment at which the first of them was scheduled, or one that has ended since.
    pub(super) oldest: Time,
    pub(crate) wheel: Wheel,
}

impl TimeWaits {
    /// The moment from which kernels may differ in which TIME-WAIT sockets have ended: none has
    /// ended before. A wheel may be early by one slot.
    pub(crate) fn first_end(&self) -> Option<Time> {
        let least = self.wheel.round() - self.wheel.period;
        (self.count > 0).then(|| self.oldest.after(least))
    }
}
