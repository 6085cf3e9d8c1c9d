//! The bytes and the waiting tasks of a datagram socket.

use super::conns::Waiters;
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

/// The part of a datagram socket that the port model does not have.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// The payloads of the datagrams in the socket's receive queue.
    pub(super) payloads: VecDeque<Bytes>,
    pub(super) readers: Waiters,
    /// The last send has to wait for the clock of the loopback interface.
    pub(super) waits: bool,
    /// The multicast groups that the socket has joined.
    pub(super) groups: BTreeSet<IpAddr>,
}

/// `true` for the addresses of several hosts: multicast groups, and the broadcast address.
pub(super) fn is_group(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}
