//! Following a real kernel: for each call, the set of answers that a profile allows.
//!
//! A real kernel's port numbers hang on a secret, its TIME-WAITs on the phase of a tick, some of
//! its answers on uninitialised memory. A [`Follower`] therefore keeps every state of the model that
//! explains what has been seen so far. A call is tried on each of them with every possible choice;
//! what does not give the observed answer is dropped. If nothing is left, the answer is not allowed.
//!
//! Timers that may have fired or not would multiply the states: where it makes no difference to a call, they are taken not to have fired
//! yet. Only so many states are kept; once some were left out, an answer that the kept ones do not give shows nothing, and the
//! follower gives up.
//!
//! - `search`: one call on all states; `script`: the choices of a trial; `fingerprint`: which states are equal
//! - `starts`: the starts of searches, which are kept apart from the states
//! - `player`: a profile in the place of a kernel

mod fingerprint;
mod mentions;
mod player;
mod script;
mod search;
mod starts;

pub use mentions::Mentions;
pub use player::Player;
pub use script::Script;
use search::{Search, Stop};

use crate::Errno;
use crate::Family;
use crate::Shutdown;
use crate::SockOpt;
use crate::addr::{Endpoint, Ip, SockAddr};
use crate::chooser::Chooser;
use crate::machine::{Machine, NsId, SockId};
use crate::profile::{Behaviours, FlagSet};
use crate::time::Time;
pub use fingerprint::PortClass;
use std::collections::BTreeSet;
use std::task::Poll;

/// A call that a followed kernel was asked to do. Sockets are numbers given by the caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A new network namespace with only `lo`; what was before it ends.
    Ns,
    /// New network namespaces that reach each other, with their addresses; what was before ends.
    Hosts(Vec<Vec<Ip>>),
    /// Gives a namespace another address.
    Address {
        /// Number of the host, 0 with a single namespace.
        host: usize,
        /// The address.
        ip: Ip,
    },
    /// Writes a sysctl.
    Sysctl {
        /// Number of the host, 0 with a single namespace.
        host: usize,
        /// Full name.
        key: String,
        /// As written.
        value: String,
    },
    /// Makes a socket.
    Socket {
        /// Number of the host, 0 with a single namespace.
        host: usize,
        /// Its number.
        sock: usize,
        /// Its family.
        family: Family,
        /// The maker's uid.
        uid: u32,
    },
    /// Sets an option.
    Set {
        /// Socket.
        sock: usize,
        /// Option and value.
        opt: SockOpt,
    },
    /// Binds.
    Bind {
        /// Socket.
        sock: usize,
        /// Address and port.
        at: SockAddr,
    },
    /// Listens.
    Listen {
        /// Socket.
        sock: usize,
        /// Backlog.
        backlog: u32,
    },
    /// Connects, waiting until [`Seen`] says that the caller gave up.
    Connect {
        /// Socket.
        sock: usize,
        /// Destination.
        to: SockAddr,
    },
    /// Accepts.
    Accept {
        /// Listener.
        sock: usize,
        /// Number of the child.
        new: usize,
        /// The accepting process's uid.
        uid: u32,
    },
    /// Sends bytes.
    Send {
        /// Socket.
        sock: usize,
        /// How many.
        len: u32,
    },
    /// Receives bytes.
    Recv {
        /// Socket.
        sock: usize,
        /// At most this many.
        len: u32,
    },
    /// Shuts one or both directions down.
    Shutdown {
        /// Socket.
        sock: usize,
        /// Which.
        how: Shutdown,
    },
    /// connect() to `AF_UNSPEC`.
    Disconnect {
        /// Socket.
        sock: usize,
    },
    /// Closes.
    Close {
        /// Socket.
        sock: usize,
    },
    /// Asks for the local name.
    Getsockname {
        /// Socket.
        sock: usize,
    },
    /// Asks for the peer's name.
    Getpeername {
        /// Socket.
        sock: usize,
    },
    /// Time passes.
    Sleep,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Success.
    Ok,
    /// Failure.
    Err(Errno),
    /// Not done when the caller gave up.
    Waiting,
}

/// What was seen of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// How it ended.
    pub end: End,
    /// bind and listen: the port that getsockname() printed afterwards.
    pub port: Option<u16>,
    /// connect and getsockname: the local name. accept and getpeername: the peer's.
    pub name: Option<Endpoint>,
}

impl Seen {
    /// A call that worked, of which nothing else is told.
    pub const OK: Seen = Seen {
        end: End::Ok,
        port: None,
        name: None,
    };

    pub(crate) fn bare(end: End) -> Self {
        Seen {
            end,
            port: None,
            name: None,
        }
    }

    /// Whether the answer says which port the call took, or that it took none. A connect that is refused by the other end, for
    /// one, keeps a port that only a later call tells.
    fn tells_port(&self, op: &Op) -> bool {
        match (op, self.end) {
            (Op::Connect { .. }, End::Err(e)) => e == Errno::EADDRNOTAVAIL,
            (Op::Bind { .. }, End::Err(e)) => e == Errno::EADDRINUSE,
            _ => self.port.is_some() || self.name.is_some(),
        }
    }

    pub(crate) fn of(r: Result<(), Errno>) -> Self {
        Seen::bare(match r {
            Ok(()) => End::Ok,
            Err(e) => End::Err(e),
        })
    }
}

/// An observed answer that no state of the model gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disallowed {
    /// What the model would have allowed.
    pub allowed: BTreeSet<Seen>,
}

/// One possible state of the followed kernel.
#[derive(Clone)]
struct Belief<C: Chooser = Script> {
    machine: Machine<C>,
    /// The namespaces of the present program.
    nss: Vec<NsId>,
    /// Handles by the caller's socket numbers.
    socks: Vec<Option<SockId>>,
}

/// Follows one boot of one kernel.
#[derive(Clone)]
pub struct Follower {
    beliefs: Vec<Belief>,
    /// When the last call had returned.
    last: Time,
    most: usize,
    asked: FlagSet,
    tried: u64,
    /// Work on the present program.
    work: u64,
    limit: u64,
    /// More states than this are not kept; the oldest explanations win.
    room: usize,
    /// Whether states have been left out. The kernel's own may be one of them.
    left_out: bool,
    /// The limit that was exceeded: answers are not checked any more.
    lost: Option<GaveUp>,
    /// The starts of searches, if they are checked.
    starts: Option<starts::Starts>,
    /// The ports of the program that is checked, if they are known.
    mentions: Option<Mentions>,
}

/// The most states of a kernel that are kept at a time, unless a caller asks for less.
pub const MAX_STATES: usize = 2_048;
/// The most sockets and TIME-WAIT sockets in all states that are kept at a time.
pub const MAX_SOCKETS_KEPT: usize = 200_000;
/// The most work on one program, unless a caller asks for less: calls tried on a state, where each [`SOCKETS_PER_UNIT`] sockets of
/// the state count as one call more.
pub const MAX_WORK: u64 = 2_000_000;
/// Sockets that are copied in the time of a call.
pub const SOCKETS_PER_UNIT: usize = 16;

/// The limit at which a checker gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// More states explained the answers than are kept, and none of those that are kept explains a later answer.
    States(usize),
    /// Checking the program took more work than this.
    Work(u64),
}

impl std::fmt::Display for GaveUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GaveUp::States(most) => {
                write!(
                    f,
                    "more than {most} states of the kernel explain the answers"
                )
            }
            GaveUp::Work(most) => write!(f, "it takes more than {most} trials of a call"),
        }
    }
}

impl Follower {
    /// Follows a kernel from its boot on.
    #[must_use]
    pub fn new(behaviours: Behaviours) -> Self {
        Follower {
            beliefs: vec![Belief::boot(behaviours, Script::new(), Time::ZERO)],
            last: Time::ZERO,
            most: 1,
            asked: FlagSet::default(),
            tried: 0,
            work: 0,
            limit: MAX_WORK,
            room: MAX_STATES,
            left_out: false,
            lost: None,
            starts: None,
            mentions: None,
        }
    }

    /// Gives up on a program after this much work ([`MAX_WORK`]): from then on every answer is allowed. Where a kernel chose its ports
    /// out of tens of thousands, a few answers may have too many explanations.
    #[must_use]
    pub fn giving_up_after(self, work: u64) -> Self {
        Follower {
            limit: work,
            ..self
        }
    }

    /// Checks the starts of connect() searches as well. Only for programs that ran one after the other: what others do at the same
    /// time moves the starts.
    #[must_use]
    pub fn checking_starts(self) -> Self {
        Follower {
            starts: Some(starts::Starts::default()),
            ..self
        }
    }

    /// Sets the ports that the next program mentions, so that ports which it does not mention need not all be tried.
    pub fn expect(&mut self, mentions: Mentions) {
        self.mentions = Some(mentions);
    }

    /// Keeps at most so many states, and at least one.
    #[must_use]
    pub fn keeping_at_most(self, states: usize) -> Self {
        Follower {
            room: states.max(1),
            ..self
        }
    }

    /// Returns why the answers could not be checked to the end, if so: it was too much work, or there were too many explanations to
    /// keep, and none of those that were kept gives an answer that came later. Every answer is allowed then, until new namespaces
    /// begin.
    #[must_use]
    pub fn gave_up(&self) -> Option<GaveUp> {
        self.lost
    }

    /// How many times a call was tried on a state, a measure of the work that following has been.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.tried
    }

    /// Which behaviours have been looked at in any state that was tried, also one that did not give the observed answer. A kernel
    /// that differs in others only allows the same answers. All, where states were left out.
    #[must_use]
    pub fn observed_flags(&self) -> FlagSet {
        if self.left_out {
            FlagSet::ALL
        } else {
            self.asked
        }
    }

    /// How many states explain everything so far.
    #[must_use]
    pub fn beliefs(&self) -> usize {
        self.beliefs.len()
    }

    /// The most states there have been at once.
    #[must_use]
    pub fn most_beliefs(&self) -> usize {
        self.most
    }

    /// Takes in one call that had returned at `at` with what was `seen`.
    ///
    /// # Errors
    /// If no state of the model allows that answer. The follower is then as before the call.
    pub fn step(&mut self, at: Time, op: &Op, seen: &Seen) -> Result<(), Disallowed> {
        if matches!(op, Op::Ns | Op::Hosts(_)) {
            self.lost = None;
            self.work = 0;
            if let Some(starts) = &mut self.starts {
                *starts = starts::Starts::default();
            }
        }
        if self.lost.is_some() {
            return Ok(());
        }
        // The call began when the one before it had returned.
        let start = if matches!(op, Op::Sleep | Op::Ns | Op::Hosts(_)) {
            at
        } else {
            self.last
        };
        let mut search = Search::new(op, seen, (start, at));
        search.limit = self.limit.saturating_sub(self.work);
        search.room = self.room;
        search.mentions = self.mentions.as_ref();
        let stopped = self
            .beliefs
            .iter()
            .try_for_each(|belief| search.belief(belief))
            .err();
        self.work += search.work;
        self.tried += search.tried;
        self.asked = self.asked.union(search.asked);
        if stopped == Some(Stop::Work) {
            // What the kernel remembers of this program is not known.
            self.left_out = true;
            self.lost = Some(GaveUp::Work(self.limit));
            return Ok(());
        }
        if search.next.is_empty() && self.left_out {
            self.lost = Some(GaveUp::States(self.room));
            return Ok(());
        }
        if search.next.is_empty() {
            return Err(Disallowed {
                allowed: search.allowed,
            });
        }
        if let Some(starts) = &mut self.starts {
            let judged = starts.check(&self.beliefs, (start, at), op, seen);
            judged.map_err(|allowed| Disallowed { allowed })?;
        }
        self.left_out |= stopped == Some(Stop::States);
        self.most = self.most.max(search.next.len());
        self.beliefs = search.next;
        self.last = self.last.max(at);
        Ok(())
    }
}

impl Belief {
    fn fingerprint(&self) -> u64 {
        self.machine.fingerprint(&self.socks)
    }

    /// A script that first tries the searches that lead straight to the port that was seen.
    fn aiming(&self, op: &Op, seen: &Seen, mentions: Option<&Mentions>) -> Script {
        let (Op::Bind { sock, .. } | Op::Listen { sock, .. } | Op::Connect { sock, .. }) = op
        else {
            return Script::new();
        };
        let Some(sock) = self.sock(*sock) else {
            return Script::new();
        };
        let (low, high) = self.machine.port_range(sock);
        if seen.tells_port(op) {
            let port = seen.port.or(seen.name.map(|name| name.port));
            return Script::aiming(u32::from(port.unwrap_or(low).saturating_sub(low)));
        }
        let script = mentions.and_then(|mentions| mentions.script(low, high));
        script.map_or_else(Script::new, |(script, _)| script)
    }

    /// Returns `true` if another state stands for this one, to which a search has led that does not report its port.
    fn is_stood_for(&self, op: &Op, script: &Script, mentions: &Mentions) -> bool {
        let (Op::Connect { sock, .. }, Some(place)) = (op, script.place()) else {
            return false;
        };
        let Some(sock) = self.sock(*sock) else {
            return false;
        };
        let (low, high) = self.machine.port_range(sock);
        let free = mentions.script(low, high).map(|(_, place)| place);
        free != Some(place) && !mentions.names(self.machine.local_addr(sock).port)
    }
}

impl<C: Chooser> Belief<C> {
    /// A kernel that has just booted.
    fn boot(behaviours: Behaviours, chooser: C, now: Time) -> Self {
        let mut machine = Machine::new(behaviours, chooser);
        machine.set_clock(now);
        // The machine's first namespace is nobody's: programs get fresh ones.
        machine.add_namespace();
        Belief {
            machine,
            nss: Vec::new(),
            socks: Vec::new(),
        }
    }

    /// Ends what was and begins a program on fresh namespaces.
    fn begin(&mut self, hosts: &[Vec<Ip>]) {
        for ns in std::mem::take(&mut self.nss) {
            self.machine.remove_namespace(ns);
        }
        self.machine.forget_removed_namespaces();
        for addresses in hosts {
            let ns = self.machine.add_namespace();
            for ip in addresses {
                self.machine.add_address(ns, *ip);
            }
            self.machine.set_routed(ns, !addresses.is_empty());
            self.nss.push(ns);
        }
        self.machine.set_bridged(hosts.len() > 1);
        self.socks.clear();
        // Recorders put machine-wide sysctls back before the next program.
        self.machine.reset_machine_sysctls();
    }

    fn sock(&self, i: usize) -> Option<SockId> {
        self.socks.get(i).copied().flatten()
    }

    fn name(&mut self, i: usize, id: SockId) {
        if self.socks.len() <= i {
            self.socks.resize(i + 1, None);
        }
        self.socks[i] = Some(id);
    }

    /// Does the call, and waits until `at` where it has to.
    fn call(&mut self, op: &Op, at: Time, seen: &Seen) -> Seen {
        let gone = Seen::bare(End::Err(Errno::EINVAL));
        let m = &mut self.machine;
        match op {
            Op::Ns => {
                self.begin(&[Vec::new()]);
                Seen::bare(End::Ok)
            }
            Op::Hosts(hosts) => {
                self.begin(hosts);
                Seen::bare(End::Ok)
            }
            Op::Address { host, ip } => {
                if let Some(&ns) = self.nss.get(*host) {
                    m.add_address(ns, *ip);
                }
                Seen::bare(End::Ok)
            }
            Op::Sleep => Seen::bare(End::Ok),
            Op::Sysctl { host, key, value } => {
                let Some(&ns) = self.nss.get(*host) else {
                    return gone;
                };
                let mut r = m.sysctl(ns, key, value);
                // A recorder may have written a hidden key from the first namespace.
                if r == Err(Errno::ENOENT) && seen.end == End::Ok && m.is_hidden(key) {
                    r = m.sysctl_machine(key, value);
                }
                Seen::of(r)
            }
            Op::Socket {
                host,
                sock,
                family,
                uid,
            } => {
                let Some(&ns) = self.nss.get(*host) else {
                    return gone;
                };
                let id = m.socket(ns, *family, *uid);
                self.name(*sock, id);
                Seen::bare(End::Ok)
            }
            Op::Accept { sock, new, uid } => {
                let Some(s) = self.sock(*sock) else {
                    return gone;
                };
                let mut r = self.machine.accept(s, *uid);
                if r == Poll::Pending {
                    self.machine.advance(at);
                    r = self.machine.accept(s, *uid);
                }
                match r {
                    Poll::Pending => Seen::bare(End::Waiting),
                    Poll::Ready(Err(e)) => Seen::bare(End::Err(e)),
                    Poll::Ready(Ok(child)) => {
                        self.name(*new, child);
                        Seen {
                            end: End::Ok,
                            port: None,
                            name: Some(self.machine.remote_of(child)),
                        }
                    }
                }
            }
            Op::Close { sock } => {
                if let Some(s) = self.sock(*sock) {
                    self.machine.close(s);
                    self.socks[*sock] = None;
                }
                Seen::bare(End::Ok)
            }
            Op::Set { sock, .. }
            | Op::Bind { sock, .. }
            | Op::Listen { sock, .. }
            | Op::Connect { sock, .. }
            | Op::Send { sock, .. }
            | Op::Recv { sock, .. }
            | Op::Shutdown { sock, .. }
            | Op::Disconnect { sock }
            | Op::Getsockname { sock }
            | Op::Getpeername { sock } => match self.sock(*sock) {
                Some(s) => self.on_socket(s, op, at),
                None => gone,
            },
        }
    }

    fn on_socket(&mut self, s: SockId, op: &Op, at: Time) -> Seen {
        let m = &mut self.machine;
        let with_port = |m: &Machine<C>, r: Result<(), Errno>| Seen {
            port: r.is_ok().then(|| m.local_addr(s).port),
            ..Seen::of(r)
        };
        let waited = |r: Poll<Result<u32, Errno>>| match r {
            Poll::Pending => Seen::bare(End::Waiting),
            Poll::Ready(r) => Seen::of(r.map(|_| ())),
        };
        match op {
            Op::Set { opt, .. } => Seen::of(m.set_option(s, *opt)),
            Op::Bind { at, .. } => {
                let r = m.bind(s, *at);
                with_port(m, r)
            }
            Op::Listen { backlog, .. } => {
                let r = m.listen(s, *backlog);
                with_port(m, r)
            }
            Op::Connect { to, .. } => {
                let mut r = m.connect(s, *to);
                if r == Poll::Pending {
                    m.advance(at);
                    r = m.connect_result(s);
                }
                match r {
                    Poll::Pending => Seen::bare(End::Waiting),
                    Poll::Ready(r) => Seen {
                        name: r.is_ok().then(|| m.local_addr(s)),
                        ..Seen::of(r)
                    },
                }
            }
            Op::Send { len, .. } => waited(m.send_bytes(s, *len)),
            Op::Recv { len, .. } => waited(m.recv_bytes(s, *len)),
            Op::Shutdown { how, .. } => Seen::of(m.shutdown(s, *how)),
            Op::Disconnect { .. } => Seen::of(m.disconnect(s)),
            Op::Getsockname { .. } => Seen {
                end: End::Ok,
                port: None,
                name: Some(m.local_addr(s)),
            },
            Op::Getpeername { .. } => match m.peer_addr(s) {
                Ok(name) => Seen {
                    end: End::Ok,
                    port: None,
                    name: Some(name),
                },
                Err(e) => Seen::bare(End::Err(e)),
            },
            _ => unreachable!("only calls on one socket come here"),
        }
    }
}
