//! The reason of a refused call: the rule, the kernel's call path and the verdict on every port.
//!
//! A reason is made only if explaining is on
//! ([`Machine::set_explain`](crate::Machine::set_explain)); the answer of a call never depends on
//! it.

use crate::Errno;
use std::collections::BTreeMap;
use std::fmt;

macro_rules! rules {
    ($($variant:ident = $name:literal, $text:literal;)*) => {
        /// A rule of the model, by the name that outcomes and tests use.
        ///
        /// ```
        /// use fourtuple_kernel::Rule;
        ///
        /// assert_eq!(Rule::ConnectSkipFastreuse.name(), "connect.skip-bucket-fastreuse");
        /// assert!(Rule::ConnectSkipFastreuse.text().starts_with("Every port of the range"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $text] $variant,)*
        }

        impl Rule {
            /// Every rule, in the order of this table.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)*];

            /// Stable name, for example `connect.skip-bucket-fastreuse`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name,)* }
            }

            /// The rule as one sentence.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Rule::$variant => $text,)* }
            }
        }
    };
}

rules! {
    BindNotLocal = "bind.address-not-local", "The address is not local, and nothing allows binding to foreign addresses.";
    LinkLocalWithoutScope = "address.link-local-without-scope", "A link-local IPv6 address needs the interface that it is on, as in [fe80::1%eth0]:53, and neither the address nor SO_BINDTODEVICE names one.";
    ShortAddress = "address.ipv4-on-ipv6", "The socket is AF_INET6 and the address a sockaddr_in, which is too short for it; an IPv4 address is written ::ffff:A.B.C.D there.";
    Ipv6Off = "address.ipv6-off", "IPv6 is switched off by disable_ipv6: there is no IPv6 address, not even ::1.";
    AddressTentative = "address.tentative", "The IPv6 address is in duplicate address detection: it is there and cannot be used yet.";
    BindPrivileged = "bind.privileged-port", "The port is below the first unprivileged one and the process has no CAP_NET_BIND_SERVICE.";
    BindAlreadyBound = "bind.already-bound", "The socket already holds a port or is not closed.";
    BindMappedV6Only = "bind.mapped-on-v6only", "A v4-mapped address cannot be bound on a socket that is IPv6 only.";
    BindConflict = "bind.conflict", "Another owner of the port overlaps in address and does not share.";
    BindNoFreePort = "bind.no-port-in-range", "The search for a free port went over the whole range and found none.";
    ListenConflict = "listen.conflict", "On listen() the port is checked again, and another owner does not share.";
    ListenNoFreePort = "listen.no-port-in-range", "listen() without bind() searched the whole range and found no port.";
    ListenState = "listen.not-closed", "Only an unconnected socket can listen.";
    ConnectNoPort = "connect.no-port-in-range", "The search went over the whole range; no port was usable, for several reasons.";
    ConnectSkipFastreuse = "connect.skip-bucket-fastreuse", "Every port of the range has a bind bucket that bind() or listen() touched (fastreuse or fastreuseport not -1); connect() skips such buckets without looking at the 4-tuple.";
    ConnectTupleTaken = "connect.tuple-in-use", "On every port that may be shared, the 4-tuple to this destination is already in use.";
    ConnectTupleTimeWait = "connect.tuple-in-time-wait", "On every port that may be shared, the 4-tuple to this destination is in TIME-WAIT and must not be reused yet.";
    ConnectReserved = "connect.reserved", "Every port of the range is reserved by ip_local_reserved_ports.";
    ConnectBoundTuple = "connect.bound-tuple-in-use", "The socket has a port of its own, and its 4-tuple to this destination is already in use.";
    ConnectBoundTimeWait = "connect.bound-tuple-in-time-wait", "The socket has a port of its own, and its 4-tuple is in TIME-WAIT without timestamps, so it cannot be taken over.";
    ConnectRefused = "connect.refused", "The other end answered with a reset: no listener there.";
    ConnectTimedOut = "connect.timed-out", "The SYN and its repetitions were not answered.";
    NatKeep = "nat.keep", "The NAT host left the connection its source port: no other flow to this destination has it.";
    NatMove = "nat.move", "The NAT host gave the connection another source port: another flow to this destination has its own, or the rule demands another.";
    NatEvict = "nat.evict", "The NAT host took the source port from a flow in TIME_WAIT or CLOSE, whose entry ended at once.";
    NatDrop = "nat.drop", "The SYN and its repetitions were dropped in silence by the NAT host: every port that its search tried is in use towards this destination. conntrack -S counts them in insert_failed and drop.";
    NatRace = "nat.race", "The SYN was dropped by the NAT host: another CPU entered a flow with the same source port after the search had found it free. conntrack -S counts it in insert_failed and drop.";
    NatTableFull = "nat.table-full", "The NAT host has as many flows as nf_conntrack_max allows, all of them assured, and dropped the SYN and its repetitions; conntrack -S counts them in drop.";
    NatQuota = "nat.quota", "All ports that the provider's NAT gives this client are in use towards this destination; the SYN and its repetitions were dropped.";
    ConnectUnreachable = "connect.unreachable", "There is no route to the destination.";
    ConnectFamily = "connect.family", "The destination's family does not fit the socket or the address it is bound to.";
    ConnectState = "connect.state", "The socket is already connected, connecting or listening.";
    OptionUnknown = "option.unknown", "This kernel does not know the socket option.";
    OptionInvalid = "option.invalid", "The value or the state of the socket does not fit the option.";
    SysctlUnknown = "sysctl.unknown", "This kernel does not have the sysctl, or does not show it in this network namespace.";
    SysctlInvalid = "sysctl.invalid", "The value does not fit the sysctl.";
    ConnectionReset = "connection.reset", "The other end reset the connection.";
    AutobindNoFreePort = "autobind.no-port-in-range", "connect() or sendto() of a UDP socket without a port binds it first, before the destination counts: the search for a free port went over the whole range and found none.";
    DatagramSocket = "socket.datagram", "A UDP socket neither listens nor accepts.";
    SendNoDestination = "send.no-destination", "The UDP socket is not connected, and the call names no destination.";
    SendPortZero = "send.port-0", "A datagram cannot be sent to port 0.";
    SendTooLong = "send.too-long", "The datagram is longer than 65,507 bytes.";
    SendBroadcast = "send.broadcast", "The destination is the broadcast address, and the socket has no SO_BROADCAST.";
    SendUnreachable = "send.port-unreachable", "No socket received an earlier datagram: its host answered that the port is unreachable, which a connected socket reports once.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The reason why ephemeral port selection skipped a port. See [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PortVerdict {
    /// Listed in `ip_local_reserved_ports`.
    Reserved,
    /// connect(): the bucket has `fastreuse >= 0` or `fastreuseport >= 0`.
    Fastreuse,
    /// connect(): the 4-tuple is held by a live socket.
    TupleInUse,
    /// connect(): the 4-tuple is in TIME-WAIT that cannot be reused (yet).
    TupleTimeWait,
    /// bind(): an owner of the bucket conflicts.
    Conflict,
    /// bind() before sharing existed: any bucket at all blocks the port.
    HasBucket,
    /// A NAT host: another flow to the destination has the port.
    FlowTuple,
    /// The port was not visited (a search of an odd-sized range leaves one out).
    NotVisited,
}

impl PortVerdict {
    /// Key used in outcomes, for example `fastreuse`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PortVerdict::Reserved => "reserved",
            PortVerdict::Fastreuse => "fastreuse",
            PortVerdict::TupleInUse => "tuple-in-use",
            PortVerdict::TupleTimeWait => "tuple-in-time-wait",
            PortVerdict::Conflict => "conflict",
            PortVerdict::HasBucket => "has-bucket",
            PortVerdict::FlowTuple => "nat-flow",
            PortVerdict::NotVisited => "not-visited",
        }
    }
}

/// One port of a search, with the state of its bucket at that moment. See [`Refusal`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortRefusal {
    /// The port.
    pub port: u16,
    /// The reason why it was skipped.
    pub verdict: PortVerdict,
    /// `fastreuse` and `fastreuseport` of its bucket, if it has one.
    pub bucket: Option<(i8, i8)>,
    /// The owners of the port, in words such as `192.168.0.12:40002 ESTABLISHED 192.168.0.4:3000`.
    pub owners: Vec<String>,
}

/// The reason of a failed call, from [`Machine::take_refusal`](crate::Machine::take_refusal).
///
/// ```
/// use fourtuple_kernel::{Errno, Family, Machine, PortVerdict, Profile, Rule, Seeded};
/// use std::net::SocketAddr;
///
/// let kernel: Profile = "linux-6.18".parse()?;
/// let mut host = Machine::new(kernel.behaviours, Seeded::new(1, "host"));
/// let ns = host.add_namespace();
/// host.sysctl(ns, "net.ipv4.ip_local_port_range", "40000 40001")?;
/// host.set_explain(true);
/// let at: SocketAddr = "127.0.0.1:0".parse()?;
/// for _ in 0..2 {
///     let socket = host.socket(ns, Family::Inet, 0);
///     host.bind(socket, at)?;
/// }
///
/// let third = host.socket(ns, Family::Inet, 0);
/// assert_eq!(host.bind(third, at), Err(Errno::EADDRINUSE));
/// let refusal = host.take_refusal().ok_or("no reason")?;
/// assert_eq!(refusal.rule, Rule::BindNoFreePort);
/// assert_eq!(refusal.counts[&PortVerdict::Conflict], 2);
/// assert_eq!(refusal.ports[0].bucket, Some((0, 0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The errno that the call returned.
    pub errno: Errno,
    /// The rule that decided.
    pub rule: Rule,
    /// Kernel functions from the system call to the place of the decision.
    pub path: Vec<&'static str>,
    /// The number of ports that a search visited; 0 without a search.
    pub tried: u32,
    /// The number of refused ports by reason.
    pub counts: BTreeMap<PortVerdict, u32>,
    /// The first ports in the order of the search (at most [`Refusal::MAX_PORTS`]).
    pub ports: Vec<PortRefusal>,
}

impl Refusal {
    /// The number of single ports that a refusal keeps.
    pub const MAX_PORTS: usize = 16;

    /// A refusal without a search.
    #[must_use]
    pub fn plain(errno: Errno, rule: Rule, path: Vec<&'static str>) -> Self {
        Refusal {
            errno,
            rule,
            path,
            tried: 0,
            counts: BTreeMap::new(),
            ports: Vec::new(),
        }
    }
}
