//! A chooser with given answers: fixed draws, a hash of 0, a hint that starts at 0.

use fourtuple_kernel::Chooser;
use fourtuple_kernel::chooser::PortHashInput;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Draws in the order given, then always `draw`.
#[derive(Clone, Debug, Default)]
pub struct FixedChooser {
    pub draws: VecDeque<u32>,
    pub draw: u32,
    /// The keyed port hash of every destination, unless `hash_of` is set.
    pub hash: u64,
    /// The keyed port hash of an input.
    pub hash_of: Option<fn(&PortHashInput) -> u64>,
    /// The content of undefined memory.
    pub garbage_uid: bool,
    pub garbage_bit: bool,
    /// Answer of every draw that only moves later starts.
    pub step: u32,
    /// Two CPUs of a NAT host handle the SYNs of one moment at once.
    pub races: bool,
}

impl Chooser for FixedChooser {
    fn bind_start(&mut self, n: u32, _parity: bool) -> u32 {
        self.draws.pop_front().unwrap_or(self.draw) % n
    }

    fn port_hash(&mut self, input: PortHashInput) -> u64 {
        self.hash_of.map_or(self.hash, |f| f(&input))
    }

    fn connect_start(&mut self, base: u32, _n: u32, _even: bool) -> u32 {
        base
    }

    fn perturb_cell(&mut self, _index: u32) -> u32 {
        0
    }

    fn perturb_step(&mut self, n: u32) -> u32 {
        self.step % n
    }

    fn step_factor(&mut self, most: u32) -> u32 {
        self.step % most + 1
    }

    fn garbage_uid_matches(&mut self) -> bool {
        self.garbage_uid
    }

    fn garbage_bit(&mut self) -> bool {
        self.garbage_bit
    }

    fn pick_listener(&mut self, _n: u32) -> u32 {
        0
    }

    fn nat_race(&mut self) -> bool {
        self.races
    }

    /// A clock alone, so that later flows are ahead of earlier ones.
    fn nat_sequence(&mut self, _from: SocketAddr, _to: SocketAddr, at: u64) -> u32 {
        (at / 64) as u32
    }
}
