//! TCP segments and UDP datagrams, as far as they decide about sockets and ports: no sequence
//! numbers, only what a segment says and whether its sender has seen the other end's FIN.

use crate::addr::{Endpoint, Ip};
use crate::conn::device::Arrival;
use std::net::SocketAddr;

/// The kind of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegKind {
    /// Opens a connection.
    Syn,
    /// Answers a SYN.
    SynAck,
    /// Acknowledges.
    Ack,
    /// Answers a SYN that came in the middle of an old connection.
    Challenge,
    /// Carries this many bytes.
    Data(u32),
    /// Ends the sender's direction.
    Fin,
    /// Ends the connection at once.
    Rst,
    /// A reset that answers a SYN: no listener.
    Refuse,
    /// A UDP datagram of this many bytes.
    Datagram(u32),
    /// The answer to a datagram that no socket receives (ICMP port unreachable).
    Unreachable,
}

/// One segment on the wire. Callers carry it to the machine that has the address `dst`.
///
/// ```
/// use fourtuple_kernel::{Family, Machine, Profile, SegKind, Seeded, State};
/// use std::net::{IpAddr, SocketAddr};
/// use std::task::Poll;
///
/// let kernel: Profile = "linux-6.18".parse()?;
/// let mut host = Machine::new(kernel.behaviours, Seeded::new(1, "host"));
/// let ns = host.add_namespace();
/// host.add_address(ns, "10.0.0.1".parse::<IpAddr>()?);
/// host.set_routed(ns, true);
/// let socket = host.socket(ns, Family::Inet, 0);
/// assert_eq!(host.connect(socket, "10.0.0.2:80".parse::<SocketAddr>()?), Poll::Pending);
///
/// let (ns, syn) = host.segment().ok_or("no SYN")?;
/// assert_eq!(syn.kind(), SegKind::Syn);
/// host.deliver(ns, syn.reply(SegKind::SynAck));
/// assert_eq!(host.state(socket), State::Established);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub(crate) src: Endpoint,
    pub(crate) dst: Endpoint,
    pub(crate) kind: SegKind,
    pub(crate) saw_fin: bool,
    pub(crate) timestamps: bool,
    /// The interface by which it arrives.
    pub(crate) via: Arrival,
}

impl Segment {
    /// A segment that acknowledges no FIN and carries no timestamp.
    #[must_use]
    pub fn new(src: SocketAddr, dst: SocketAddr, kind: SegKind) -> Self {
        Segment {
            src: src.into(),
            dst: dst.into(),
            kind,
            saw_fin: false,
            timestamps: false,
            via: Arrival::Ethernet,
        }
    }

    /// The same with another [`kind`](Segment::kind).
    #[must_use]
    pub fn with_kind(self, kind: SegKind) -> Self {
        Segment { kind, ..self }
    }

    /// The same with another [`saw_fin`](Segment::saw_fin).
    #[must_use]
    pub fn with_saw_fin(self, saw_fin: bool) -> Self {
        Segment { saw_fin, ..self }
    }

    /// The same with or without [`timestamps`](Segment::timestamps).
    #[must_use]
    pub fn with_timestamps(self, timestamps: bool) -> Self {
        Segment { timestamps, ..self }
    }

    /// The sender's address.
    #[must_use]
    pub fn src(&self) -> SocketAddr {
        self.src.into()
    }

    /// The receiver's address.
    #[must_use]
    pub fn dst(&self) -> SocketAddr {
        self.dst.into()
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> SegKind {
        self.kind
    }

    /// Returns `true` if the sender has received the receiver's FIN and acknowledges it.
    #[must_use]
    pub fn saw_fin(&self) -> bool {
        self.saw_fin
    }

    /// Returns `true` if the segment carries a timestamp option.
    #[must_use]
    pub fn timestamps(&self) -> bool {
        self.timestamps
    }

    /// The segment that goes the other way.
    #[must_use]
    pub fn reply(&self, kind: SegKind) -> Segment {
        Segment {
            src: self.dst,
            dst: self.src,
            kind,
            saw_fin: false,
            timestamps: self.timestamps,
            via: Arrival::Ethernet,
        }
    }
}

/// A segment on its way, with the namespace that it leaves or reaches: as a queue holds it, without
/// gaps.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    src: Ip,
    dst: Ip,
    kind: SegKind,
    sport: u16,
    dport: u16,
    pub(crate) ns: u16,
    /// Bit 0: the sender has seen the FIN; bit 1: timestamps.
    marks: u8,
    via: Arrival,
}

impl Packet {
    #[inline]
    pub(crate) fn new(ns: u16, seg: &Segment) -> Self {
        Packet {
            src: seg.src.ip,
            dst: seg.dst.ip,
            kind: seg.kind,
            sport: seg.src.port,
            dport: seg.dst.port,
            ns,
            marks: u8::from(seg.saw_fin) | u8::from(seg.timestamps) << 1,
            via: seg.via,
        }
    }

    #[inline]
    pub(crate) fn segment(&self) -> Segment {
        Segment {
            src: Endpoint::new(self.src, self.sport),
            dst: Endpoint::new(self.dst, self.dport),
            kind: self.kind,
            saw_fin: self.marks & 1 != 0,
            timestamps: self.marks & 2 != 0,
            via: self.via,
        }
    }
}
