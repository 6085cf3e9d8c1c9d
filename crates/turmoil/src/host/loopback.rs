//! The time that the loopback interface takes.
//!
//! turmoil's clock moves in steps of a millisecond, and a packet over loopback takes a fraction of
//! it. The fractions add up: once they make a step, the next packet waits for the clock.

use super::conns::{Key, Waiters};
use fourtuple_kernel::time::{MS, Time};
use std::task::Waker;

/// The loopback interface of one machine.
#[derive(Debug)]
pub(crate) struct Loopback {
    /// The time of one packet, in nanoseconds.
    cost: u64,
    /// The moment at which all packets so far have arrived.
    until: Time,
    /// Connections of which a writer waits for the clock.
    waiting: Vec<Key>,
    /// Tasks that wait to send datagrams.
    tasks: Waiters,
}

impl Loopback {
    pub(crate) fn new(cost: u64) -> Self {
        Loopback {
            cost,
            until: Time::ZERO,
            waiting: Vec::new(),
            tasks: Waiters::default(),
        }
    }

    /// Counts packets that are sent now.
    pub(crate) fn charge(&mut self, packets: u64, now: Time) {
        self.until = self.until.max(now).after(self.cost.saturating_mul(packets));
    }

    /// The moment that the next packet has to wait for, if it has to.
    pub(crate) fn busy_until(&self, now: Time) -> Option<Time> {
        (self.until >= now.after(MS)).then_some(self.until)
    }

    /// Records that a writer waits.
    pub(crate) fn wait(&mut self, key: Key) {
        if !self.waiting.contains(&key) {
            self.waiting.push(key);
        }
    }

    /// Records that a task waits to send a datagram.
    pub(crate) fn wait_task(&mut self, waker: &Waker) {
        self.tasks.add(waker);
    }

    /// The time at which a writer that waits may go on.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        (!self.waiting.is_empty() || !self.tasks.is_empty()).then_some(self.until)
    }

    /// Takes the connections whose writers may go on, and the tasks.
    pub(crate) fn due(&mut self, now: Time, woken: &mut Vec<Waker>) -> Vec<Key> {
        match self.next_wake() {
            Some(at) if at <= now => {
                self.tasks.wake_into(woken);
                std::mem::take(&mut self.waiting)
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_wait_once_they_make_a_millisecond() {
        let now = Time(5 * MS);
        let mut loopback = Loopback::new(MS / 4);
        loopback.charge(3, now);
        assert_eq!(loopback.busy_until(now), None);
        loopback.charge(1, now);
        assert_eq!(loopback.busy_until(now), Some(now.after(MS)));
        assert_eq!(loopback.busy_until(now.after(MS)), None);
    }

    #[test]
    fn without_a_cost_no_packet_waits() {
        let mut loopback = Loopback::new(0);
        loopback.charge(u64::MAX, Time(MS));
        assert_eq!(loopback.busy_until(Time(MS)), None);
    }
}
