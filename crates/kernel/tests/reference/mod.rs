//! The rules once more, written down as slowly and plainly as possible: lists that are walked from
//! end to end, no sets of bits, no indices, one step after the other as the kernels' sources do it.
//!
//! IPv4 sockets of one namespace, servers on another host. It exists to be compared with the model:
//! whatever the model does to be fast must give the same answers as this.

mod bind;
mod connect;
pub(crate) mod ends;
pub(crate) mod reasons;
mod search;

use fourtuple_kernel::Errno;
use fourtuple_kernel::profile::Behaviours;
use reasons::Reasons;

pub(crate) type Answer = Result<u16, Errno>;

/// The host's own address, and another one of it; 0 is the wildcard.
pub(crate) const A1: u32 = 1;
pub(crate) const A2: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Close,
    Listen,
    Established,
}

#[derive(Clone, Debug)]
pub(crate) struct Sock {
    pub(crate) uid: u32,
    pub(crate) state: State,
    /// Source address, 0 if none.
    pub(crate) addr: u32,
    /// Bound port, 0 if none.
    pub(crate) num: u16,
    /// The port that getsockname() prints.
    pub(crate) sport: u16,
    /// The server that it is connected to.
    pub(crate) dest: Option<u8>,
    pub(crate) reuse: bool,
    pub(crate) reuseport: bool,
    pub(crate) no_port: bool,
    pub(crate) range: (u16, u16),
    pub(crate) addr_lock: bool,
    pub(crate) port_lock: bool,
    pub(crate) connect_bind: bool,
    pub(crate) alive: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TimeWait {
    pub(crate) addr: u32,
    pub(crate) port: u16,
    pub(crate) dest: u8,
    pub(crate) reuse: bool,
    /// Undefined memory on kernels that do not copy it, taken as 0.
    pub(crate) reuseport: bool,
    pub(crate) connect_bind: bool,
    /// Nanoseconds.
    pub(crate) entered: u64,
    /// When its own timer ends it; `None` while it sits in the wheel.
    pub(crate) ends: Option<u64>,
    pub(crate) alive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Sock(usize),
    Tw(usize),
}

/// An entry of the second table: address, and its own two values.
#[derive(Clone, Debug)]
pub(crate) struct ByAddr {
    pub(crate) addr: u32,
    pub(crate) fr: i8,
    pub(crate) frp: i8,
}

#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) port: u16,
    pub(crate) fr: i8,
    pub(crate) frp: i8,
    pub(crate) fastuid: Option<u32>,
    pub(crate) snapshot: u32,
    pub(crate) nown: i32,
    pub(crate) owners: Vec<Owner>,
    pub(crate) tb2: Vec<ByAddr>,
}

/// Everything, in lists.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) b: Behaviours,
    pub(crate) now: u64,
    pub(crate) range: (u16, u16),
    pub(crate) reserved: Vec<u16>,
    pub(crate) tw_reuse: bool,
    pub(crate) autobind_reuse: bool,
    pub(crate) hint: u32,
    pub(crate) cells: Vec<(u32, u32)>,
    pub(crate) bsockets: i32,
    pub(crate) socks: Vec<Sock>,
    pub(crate) tws: Vec<TimeWait>,
    pub(crate) buckets: Vec<Bucket>,
    /// The wheel: cells, the next one to be purged, and when it turns.
    pub(crate) wheel: Vec<Vec<usize>>,
    pub(crate) slot: usize,
    pub(crate) turns: Option<u64>,
    pub(crate) rng: ReferenceRng,
    /// The reasons of the last refusal, if ports were the reason.
    pub(crate) reasons: Reasons,
    /// The ports that the last search visited.
    pub(crate) visited: Vec<u16>,
}

/// The random numbers, the same for the model and for the reference.
#[derive(Clone, Debug)]
pub(crate) struct ReferenceRng {
    pub(crate) bind: u64,
    pub(crate) perturb: u64,
    pub(crate) secret: u64,
    /// Undefined memory matches.
    pub(crate) garbage_uid: bool,
}

pub(crate) fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl ReferenceRng {
    pub(crate) fn new(seed: u64) -> Self {
        ReferenceRng {
            bind: mix(seed),
            perturb: mix(seed ^ 1),
            secret: mix(seed ^ 2),
            garbage_uid: seed.is_multiple_of(5),
        }
    }

    pub(crate) fn bind_start(&mut self, n: u32) -> u32 {
        self.bind = mix(self.bind);
        (self.bind >> 32) as u32 % n
    }

    pub(crate) fn perturb_step(&mut self, n: u32) -> u32 {
        self.perturb = mix(self.perturb);
        (self.perturb >> 32) as u32 % n
    }

    /// The keyed hash of a source and a destination; `dest` is the server's number.
    pub(crate) fn port_hash(&self, addr: u32, dest: u8, epoch: u64) -> u64 {
        let words = u64::from(addr) << 8 | u64::from(dest);
        let hash = mix(self.secret ^ mix(words) ^ mix(epoch).rotate_left(7));
        // Sometimes close to where 32 bits wrap.
        if self.secret.is_multiple_of(4) {
            hash | 0xffff_ff00_0000_0000 | 0xffff_ff00
        } else {
            hash
        }
    }

    pub(crate) fn cell(&self, index: u32) -> u32 {
        mix(self.secret ^ u64::from(index)) as u32
    }
}

impl Reference {
    pub(crate) fn new(b: Behaviours, now: u64, range: (u16, u16), seed: u64) -> Self {
        Reference {
            b,
            now,
            range,
            reserved: Vec::new(),
            tw_reuse: false,
            autobind_reuse: false,
            hint: 0,
            cells: Vec::new(),
            bsockets: 0,
            socks: Vec::new(),
            tws: Vec::new(),
            buckets: Vec::new(),
            wheel: vec![Vec::new(); 8],
            slot: 0,
            turns: None,
            rng: ReferenceRng::new(seed),
            reasons: Reasons::new(),
            visited: Vec::new(),
        }
    }

    pub(crate) fn socket(&mut self, uid: u32) -> usize {
        self.socks.push(Sock {
            uid,
            state: State::Close,
            addr: 0,
            num: 0,
            sport: 0,
            dest: None,
            reuse: false,
            reuseport: false,
            no_port: false,
            range: (0, 0),
            addr_lock: false,
            port_lock: false,
            connect_bind: false,
            alive: true,
        });
        self.socks.len() - 1
    }

    /// Position of a port's bucket in the list.
    pub(crate) fn find(&self, port: u16) -> Option<usize> {
        self.buckets.iter().position(|b| b.port == port)
    }

    pub(crate) fn create(&mut self, port: u16, value: i8) -> usize {
        self.buckets.push(Bucket {
            port,
            fr: value,
            frp: value,
            fastuid: None,
            snapshot: 0,
            nown: 0,
            owners: Vec::new(),
            tb2: Vec::new(),
        });
        self.buckets.len() - 1
    }

    pub(crate) fn addr_of(&self, o: Owner) -> u32 {
        match o {
            Owner::Sock(i) => self.socks[i].addr,
            Owner::Tw(i) => self.tws[i].addr,
        }
    }

    pub(crate) fn is_connect_bound(&self, o: Owner) -> bool {
        match o {
            Owner::Sock(i) => self.socks[i].connect_bind,
            Owner::Tw(i) => self.tws[i].connect_bind,
        }
    }

    /// Links an owner to its bucket and to the entry of its address.
    pub(crate) fn link(&mut self, t: usize, o: Owner) {
        let addr = self.addr_of(o);
        let value = if self.is_connect_bound(o) { -1 } else { 0 };
        let b = &mut self.buckets[t];
        b.owners.push(o);
        if b.tb2.iter().all(|a| a.addr != addr) {
            b.tb2.push(ByAddr {
                addr,
                fr: value,
                frp: value,
            });
        }
    }

    /// `on_leave_tb2`: an owner with this address was just unlinked from the entry.
    pub(crate) fn leave_entry(&mut self, t: usize, addr: u32) {
        let left: Vec<Owner> = self.buckets[t]
            .owners
            .iter()
            .copied()
            .filter(|o| self.addr_of(*o) == addr)
            .collect();
        if left.is_empty() {
            self.buckets[t].tb2.retain(|a| a.addr != addr);
            return;
        }
        if !self.b.recompute_on_release {
            return;
        }
        let all = left.iter().all(|o| self.is_connect_bound(*o));
        let entry = self.buckets[t]
            .tb2
            .iter_mut()
            .find(|a| a.addr == addr)
            .expect("an entry with owners");
        if (entry.fr, entry.frp) == (-1, -1) {
            return;
        }
        if all {
            (entry.fr, entry.frp) = (-1, -1);
        }
    }

    /// Unlinks an owner from the bucket of a port: `on_leave_tb2`, then `on_leave_tb`.
    pub(crate) fn unlink(&mut self, port: u16, o: Owner) {
        let t = self.find(port).expect("a bucket for every owner");
        let addr = self.addr_of(o);
        self.buckets[t].owners.retain(|x| *x != o);
        self.leave_entry(t, addr);
        let b = &mut self.buckets[t];
        if b.owners.is_empty() {
            self.buckets.remove(t);
            return;
        }
        if !self.b.recompute_on_release || (b.fr, b.frp) == (-1, -1) {
            return;
        }
        if b.tb2.iter().all(|a| (a.fr, a.frp) == (-1, -1)) {
            (b.fr, b.frp) = (-1, -1);
        }
    }

    /// `inet_put_port`
    pub(crate) fn put_port(&mut self, i: usize) {
        let port = self.socks[i].num;
        if port == 0 {
            return;
        }
        let t = self.find(port).expect("a bucket for every owner");
        self.buckets[t].nown -= 1;
        self.bsockets -= 1;
        self.unlink(port, Owner::Sock(i));
        self.socks[i].num = 0;
        self.socks[i].connect_bind = false;
    }

    /// A socket gets another address; one that holds a port moves to another entry.
    pub(crate) fn move_address(&mut self, i: usize, addr: u32) {
        let old = self.socks[i].addr;
        let port = self.socks[i].num;
        if port == 0 || old == addr {
            self.socks[i].addr = addr;
            return;
        }
        let t = self.find(port).expect("a bucket for every owner");
        self.buckets[t].owners.retain(|x| *x != Owner::Sock(i));
        self.leave_entry(t, old);
        self.socks[i].addr = addr;
        self.link(t, Owner::Sock(i));
    }

    /// `tcp_set_state(CLOSE)`
    pub(crate) fn set_close(&mut self, i: usize) {
        self.socks[i].state = State::Close;
        self.socks[i].dest = None;
        if !self.socks[i].port_lock {
            self.put_port(i);
        }
    }

    /// Port, values and number of owners of every bucket, by port.
    pub(crate) fn view(&self) -> Vec<(u16, i8, i8, usize)> {
        let mut list: Vec<_> = self
            .buckets
            .iter()
            .map(|b| (b.port, b.fr, b.frp, b.owners.len()))
            .collect();
        list.sort_unstable();
        list
    }
}
