//! The passage of time.
//!
//! On an ideal network packets take no time: the engine sets the kernels' clocks, and lets time
//! pass when no packet is in flight. On any other network the clock is turmoil's.

use crate::clock::Clock;
use crate::host::Kernels;
use crate::network::START;
use fourtuple_scenario::Case;
use std::sync::Arc;
use std::time::Duration;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    kernels: Arc<Kernels>,
    ideal: bool,
}

impl Pace {
    pub(super) fn new(kernels: Arc<Kernels>, case: &Case) -> Self {
        let ideal = case.network.is_ideal();
        if ideal {
            kernels.network.clock.set(Duration::ZERO);
        }
        Pace { kernels, ideal }
    }

    pub(super) fn is_ideal(&self) -> bool {
        self.ideal
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.kernels.network.clock
    }

    /// The kernels' time since the start.
    pub(super) fn now(&self) -> Duration {
        self.kernels.network.clock.elapsed().unwrap_or_default()
    }

    /// Waits until no packet is in flight.
    pub(super) async fn settle(&self) {
        self.kernels.network.idle().await;
    }

    /// The time of the next timer of any kernel.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let kernels = self.kernels.all();
        let next = kernels
            .iter()
            .filter_map(|k| k.enter(|s| s.machine.next_event()))
            .min();
        next.map(|at| at - START)
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
        self.kernels.network.clock.set(to);
        for kernel in self.kernels.all() {
            kernel.enter(|_| ());
        }
        self.kernels.network.idle().await;
    }
}
