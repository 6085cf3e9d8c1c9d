//! Encoding of segments on turmoil's network.
//!
//! A *datagram* contains handshake segments one after the other, or one of Linux's own datagrams
//! with its payload. A *pipe* (a turmoil TCP stream
//! between two kernels) contains messages with a length prefix. Integers are big endian; addresses
//! have 16 bytes, with IPv4 addresses v4-mapped.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fourtuple_kernel::{SegKind, Segment};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The endpoints of a connection from the sender's point of view: its own first.
pub(crate) type ConnKey = (SocketAddr, SocketAddr);

/// The bytes of a full packet on Ethernet.
const MSS: u32 = 1448;

/// The content of a numbered frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Body {
    /// Empty, in place of a segment that must not be repeated.
    Nothing,
    /// A segment. Its payload is not written to the pipe: see [`crate::network::Payloads`].
    Segment(Segment),
    /// A data segment after which half of the writer's window is under way: the reader has to
    /// report what it reads.
    Full(Segment),
    /// A keepalive probe: an acknowledgement that its receiver answers.
    Probe(Segment),
    /// Reports that the program at `from` has read further bytes sent by `to`.
    Credit {
        /// The reading end.
        from: SocketAddr,
        /// The writing end.
        to: SocketAddr,
        read: Progress,
    },
}

/// The progress of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes read since the last report.
    pub(crate) bytes: u32,
    /// The most bytes that the reader's buffer may hold.
    pub(crate) buffer: u32,
}

impl Body {
    /// `true` for bytes that are several packets on a real network, and for their acknowledgement:
    /// they have a latency of their own, as each write to turmoil's sockets has.
    pub(crate) fn is_bulk(&self) -> bool {
        let bytes = match self {
            Body::Segment(segment) | Body::Full(segment) => match segment.kind() {
                SegKind::Data(bytes) => bytes,
                _ => 0,
            },
            Body::Credit { read, .. } => read.bytes,
            Body::Nothing | Body::Probe(_) => 0,
        };
        bytes > MSS
    }

    /// `true` for segments that Linux repeats until they are acknowledged: bytes, and the FIN.
    pub(crate) fn is_repeated(&self) -> bool {
        let (Body::Segment(s) | Body::Full(s)) = self else {
            return false;
        };
        matches!(s.kind(), SegKind::Data(_) | SegKind::Fin)
    }

    /// The connection of the frame, and whether the frame is its reset.
    pub(crate) fn connection(&self) -> Option<(ConnKey, bool)> {
        match self {
            Body::Nothing => None,
            Body::Segment(s) | Body::Full(s) | Body::Probe(s) => {
                Some(((s.src(), s.dst()), s.kind() == SegKind::Rst))
            }
            Body::Credit { from, to, .. } => Some(((*from, *to), false)),
        }
    }
}

/// A message on a pipe.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// The first message on every pipe: the sender, and the first frame number that it may repeat.
    Hello {
        /// Boot number of the sender.
        boot: u64,
        /// Number of the oldest unacknowledged frame.
        first: u64,
    },
    Frame {
        number: u64,
        body: &'a Body,
    },
    /// Acknowledges every frame before `next`.
    Ack {
        next: u64,
    },
}

/// A decoded message.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    /// See [`Message::Hello`].
    Hello { boot: u64, first: u64 },
    /// See [`Message::Frame`].
    Frame { number: u64, body: Body },
    /// See [`Message::Ack`].
    Ack { next: u64 },
}

const HELLO: u8 = 1;
const ACK: u8 = 2;
const NOTHING: u8 = 3;
const SEGMENT: u8 = 4;
const CREDIT: u8 = 5;
const PROBE: u8 = 6;
const FULL: u8 = 7;

fn put_endpoint(out: &mut BytesMut, at: SocketAddr) {
    let ip = match at.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    out.put_u128(ip.to_bits());
    out.put_u16(at.port());
}

fn get_endpoint(from: &mut Bytes) -> Option<SocketAddr> {
    let ip = Ipv6Addr::from_bits(from.try_get_u128().ok()?);
    Some(SocketAddr::new(ip.to_canonical(), from.try_get_u16().ok()?))
}

fn put_segment(out: &mut BytesMut, s: &Segment) {
    put_endpoint(out, s.src());
    put_endpoint(out, s.dst());
    let (kind, len) = match s.kind() {
        SegKind::Syn => (0, 0),
        SegKind::SynAck => (1, 0),
        SegKind::Ack => (2, 0),
        SegKind::Challenge => (3, 0),
        SegKind::Data(len) => (4, len),
        SegKind::Fin => (5, 0),
        SegKind::Rst => (6, 0),
        SegKind::Refuse => (7, 0),
        SegKind::Datagram(len) => (8, len),
        SegKind::Unreachable => (9, 0),
    };
    out.put_u8(kind);
    out.put_u32(len);
    out.put_u8(u8::from(s.saw_fin()) | u8::from(s.timestamps()) << 1);
}

fn get_segment(from: &mut Bytes) -> Option<Segment> {
    let (src, dst) = (get_endpoint(from)?, get_endpoint(from)?);
    let (kind, len) = (from.try_get_u8().ok()?, from.try_get_u32().ok()?);
    let flags = from.try_get_u8().ok()?;
    let kind = match kind {
        0 => SegKind::Syn,
        1 => SegKind::SynAck,
        2 => SegKind::Ack,
        3 => SegKind::Challenge,
        4 => SegKind::Data(len),
        5 => SegKind::Fin,
        6 => SegKind::Rst,
        7 => SegKind::Refuse,
        8 => SegKind::Datagram(len),
        9 => SegKind::Unreachable,
        _ => return None,
    };
    let segment = Segment::new(src, dst, kind).with_saw_fin(flags & 1 != 0);
    Some(segment.with_timestamps(flags & 2 != 0))
}

/// Bytes of an encoded segment.
pub(crate) const SEGMENT_LEN: usize = 42;

/// Encodes segments as one datagram, each with its payload if it is one of Linux's own datagrams.
pub(crate) fn datagram(segments: &[(Segment, Bytes)]) -> BytesMut {
    let payload: usize = segments.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut out = BytesMut::with_capacity(segments.len() * SEGMENT_LEN + payload);
    for (segment, bytes) in segments {
        put_segment(&mut out, segment);
        if matches!(segment.kind(), SegKind::Datagram(_)) {
            out.put_slice(bytes);
        }
    }
    out
}

/// Decodes the segments of a datagram. Other data sent to the carrier's port yields none.
pub(crate) fn read_datagram(bytes: &[u8]) -> Vec<(Segment, Bytes)> {
    let mut from = Bytes::copy_from_slice(bytes);
    let mut segments = Vec::new();
    while !from.is_empty() {
        let Some(segment) = get_segment(&mut from) else {
            return Vec::new();
        };
        let len = match segment.kind() {
            SegKind::Datagram(len) => len as usize,
            _ => 0,
        };
        if len > from.len() {
            return Vec::new();
        }
        segments.push((segment, from.split_to(len)));
    }
    segments
}

/// Appends an encoded message to a pipe's output.
pub(crate) fn put_message(out: &mut BytesMut, message: &Message<'_>) {
    let start = out.len();
    out.put_u32(0);
    match message {
        Message::Hello { boot, first } => {
            out.put_u8(HELLO);
            out.put_u64(*boot);
            out.put_u64(*first);
        }
        Message::Ack { next } => {
            out.put_u8(ACK);
            out.put_u64(*next);
        }
        Message::Frame { number, body } => match body {
            Body::Nothing => {
                out.put_u8(NOTHING);
                out.put_u64(*number);
            }
            Body::Segment(s) => {
                out.put_u8(SEGMENT);
                out.put_u64(*number);
                put_segment(out, s);
            }
            Body::Full(s) => {
                out.put_u8(FULL);
                out.put_u64(*number);
                put_segment(out, s);
            }
            Body::Probe(s) => {
                out.put_u8(PROBE);
                out.put_u64(*number);
                put_segment(out, s);
            }
            Body::Credit { from, to, read } => {
                out.put_u8(CREDIT);
                out.put_u64(*number);
                put_endpoint(out, *from);
                put_endpoint(out, *to);
                out.put_u32(read.bytes);
                out.put_u32(read.buffer);
            }
        },
    }
    let len = u32::try_from(out.len() - start - 4).expect("messages are far below 4 GiB");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Decodes the next message of a pipe's input. Returns `None` if it is incomplete.
///
/// # Errors
///
/// Bytes that are not a message.
pub(crate) fn take_message(from: &mut BytesMut) -> Result<Option<Read>, Garbled> {
    let Some(head) = from.first_chunk::<4>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*head) as usize;
    if from.len() < 4 + len {
        return Ok(None);
    }
    from.advance(4);
    let mut one = from.split_to(len).freeze();
    read(&mut one).map(Some).ok_or(Garbled)
}

/// Input of a pipe that this crate did not write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Garbled;

fn read(one: &mut Bytes) -> Option<Read> {
    let tag = one.try_get_u8().ok()?;
    let number = one.try_get_u64().ok()?;
    Some(match tag {
        HELLO => Read::Hello {
            boot: number,
            first: one.try_get_u64().ok()?,
        },
        ACK => Read::Ack { next: number },
        NOTHING => Read::Frame {
            number,
            body: Body::Nothing,
        },
        SEGMENT => Read::Frame {
            number,
            body: Body::Segment(get_segment(one)?),
        },
        FULL => Read::Frame {
            number,
            body: Body::Full(get_segment(one)?),
        },
        PROBE => Read::Frame {
            number,
            body: Body::Probe(get_segment(one)?),
        },
        CREDIT => {
            let (from, to) = (get_endpoint(one)?, get_endpoint(one)?);
            Read::Frame {
                number,
                body: Body::Credit {
                    from,
                    to,
                    read: Progress {
                        bytes: one.try_get_u32().ok()?,
                        buffer: one.try_get_u32().ok()?,
                    },
                },
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn segment(kind: SegKind) -> Segment {
        Segment::new(at("10.0.0.1:40000"), at("[fd00::2]:80"), kind).with_saw_fin(true)
    }

    const KINDS: [SegKind; 10] = [
        SegKind::Syn,
        SegKind::SynAck,
        SegKind::Ack,
        SegKind::Challenge,
        SegKind::Data(3),
        SegKind::Fin,
        SegKind::Rst,
        SegKind::Refuse,
        SegKind::Datagram(3),
        SegKind::Unreachable,
    ];

    #[test]
    fn datagrams_come_back() {
        let payload = |kind| match kind {
            SegKind::Datagram(_) => Bytes::from_static(b"abc"),
            _ => Bytes::new(),
        };
        let segments: Vec<(Segment, Bytes)> = KINDS
            .into_iter()
            .map(|kind| (segment(kind), payload(kind)))
            .collect();
        let encoded = datagram(&segments);
        assert_eq!(encoded.len(), KINDS.len() * SEGMENT_LEN + 3);
        assert_eq!(read_datagram(&encoded), segments);
        assert_eq!(read_datagram(b"hello"), Vec::new());
        let cut = datagram(&segments[8..9]);
        assert_eq!(read_datagram(&cut[..cut.len() - 1]), Vec::new());
    }

    #[test]
    fn messages_come_back_in_any_pieces() {
        let bodies: Vec<Body> = KINDS
            .into_iter()
            .map(|k| Body::Segment(segment(k)))
            .chain([
                Body::Nothing,
                Body::Probe(segment(SegKind::Ack)),
                Body::Full(segment(SegKind::Data(3))),
                Body::Credit {
                    from: at("10.0.0.1:1"),
                    to: at("10.0.0.2:2"),
                    read: Progress {
                        bytes: 7,
                        buffer: 9,
                    },
                },
            ])
            .collect();
        let mut out = BytesMut::new();
        put_message(&mut out, &Message::Hello { boot: 5, first: 6 });
        for (number, body) in (6..).zip(&bodies) {
            put_message(&mut out, &Message::Frame { number, body });
        }
        put_message(&mut out, &Message::Ack { next: 9 });
        let mut expected = vec![Read::Hello { boot: 5, first: 6 }];
        expected.extend(
            (6..)
                .zip(bodies)
                .map(|(number, body)| Read::Frame { number, body }),
        );
        expected.push(Read::Ack { next: 9 });
        for piece in [1, 7, 4096] {
            let mut from = BytesMut::new();
            let mut got = Vec::new();
            for part in out.chunks(piece) {
                from.put_slice(part);
                while let Some(one) = take_message(&mut from).unwrap() {
                    got.push(one);
                }
            }
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn other_bytes_are_garbled() {
        let mut from = BytesMut::from(&[0, 0, 0, 1, 9][..]);
        assert_eq!(take_message(&mut from), Err(Garbled));
    }
}
