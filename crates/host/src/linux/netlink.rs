//! Sockets by sock_diag (`NETLINK_SOCK_DIAG`).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use netlink_sys::Socket as Netlink;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use crate::document::{PortBy, Socket, Timer};
use crate::proc::{canonical, state_name, timer_name};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Lengths of `nlmsghdr`, `inet_diag_req_v2`, `inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
const INET_DIAG_REQ_BYTECODE: u16 = 1;
const INET_DIAG_BC_JMP: u8 = 1;
const INET_DIAG_BC_AUTO: u8 = 6;
const INET_DIAG_SKV6ONLY: u16 = 11;
const INET_DIAG_CGROUP_ID: u16 = 21;
const INET_DIAG_SOCKOPT: u16 = 22;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// Every state but half-open connections; 13 is a socket that is bound only, which Linux 6.8 lists.
const STATES: u32 = 0b10_1111_1111_0110;
/// A datagram of a dump is as long as the buffer, up to this.
const BUFFER: usize = 256 * 1024;

/// Code that keeps the sockets whose program named the port (`SOCK_BINDPORT_LOCK`): what is
/// "automatic" jumps behind the end.
const NAMED: [u8; 8] = {
    let [low, high] = 8_u16.to_ne_bytes();
    [
        INET_DIAG_BC_AUTO,
        4,
        low,
        high,
        INET_DIAG_BC_JMP,
        4,
        low,
        high,
    ]
};

/// All TCP sockets of the network namespace of this thread, with their inodes.
///
/// # Errors
/// Netlink is not available or not allowed.
pub(super) fn sockets() -> io::Result<Vec<(Socket, u64)>> {
    let mut netlink = Netlink::new(NETLINK_SOCK_DIAG)?;
    netlink.bind_auto()?;
    let mut all = Vec::new();
    for family in [AF_INET, AF_INET6] {
        dump(&netlink, &request(family, &[]), |message| {
            all.extend(socket(message));
        })?;
    }
    let mut named = BTreeSet::new();
    for family in [AF_INET, AF_INET6] {
        // A kernel that does not know the code shows no such sockets.
        let _ = dump(&netlink, &request(family, &NAMED), |message| {
            named.extend(socket(message).map(|(_, inode)| inode));
        });
    }
    for (one, inode) in &mut all {
        if *inode != 0 && named.contains(inode) {
            one.port_by = Some(PortBy::Number);
        }
    }
    Ok(all)
}

fn request(family: u8, code: &[u8]) -> Vec<u8> {
    let attribute = if code.is_empty() { 0 } else { 4 + code.len() };
    let length = HEADER + REQUEST + attribute;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(length).unwrap_or(0).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, IPPROTO_TCP, 0, 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.resize(HEADER + REQUEST, 0);
    if !code.is_empty() {
        bytes.extend(u16::try_from(attribute).unwrap_or(0).to_ne_bytes());
        bytes.extend(INET_DIAG_REQ_BYTECODE.to_ne_bytes());
        bytes.extend(code);
    }
    bytes
}

/// Asks for a dump and passes on its messages.
fn dump(netlink: &Netlink, request: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    netlink.send(request, 0)?;
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        buffer.clear();
        netlink.recv(&mut buffer, 0)?;
        if buffer.is_empty() || !read(&buffer, &mut each)? {
            return Ok(());
        }
    }
}

/// Reads the messages of one datagram; returns whether more datagrams follow.
fn read(mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    while let Some(length) = u32_at(bytes, 0) {
        let length = length as usize;
        let Some(message) = bytes.get(HEADER..length.max(HEADER)) else {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        };
        match u16_at(bytes, 4) {
            Some(NLMSG_DONE) => return Ok(false),
            Some(NLMSG_ERROR) => {
                let code = u32_at(message, 0).unwrap_or(0) as i32;
                return Err(io::Error::from_raw_os_error(code.saturating_neg()));
            }
            Some(SOCK_DIAG_BY_FAMILY) => each(message),
            _ => {}
        }
        let next = length.max(HEADER).next_multiple_of(4);
        bytes = bytes.get(next..).unwrap_or_default();
    }
    Ok(true)
}

/// Reads an `inet_diag_msg` with its attributes: the socket and its inode.
fn socket(message: &[u8]) -> Option<(Socket, u64)> {
    let (&family, &state, &timer) = (message.first()?, message.get(1)?, message.get(2)?);
    let interface = u32_at(message, 40)?;
    let address = |port: usize, ip: usize| {
        let port = u16::from_be_bytes(message.get(port..port + 2)?.try_into().ok()?);
        if family == AF_INET {
            let ip = Ipv4Addr::from(<[u8; 4]>::try_from(message.get(ip..ip + 4)?).ok()?);
            return Some(SocketAddr::new(IpAddr::from(ip), port));
        }
        let ip = Ipv6Addr::from(<[u8; 16]>::try_from(message.get(ip..ip + 16)?).ok()?);
        let scope = if ip.is_unicast_link_local() {
            interface
        } else {
            0
        };
        Some(SocketAddrV6::new(ip, port, 0, scope).into())
    };
    let (local, peer) = (address(4, 8)?, address(6, 24)?);
    let uid = u32_at(message, 64)?;
    let inode = u64::from(u32_at(message, 68)?);
    let peer = Some(peer).filter(|peer| peer.port() != 0);
    let mut socket = Socket::new(
        state_name(state)?,
        canonical(local),
        peer.map(canonical),
        uid,
    );
    socket.mapped = canonical(local) != local;
    socket.timer = timer_name(timer).map(|name| Timer {
        name: name.to_owned(),
        ms: u32_at(message, 52).unwrap_or(0),
    });
    let mut rest = message.get(MESSAGE..).unwrap_or_default();
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length).max(4);
        let value = rest.get(4..length).unwrap_or_default();
        match kind {
            INET_DIAG_SKV6ONLY => socket.v6only = value.first().map(|only| *only != 0),
            // The first bit of the second byte.
            INET_DIAG_SOCKOPT => {
                socket.bind_address_no_port = value.get(1).map(|bits| bits & 1 != 0);
            }
            INET_DIAG_CGROUP_ID => {
                let id = value.get(..8).and_then(|id| id.try_into().ok());
                socket.cgroup = id.map(u64::from_ne_bytes);
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some((socket, inode))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_messages_are_errors_and_never_panic() {
        let mut messages = 0;
        let mut each = |message: &[u8]| {
            messages += 1;
            assert_eq!(socket(message), None);
        };
        assert!(read(&[], &mut each).is_ok_and(|more| more));
        assert!(read(&[200, 0, 0, 0, 20, 0, 0, 0], &mut each).is_err());
        let mut zero = vec![0_u8; 64];
        assert!(read(&zero, &mut each).is_ok_and(|more| more));
        zero[0] = 64;
        zero[4] = 20;
        assert!(read(&zero, &mut each).is_ok());
        assert_eq!(messages, 1);
    }
}
