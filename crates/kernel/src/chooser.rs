//! The choices of a kernel that no program can see: random numbers, keyed hashes, uninitialised
//! memory, the phase of a clock. The model leaves all of them to a [`Chooser`].
//!
//! [`Seeded`] draws from named streams of a portable generator, so that a scenario gives the same
//! ports everywhere. The [conformance checker](crate::conformance) has a chooser of its own, which
//! walks through all possible choices to judge a recording.

use crate::addr::{Endpoint, Ip};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

/// The input of a keyed port hash (the kernel's `secure_ipv4_port_ephemeral`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortHashInput {
    pub(crate) saddr: Ip,
    pub(crate) daddr: Ip,
    pub(crate) dport: u16,
    pub(crate) epoch: u64,
}

impl PortHashInput {
    /// The source address.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.saddr.into()
    }

    /// The destination.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        Endpoint::new(self.daddr, self.dport).into()
    }

    /// A number that counts up every ten seconds on kernels whose hash takes the time in, else 0.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Makes the decisions that a kernel makes by chance.
///
/// Every method is one decision; [`Seeded`] makes them as a kernel would, from a seed. Tests and
/// searches implement the trait to take a particular choice: this one starts every bind() search at
/// the low end of the range.
///
/// ```
/// use fourtuple_kernel::chooser::PortHashInput;
/// use fourtuple_kernel::{Chooser, Family, Machine, Profile};
/// use std::net::SocketAddr;
///
/// #[derive(Clone)]
/// struct LowEnd;
///
/// impl Chooser for LowEnd {
///     fn bind_start(&mut self, _n: u32, _parity: bool) -> u32 {
///         0
///     }
/// #   fn port_hash(&mut self, _input: PortHashInput) -> u64 { 0 }
/// #   fn connect_start(&mut self, base: u32, _n: u32, _even: bool) -> u32 { base }
/// #   fn perturb_cell(&mut self, _index: u32) -> u32 { 0 }
/// #   fn perturb_step(&mut self, _n: u32) -> u32 { 0 }
/// #   fn step_factor(&mut self, _most: u32) -> u32 { 1 }
/// #   fn garbage_uid_matches(&mut self) -> bool { false }
/// #   fn garbage_bit(&mut self) -> bool { false }
/// #   fn pick_listener(&mut self, _n: u32) -> u32 { 0 }
///     // ... and the others.
/// }
///
/// let kernel: Profile = "rhel-6.5".parse()?;
/// let mut host = Machine::new(kernel.behaviours, LowEnd);
/// let ns = host.add_namespace();
/// let socket = host.socket(ns, Family::Inet, 0);
/// host.bind(socket, "127.0.0.1:0".parse::<SocketAddr>()?)?;
/// assert_eq!(host.local_addr(socket).port(), 32768);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Chooser: Clone {
    /// A random number in `0..n` for the start of a bind() search. With `parity` only the choice
    /// of the pair of offsets matters: the kernel makes the number odd.
    fn bind_start(&mut self, n: u32, parity: bool) -> u32;
    /// The number of times that a search may start again; `kernel` is the kernel's own limit.
    fn rescans(&mut self, kernel: u32) -> u32 {
        kernel
    }
    /// The keyed hash of a destination: 64 bits, of which old kernels use the lower half.
    fn port_hash(&mut self, input: PortHashInput) -> u64;
    /// The start of a connect() search over `n` ports. `base` is the kernel's own, from hash and
    /// hint; the conformance checker may answer with any other start. With `even` the kernel clears
    /// the lowest bit of the answer.
    fn connect_start(&mut self, base: u32, n: u32, even: bool) -> u32;
    /// First content of a cell of the perturb table.
    fn perturb_cell(&mut self, index: u32) -> u32;
    /// A random number in `0..n` that only moves the start of *later* searches.
    fn perturb_step(&mut self, n: u32) -> u32;
    /// A random number in `1..=most`, from which the distance between two candidates of a
    /// connect() search with `ip_local_port_step_width` is made.
    fn step_factor(&mut self, most: u32) -> u32;
    /// Returns `true` if uninitialised memory happens to hold the uid it is compared with.
    fn garbage_uid_matches(&mut self) -> bool;
    /// The value of a bit of uninitialised memory.
    fn garbage_bit(&mut self) -> bool;
    /// Returns `true` if a timer that may fire anywhere in `earliest..=latest` (nominally at
    /// `nominal`) has fired by `now`; only asked while `earliest <= now < latest`.
    fn timer_fired(&mut self, nominal: u64, now: u64) -> bool {
        now >= nominal
    }
    /// Returns `true` if a condition holds whose moment lies somewhere in a window that includes
    /// now; `nominal` is the answer of an exact clock.
    fn uncertain(&mut self, nominal: bool) -> bool {
        nominal
    }
    /// Returns `true` if two entries of a kernel's hash table happen to be in one chain.
    fn hashes_collide(&mut self) -> bool {
        false
    }
    /// The error of a recorded kernel's timers and clock, in nanoseconds; 0 is exact.
    fn slack(&self) -> u64 {
        0
    }
    /// The nanoseconds that passed on the kernel's clock before the scenario began, as far as they
    /// move the grid on which TIME-WAIT timers fire.
    fn tick_phase(&self) -> u64 {
        0
    }
    /// Picks one of `n` listeners of a reuseport group.
    fn pick_listener(&mut self, n: u32) -> u32;
    /// The 16 random bits at which a NAT host's search over `ports` ports from `low` on begins;
    /// only their remainder by `ports` and their distance from the end matter. `may_take` returns
    /// `true` for a port that the search takes if it comes there.
    fn nat_start(&mut self, low: u16, ports: u32, may_take: &mut dyn FnMut(u16) -> bool) -> u16 {
        let _ = (low, ports, may_take);
        0
    }
    /// The same before Linux 5.0 with `random`, where it is a hash of the connection.
    fn nat_hash_start(
        &mut self,
        input: PortHashInput,
        low: u16,
        ports: u32,
        may_take: &mut dyn FnMut(u16) -> bool,
    ) -> u16 {
        let _ = (low, ports, may_take);
        self.port_hash(input) as u16
    }
    /// The initial sequence number of a SYN that was sent at a time in nanoseconds. A NAT host
    /// gives the port of a closing flow away if the new flow's number is ahead of the old one's.
    fn nat_sequence(&mut self, from: SocketAddr, to: SocketAddr, at: u64) -> u32 {
        let _ = (from, to, at);
        0
    }
    /// [`Chooser::nat_sequence`] of the new flow. The old ones are asked first.
    fn nat_new_sequence(&mut self, from: SocketAddr, to: SocketAddr, at: u64) -> u32 {
        self.nat_sequence(from, to, at)
    }
    /// Picks one of `n` backends of a translated destination.
    fn nat_backend(&mut self, n: u32) -> u32 {
        let _ = n;
        0
    }
    /// Returns `true` if a NAT host handles a SYN while another CPU handles that of another client,
    /// so that neither sees the other's flow.
    fn nat_race(&mut self) -> bool {
        false
    }
}

/// Draws everything from ChaCha8 streams that are seeded by the scenario and named by purpose.
///
/// ```
/// use fourtuple_kernel::{Chooser, Seeded};
///
/// let draws = [1, 1, 2].map(|seed| Seeded::new(seed, "app").bind_start(28_232, false));
/// assert_eq!(draws[0], draws[1]);
/// assert_ne!(draws[0], draws[2]);
/// ```
#[derive(Clone, Debug)]
pub struct Seeded {
    bind: ChaCha8Rng,
    perturb: ChaCha8Rng,
    listener: ChaCha8Rng,
    step: ChaCha8Rng,
    nat: ChaCha8Rng,
    cell_key: u64,
    hash_key: (u64, u64),
    /// The port hash that was asked for last: bursts go to one destination.
    last_hash: Option<(PortHashInput, u64)>,
    tick_phase: u64,
}

impl Seeded {
    /// Streams for a machine. Equal seeds and names give equal streams on every platform.
    #[must_use]
    pub fn new(seed: u64, machine: &str) -> Self {
        let stream = |purpose: &str| {
            let mut key = [0u8; 32];
            for (i, chunk) in key.chunks_exact_mut(8).enumerate() {
                let mut h = SipHasher13::new_with_keys(seed, i as u64);
                h.write(machine.as_bytes());
                h.write_u8(0xff);
                h.write(purpose.as_bytes());
                chunk.copy_from_slice(&h.finish().to_le_bytes());
            }
            ChaCha8Rng::from_seed(key)
        };
        let mut keys = stream("port-hash");
        Seeded {
            bind: stream("bind-start"),
            perturb: stream("perturb-step"),
            listener: stream("reuseport-group"),
            step: stream("port-step"),
            nat: stream("nat"),
            cell_key: keys.next_u64(),
            hash_key: (keys.next_u64(), keys.next_u64()),
            last_hash: None,
            tick_phase: 0,
        }
    }

    /// The same streams with another [`Chooser::tick_phase`].
    #[must_use]
    pub fn with_tick_phase(self, tick_phase: u64) -> Self {
        Seeded { tick_phase, ..self }
    }
}

/// Uniform in `0..n` by multiplication; the bias is below 2^-16 for the sizes used here.
fn below(rng: &mut ChaCha8Rng, n: u32) -> u32 {
    ((u64::from(rng.next_u32()) * u64::from(n)) >> 32) as u32
}

impl Chooser for Seeded {
    fn bind_start(&mut self, n: u32, _parity: bool) -> u32 {
        below(&mut self.bind, n)
    }

    fn port_hash(&mut self, input: PortHashInput) -> u64 {
        if let Some((last, hash)) = self.last_hash
            && last == input
        {
            return hash;
        }
        let mut bytes = [0u8; 42];
        bytes[..16].copy_from_slice(&input.saddr.bits().to_le_bytes());
        bytes[16..32].copy_from_slice(&input.daddr.bits().to_le_bytes());
        bytes[32..34].copy_from_slice(&input.dport.to_le_bytes());
        bytes[34..].copy_from_slice(&input.epoch.to_le_bytes());
        let hash = SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1).hash(&bytes);
        self.last_hash = Some((input, hash));
        hash
    }

    fn connect_start(&mut self, base: u32, _n: u32, _even: bool) -> u32 {
        base
    }

    fn perturb_cell(&mut self, index: u32) -> u32 {
        let mut h = SipHasher13::new_with_keys(self.cell_key, 0);
        h.write(&index.to_le_bytes());
        h.finish() as u32
    }

    fn perturb_step(&mut self, n: u32) -> u32 {
        below(&mut self.perturb, n)
    }

    fn step_factor(&mut self, most: u32) -> u32 {
        below(&mut self.step, most) + 1
    }

    fn garbage_uid_matches(&mut self) -> bool {
        false
    }

    fn garbage_bit(&mut self) -> bool {
        false
    }

    fn tick_phase(&self) -> u64 {
        self.tick_phase
    }

    fn pick_listener(&mut self, n: u32) -> u32 {
        below(&mut self.listener, n)
    }

    fn nat_start(&mut self, _: u16, _: u32, _: &mut dyn FnMut(u16) -> bool) -> u16 {
        below(&mut self.nat, 1 << 16) as u16
    }

    fn nat_sequence(&mut self, from: SocketAddr, to: SocketAddr, at: u64) -> u32 {
        /// Nanoseconds of a step of the clock that the kernel adds to its hash.
        const STEP: u64 = 64;
        let mut h = SipHasher13::new_with_keys(self.cell_key, 1);
        for end in [from, to].map(Endpoint::from) {
            h.write(&end.ip.bits().to_le_bytes());
            h.write(&end.port.to_le_bytes());
        }
        (h.finish() as u32).wrapping_add((at / STEP) as u32)
    }

    fn nat_backend(&mut self, n: u32) -> u32 {
        below(&mut self.nat, n)
    }
}
