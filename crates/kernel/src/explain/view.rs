//! The visible state of a namespace: its sockets, as `ss` prints them, and its bind buckets.

use crate::Kind;
use crate::addr::Endpoint;
use crate::bucket::{Bucket, OwnerKind};
use crate::chooser::Chooser;
use crate::conn::socket::{State, Tw};
use crate::machine::{Machine, NsId};
use crate::time::Time;
use crate::time_wait::timer::own_timer_fires;
use std::fmt;
use std::net::SocketAddr;

/// A bind bucket.
///
/// ```
/// use fourtuple_kernel::{Family, Machine, Profile, Seeded};
/// use std::net::SocketAddr;
///
/// let kernel: Profile = "rhel-6.5".parse()?;
/// let mut host = Machine::new(kernel.behaviours, Seeded::new(1, "host"));
/// let ns = host.add_namespace();
/// let binder = host.socket(ns, Family::Inet, 0);
/// host.bind(binder, "127.0.0.1:40000".parse::<SocketAddr>()?)?;
///
/// let bucket = host.bucket(ns, 40000).ok_or("no bucket")?;
/// assert_eq!((bucket.fastreuse, bucket.fastreuseport), (0, 0));
/// assert!(bucket.blocks_connect());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketView {
    /// The port.
    pub port: u16,
    /// -1, 0 or 1: the three values of the crate's documentation.
    pub fastreuse: i8,
    /// -1, 0, 1 or 2.
    pub fastreuseport: i8,
    /// The owners of the port, in words.
    pub owners: Vec<String>,
}

impl BucketView {
    /// Returns `true` if connect() without bind() skips this port.
    #[must_use]
    pub fn blocks_connect(&self) -> bool {
        self.fastreuse >= 0 || self.fastreuseport >= 0
    }
}

/// A socket or a TIME-WAIT socket. Displays as a line of `ss`.
///
/// ```
/// use fourtuple_kernel::{Family, Machine, Profile, Seeded};
/// use std::net::SocketAddr;
///
/// let kernel: Profile = "linux-6.18".parse()?;
/// let mut host = Machine::new(kernel.behaviours, Seeded::new(1, "host"));
/// let ns = host.add_namespace();
/// let listener = host.socket(ns, Family::Inet, 0);
/// host.bind(listener, "127.0.0.1:80".parse::<SocketAddr>()?)?;
/// host.listen(listener, 8)?;
/// assert_eq!(host.sockets(ns)[0].to_string(), "LISTEN      127.0.0.1:80           *");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct SocketView {
    /// Local address and held port (0 if none).
    pub local: SocketAddr,
    /// Remote end of a connection.
    pub remote: Option<SocketAddr>,
    /// The type.
    pub kind: Kind,
    /// The TCP state; of a datagram socket `ESTAB` once it is connected, else `UNCONN`.
    pub state: State,
    /// The uid of its owner; `None` for a TIME-WAIT socket.
    pub uid: Option<u32>,
    /// The end of a TIME-WAIT socket.
    pub expires: Option<Time>,
}

impl fmt::Display for SocketView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remote = self
            .remote
            .map_or_else(|| "*".to_owned(), |r| r.to_string());
        write!(
            f,
            "{:<11} {:<22} {remote}",
            self.state.name(),
            self.local.to_string()
        )
    }
}

impl<C: Chooser> Machine<C> {
    /// The end of a TIME-WAIT socket, for views.
    fn expiry(&self, tw: &Tw) -> Time {
        self.observe_ends();
        if self.has_wheel() {
            tw.since.after(tw.timeout)
        } else {
            own_timer_fires(
                self.b.peek(),
                tw.since,
                tw.timeout,
                self.chooser.tick_phase(),
            )
        }
    }

    fn view(&self, b: &Bucket) -> BucketView {
        BucketView {
            port: b.port,
            fastreuse: b.fastreuse,
            fastreuseport: b.fastreuseport,
            owners: b.owners.iter().map(|&o| self.describe(o)).collect(),
        }
    }

    /// The bucket of a port, if the port is in use.
    #[must_use]
    pub fn bucket(&self, ns: NsId, port: u16) -> Option<BucketView> {
        self.ns(ns.0).bucket(port).map(|b| self.view(b))
    }

    /// All buckets of a namespace, by port.
    #[must_use]
    pub fn buckets(&self, ns: NsId) -> Vec<BucketView> {
        let mut list: Vec<BucketView> = self
            .ns(ns.0)
            .buckets
            .iter()
            .map(|(_, b)| self.view(b))
            .collect();
        list.sort_by_key(|b| b.port);
        list
    }

    /// All sockets and TIME-WAIT sockets of a namespace, in the order of local and remote address.
    #[must_use]
    pub fn sockets(&self, ns: NsId) -> Vec<SocketView> {
        let mut list = Vec::new();
        for (_, s) in self.socks.iter().filter(|(_, s)| s.ns == ns.0) {
            let open = !matches!(s.state, State::Close | State::Listen);
            list.push(SocketView {
                local: Endpoint::new(s.rcv_saddr, s.num).into(),
                remote: open.then(|| s.remote().into()),
                kind: s.kind,
                state: s.state,
                uid: Some(s.uid),
                expires: None,
            });
        }
        for (i, w) in self.tw.socks.iter().filter(|(_, w)| w.ns == ns.0) {
            list.push(SocketView {
                local: Endpoint::new(w.local, w.lport).into(),
                remote: Some(Endpoint::new(w.remote, w.rport).into()),
                kind: Kind::Stream,
                state: self.tw_state(i),
                uid: None,
                expires: Some(self.expiry(w)),
            });
        }
        list.sort();
        list
    }

    /// Checks what must hold between calls; for tests.
    ///
    /// # Panics
    /// If an invariant is broken.
    pub fn assert_invariants(&self) {
        for (n, ns) in self.nss.iter().enumerate() {
            for (index, b) in ns.buckets.iter() {
                assert!(!b.owners.is_empty(), "a bucket without owners is destroyed");
                assert_eq!(ns.by_port.get(b.port), Some(index));
                assert_eq!(ns.blocked.contains(b.port), b.blocks_connect());
                assert_eq!(
                    b.by_addr
                        .iter()
                        .map(|a| a.owners[0] + a.owners[1])
                        .sum::<u32>() as usize,
                    b.owners.len()
                );
                for (place, o) in b.owners.iter().enumerate() {
                    let (bucket, at, ns, port) = match o.kind() {
                        OwnerKind::Sock(i) => (
                            self.socks[i].bucket,
                            self.socks[i].place,
                            self.socks[i].ns,
                            self.socks[i].num,
                        ),
                        OwnerKind::Tw(i) => (
                            self.tw.socks[i].bucket,
                            self.tw.socks[i].place,
                            self.tw.socks[i].ns,
                            self.tw.socks[i].lport,
                        ),
                    };
                    assert_eq!(
                        (bucket, at as usize, usize::from(ns), port),
                        (index, place, n, b.port)
                    );
                }
            }
            assert_eq!(
                ns.tw_count as usize,
                self.tw
                    .socks
                    .iter()
                    .filter(|(_, w)| usize::from(w.ns) == n)
                    .count()
            );
        }
        assert_eq!(self.tw.count as usize, self.tw.socks.iter().count());
        for (index, s) in self.socks.iter() {
            let held = match s.is_datagram() {
                true => self.nss[usize::from(s.ns)]
                    .udp
                    .owners(s.num)
                    .contains(&index),
                false => s.bucket != crate::conn::socket::NONE,
            };
            assert_eq!(s.num != 0, held, "a port is held by a bucket, or as UDP's");
        }
    }
}
