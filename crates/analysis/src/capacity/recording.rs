//! The scenario's seeded chooser, which records where the last connect() search began.

use fourtuple_kernel::chooser::PortHashInput;
use fourtuple_kernel::profile::behaviour::ConnectScan;
use fourtuple_kernel::{Chooser, Seeded};
use fourtuple_scenario::PortRange;

/// A seeded chooser that records the start of a search.
#[derive(Clone, Debug)]
pub struct RecordingChooser {
    seeded: Seeded,
    /// The start of the last search of a connect().
    pub start: Option<u32>,
}

impl RecordingChooser {
    /// Returns the chooser of a machine, as [`Seeded::new`] makes it.
    #[must_use]
    pub fn new(seed: u64, machine: &str) -> Self {
        RecordingChooser {
            seeded: Seeded::new(seed, machine),
            start: None,
        }
    }

    /// The same choices with another phase of the timer wheel.
    #[must_use]
    pub fn with_tick_phase(self, tick_phase: u64) -> Self {
        RecordingChooser {
            seeded: self.seeded.with_tick_phase(tick_phase),
            ..self
        }
    }
}

/// The order in which connect() looks at the ports of its range.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// The order of the kernel.
    pub scan: ConnectScan,
    /// True if the socket's own range makes it go port by port.
    pub by_one: bool,
}

/// Counts the ports that a search from `start` looked at before it took `port`; all of them
/// if it took none.
#[must_use]
pub fn looked_at(walk: Walk, range: PortRange, start: u32, port: Option<u16>) -> u32 {
    let Walk { scan, by_one } = walk;
    let n = range.size();
    let even_n = if n > 1 { n & !1 } else { n };
    let Some(port) = port else {
        return if scan == ConnectScan::Parity && !by_one {
            even_n
        } else {
            n
        };
    };
    let offset = u32::from(port.saturating_sub(range.low));
    // How far it is from one offset up to another, going round.
    let ahead = |from: u32, to: u32, of: u32| (to + of - from % of) % of;
    match scan {
        ConnectScan::FromNext => match ahead(start % n, offset, n) {
            0 => n,
            steps => steps,
        },
        ConnectScan::EvenStart => ahead(start & !1, offset, n) + 1,
        ConnectScan::Parity if by_one => ahead(start % n, offset, n) + 1,
        ConnectScan::Parity => {
            let even = (start % even_n) & !1;
            let steps = ahead(even, offset % even_n.max(1), even_n);
            // The odd offsets come in a second pass.
            if steps.is_multiple_of(2) {
                steps / 2 + 1
            } else {
                even_n / 2 + steps / 2 + 1
            }
        }
    }
}

impl Chooser for RecordingChooser {
    fn bind_start(&mut self, n: u32, parity: bool) -> u32 {
        self.seeded.bind_start(n, parity)
    }

    fn port_hash(&mut self, input: PortHashInput) -> u64 {
        self.seeded.port_hash(input)
    }

    fn connect_start(&mut self, base: u32, n: u32, even: bool) -> u32 {
        let start = self.seeded.connect_start(base, n, even);
        self.start = Some(start);
        start
    }

    fn perturb_cell(&mut self, index: u32) -> u32 {
        self.seeded.perturb_cell(index)
    }

    fn perturb_step(&mut self, n: u32) -> u32 {
        self.seeded.perturb_step(n)
    }

    fn step_factor(&mut self, most: u32) -> u32 {
        self.seeded.step_factor(most)
    }

    fn garbage_uid_matches(&mut self) -> bool {
        self.seeded.garbage_uid_matches()
    }

    fn garbage_bit(&mut self) -> bool {
        self.seeded.garbage_bit()
    }

    fn tick_phase(&self) -> u64 {
        self.seeded.tick_phase()
    }

    fn pick_listener(&mut self, n: u32) -> u32 {
        self.seeded.pick_listener(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_counted_as_the_kernel_walks() {
        let range = PortRange::new(40000, 40007);
        let walk = |scan, by_one, start, port| looked_at(Walk { scan, by_one }, range, start, port);
        let count = |scan, start, port| walk(scan, false, start, port);
        assert_eq!(count(ConnectScan::FromNext, 2, Some(40003)), 1);
        assert_eq!(count(ConnectScan::FromNext, 2, Some(40002)), 8);
        assert_eq!(count(ConnectScan::EvenStart, 3, Some(40002)), 1);
        assert_eq!(count(ConnectScan::Parity, 2, Some(40002)), 1);
        assert_eq!(count(ConnectScan::Parity, 2, Some(40000)), 4);
        assert_eq!(count(ConnectScan::Parity, 2, Some(40003)), 5);
        assert_eq!(count(ConnectScan::Parity, 2, Some(40001)), 8);
        assert_eq!(count(ConnectScan::Parity, 2, None), 8);
        // A range of the socket's own is walked port by port, from wherever the search begins.
        assert_eq!(walk(ConnectScan::Parity, true, 3, Some(40003)), 1);
        assert_eq!(walk(ConnectScan::Parity, true, 3, Some(40002)), 8);
        let odd = PortRange::new(40000, 40006);
        let all = |by_one| {
            looked_at(
                Walk {
                    scan: ConnectScan::Parity,
                    by_one,
                },
                odd,
                0,
                None,
            )
        };
        assert_eq!((all(true), all(false)), (7, 6));
    }
}
