//! The passage of time.
//!
//! On an ideal network packets take no time: the engine sets the kernels' clocks, and lets time
//! pass when no packet is in flight. On any other network the clock is turmoil's.

use crate::clock::Clock;
use crate::network::Network;
use fourtuple_scenario::Case;
use std::sync::Arc;
use std::time::Duration;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    network: Arc<Network>,
    ideal: bool,
}

impl Pace {
    pub(super) fn new(network: Arc<Network>, case: &Case) -> Self {
        let ideal = case.network.is_ideal();
        if ideal {
            network.clock.set(Duration::ZERO);
        }
        Pace { network, ideal }
    }

    pub(super) fn is_ideal(&self) -> bool {
        self.ideal
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.network.clock
    }

    /// The kernels' time since the start.
    pub(super) fn now(&self) -> Duration {
        self.network.clock.elapsed().unwrap_or_default()
    }

    /// Waits until no packet is in flight.
    pub(super) async fn settle(&self) {
        self.network.idle().await;
    }

    /// The time of the next timer of any kernel.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let kernels = self.network.kernels();
        let next = kernels
            .iter()
            .filter_map(|k| k.enter(|s| s.machine.next_event()))
            .min();
        next.map(|at| at - crate::host::START)
    }

    /// Lets time pass on all kernels, one timer after the other.
    pub(super) async fn advance(&self, to: Duration) {
        // Timers of the current instant have fired already.
        while to > self.now() {
            match self.next_event().filter(|&timer| timer < to) {
                Some(timer) => self.jump(timer.max(self.now())).await,
                None => break,
            }
        }
        self.jump(to.max(self.now())).await;
    }

    /// Sets the kernels' clocks. turmoil's clock does not move: it counts the ticks that packets
    /// need, and a minute of TIME-WAIT would be sixty thousand idle ticks.
    async fn jump(&self, to: Duration) {
        self.network.clock.set(to);
        for kernel in self.network.kernels() {
            kernel.enter(|_| ());
        }
        self.network.idle().await;
    }
}
