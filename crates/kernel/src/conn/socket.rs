//! The full socket and the TIME-WAIT socket, as far as ports depend on them.

use crate::Errno;
use crate::Family;
use crate::Kind;
use crate::addr::{Endpoint, Ip};
use crate::profile::TrackedBehaviours;
use crate::time::Time;
use std::collections::VecDeque;
use std::fmt;

/// TCP states, as the kernel names them.
///
/// ```
/// use fourtuple_kernel::State;
///
/// assert_eq!(State::Established.name(), "ESTAB");
/// assert_eq!(State::TimeWait.to_string(), "TIME-WAIT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// `TCP_CLOSE`
    Close,
    /// `TCP_LISTEN`
    Listen,
    /// `TCP_SYN_SENT`
    SynSent,
    /// `TCP_SYN_RECV`, here only of a simultaneous open
    SynRecv,
    /// `TCP_ESTABLISHED`
    Established,
    /// `TCP_FIN_WAIT1`
    FinWait1,
    /// `TCP_FIN_WAIT2`
    FinWait2,
    /// `TCP_CLOSE_WAIT`
    CloseWait,
    /// `TCP_LAST_ACK`
    LastAck,
    /// `TCP_CLOSING`
    Closing,
    /// `TCP_TIME_WAIT`, of a TIME-WAIT socket only
    TimeWait,
}

impl State {
    /// The name that `ss` prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Close => "UNCONN",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynRecv => "SYN-RECV",
            State::Established => "ESTAB",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::LastAck => "LAST-ACK",
            State::Closing => "CLOSING",
            State::TimeWait => "TIME-WAIT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The socket layer's own state (`sock->state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    Unconnected,
    Connecting,
    Connected,
}

/// Datagrams that wait to be received, with their senders and sizes.
pub(crate) type Inbox = VecDeque<(Endpoint, u32)>;

/// Options and parts that few sockets have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Cold {
    pub(crate) range: (u16, u16),
    pub(crate) linger2: i32,
    /// Under `TCP_REPAIR`.
    pub(crate) repair: bool,
    pub(crate) syn_count: Option<u8>,
    /// It has attached a program to its `SO_REUSEPORT` group.
    pub(crate) program: bool,
    pub(crate) backlog: u32,
    /// Children that have not been accepted yet.
    pub(crate) queue: VecDeque<u32>,
    /// Datagrams that have not been received yet.
    pub(crate) inbox: Inbox,
    /// `SO_BROADCAST`
    pub(crate) broadcast: bool,
    /// The IPv4 source of an `AF_INET6` datagram socket whose own address is a native one.
    pub(crate) saddr4: Option<Ip>,
}

/// A full socket (`struct sock`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sock {
    pub(crate) rcv_saddr: Ip,
    pub(crate) daddr: Ip,
    /// The arrival of the last segment with a timestamp (`ts_recent_stamp`).
    pub(crate) stamp: Time,
    pub(crate) generation: u32,
    pub(crate) timer: u32,
    /// Index of the bind bucket in its namespace, [`NONE`] without a port.
    pub(crate) bucket: u32,
    /// Place in the bucket's owner list.
    pub(crate) place: u32,
    pub(crate) uid: u32,
    /// Bytes received and not read.
    pub(crate) unread: u32,
    pub(crate) cold: Option<Box<Cold>>,
    pub(crate) ns: u16,
    /// Bound local port, 0 if there is none (`inet_num`).
    pub(crate) num: u16,
    /// The port that getsockname() prints (`inet_sport`); not cleared when the port is lost.
    pub(crate) sport: u16,
    pub(crate) dport: u16,
    pub(crate) dev: u16,
    pub(crate) family: Family,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) link: Link,
    pub(crate) error: Option<Errno>,
    /// `sk_reuse`: 0, 1 for `SO_REUSEADDR`, 2 under `TCP_REPAIR`.
    pub(crate) reuse: u8,
    /// The number of repetitions of the SYN.
    pub(crate) retries: u8,
    pub(crate) reuseport: bool,
    pub(crate) group: bool,
    pub(crate) v6only: bool,
    pub(crate) no_port: bool,
    /// `SO_LINGER` with no time: close() sends a reset.
    pub(crate) aborts: bool,
    pub(crate) freebind: bool,
    pub(crate) transparent: bool,
    /// `SOCK_BINDADDR_LOCK`
    pub(crate) addr_lock: bool,
    /// `SOCK_BINDPORT_LOCK`
    pub(crate) port_lock: bool,
    /// `SOCK_CONNECT_BIND`: the port was chosen inside connect().
    pub(crate) connect_bind: bool,
    /// The source address for sending stays unset although `rcv_saddr` is (multicast).
    pub(crate) saddr_unset: bool,
    /// A process holds it by a file descriptor; false for orphans and unaccepted children.
    pub(crate) has_file: bool,
    /// In an accept queue.
    pub(crate) queued: bool,
    /// In the established table.
    pub(crate) hashed: bool,
    /// The peer's FIN has arrived.
    pub(crate) fin_in: bool,
    /// `RCV_SHUTDOWN`
    pub(crate) shut_read: bool,
    /// `SEND_SHUTDOWN`
    pub(crate) shut_write: bool,
    /// Timestamps were negotiated.
    pub(crate) timestamps: bool,
    /// An AF_INET6 socket that has switched to IPv4 operations.
    pub(crate) mapped_ops: bool,
    /// Its segments get no answer: a native destination with a mapped source.
    pub(crate) unanswered: bool,
    /// Its segments leave by `lo`, and no host there has the destination.
    pub(crate) strays: bool,
    /// An acknowledgement of the peer's FIN is still to be sent.
    pub(crate) ack_pending: bool,
}

/// Index that means "nothing".
pub(crate) const NONE: u32 = u32::MAX;

impl Sock {
    pub(crate) fn new(ns: u16, family: Family, uid: u32, generation: u32) -> Self {
        Sock {
            rcv_saddr: Ip::any(family),
            daddr: Ip::any(family),
            stamp: Time::ZERO,
            generation,
            timer: 0,
            bucket: NONE,
            place: 0,
            uid,
            unread: 0,
            cold: None,
            ns,
            num: 0,
            sport: 0,
            dport: 0,
            dev: 0,
            family,
            kind: Kind::Stream,
            state: State::Close,
            link: Link::Unconnected,
            error: None,
            reuse: 0,
            retries: 0,
            reuseport: false,
            group: false,
            v6only: false,
            no_port: false,
            aborts: false,
            freebind: false,
            transparent: false,
            addr_lock: false,
            port_lock: false,
            connect_bind: false,
            saddr_unset: false,
            has_file: true,
            queued: false,
            hashed: false,
            fin_in: false,
            shut_read: false,
            shut_write: false,
            timestamps: false,
            mapped_ops: false,
            unanswered: false,
            strays: false,
            ack_pending: false,
        }
    }

    pub(crate) fn cold(&mut self) -> &mut Cold {
        self.cold.get_or_insert_default()
    }

    /// The address that the socket sends from, once it has one.
    pub(crate) fn source(&self) -> Option<Ip> {
        (!self.rcv_saddr.is_any() && !self.saddr_unset).then_some(self.rcv_saddr)
    }

    pub(crate) fn is_datagram(&self) -> bool {
        self.kind == Kind::Datagram
    }

    pub(crate) fn remote(&self) -> Endpoint {
        Endpoint::new(self.daddr, self.dport)
    }

    /// `true` for an AF_INET6 socket with an IPv4 address.
    pub(crate) fn is_mapped(&self) -> bool {
        self.family == Family::Inet6 && self.rcv_saddr.is_v4()
    }

    /// Returns `true` if `SO_REUSEADDR` counts when this socket takes a port: not while it listens.
    pub(crate) fn reuses(&self) -> bool {
        self.reuse != 0 && self.state != State::Listen
    }

    /// The uid that port rules see (`sock_i_uid`): on kernels that read it from the file, a socket
    /// without one counts as root's.
    pub(crate) fn uid_seen(&self, rules: &TrackedBehaviours) -> u32 {
        if self.has_file || rules.uid_kept() {
            self.uid
        } else {
            0
        }
    }

    pub(crate) fn range(&self) -> (u16, u16) {
        self.cold.as_ref().map_or((0, 0), |c| c.range)
    }

    /// The address that IPv4 code sees. A connect() from a mapped address to a native one has left
    /// the marker of native addresses there (`tcp_v6_connect`).
    pub(crate) fn shadow4(&self) -> u32 {
        match self.unanswered {
            true => Ip::NATIVE,
            false => self.rcv_saddr.shadow4(),
        }
    }

    pub(crate) fn repair(&self) -> bool {
        self.cold.as_ref().is_some_and(|c| c.repair)
    }

    pub(crate) fn linger2(&self) -> i32 {
        self.cold.as_ref().map_or(0, |c| c.linger2)
    }
}

/// A TIME-WAIT socket (`struct inet_timewait_sock`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tw {
    pub(crate) local: Ip,
    pub(crate) remote: Ip,
    pub(crate) stamp: Time,
    /// The moment at which it entered its present sub-state.
    pub(crate) entered: Time,
    /// The moment at which its time, or its wheel's, began to run.
    pub(crate) since: Time,
    /// Its length, in nanoseconds.
    pub(crate) timeout: u64,
    pub(crate) timer: u32,
    pub(crate) bucket: u32,
    pub(crate) place: u32,
    pub(crate) ns: u16,
    pub(crate) lport: u16,
    pub(crate) rport: u16,
    pub(crate) dev: u16,
    pub(crate) family: Family,
    pub(crate) reuse: bool,
    /// `SO_REUSEPORT`; `None` is undefined memory that has not been read yet.
    pub(crate) reuseport: Option<bool>,
    pub(crate) v6only: bool,
    pub(crate) connect_bind: bool,
    /// Timestamps were used on the old connection.
    pub(crate) timestamps: bool,
    /// In sub-state FIN_WAIT2: the peer's FIN has not come.
    pub(crate) fin_wait2: bool,
}

/// The origin of the port whose 4-tuple is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortFrom {
    /// Ephemeral port selection. The kernel passes a place for the TIME-WAIT socket that is
    /// replaced, and asks for `tcp_tw_reuse`.
    Selection,
    /// bind() or an earlier connect(): the socket holds the port already.
    Socket,
}
