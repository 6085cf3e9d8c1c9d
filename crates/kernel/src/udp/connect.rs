//! connect() of a datagram socket: the port, the source address, and how both are given back
//! (`inet_dgram_connect`, `__ip4_datagram_connect`, `__ip6_datagram_connect`).

use crate::Errno;
use crate::Family;
use crate::addr::{Endpoint, Ip, SockAddr};
use crate::chooser::Chooser;
use crate::conn::socket::{Sock, State};
use crate::explain::reason::Rule;
use crate::machine::Machine;

/// The source address of a datagram to `to`, if the socket has one already: its own, and for an
/// IPv4 destination of an `AF_INET6` socket the one that an earlier connect() has fixed.
pub(super) fn source_address(sock: &Sock, to: Ip) -> Option<Ip> {
    let own = sock.source()?;
    if sock.family == Family::Inet || !to.is_v4() || own.is_v4() {
        return Some(own);
    }
    // IPv4 code sees a native address that bind() has set as 127.0.0.6, and no address where
    // connect() has set it.
    let marker = Ip::from(std::net::Ipv4Addr::from(Ip::NATIVE));
    let fixed = sock.cold.as_ref().and_then(|cold| cold.saddr4);
    fixed.or(sock.addr_lock.then_some(marker))
}

impl<C: Chooser> Machine<C> {
    /// Takes a port before the first connect() or sendto(), at the address that is known so far:
    /// the wildcard, unless bind() has left the port open (`inet_autobind`).
    ///
    /// # Errors
    /// `EAGAIN` if no port of the range is free.
    pub(super) fn udp_autobind(&mut self, i: u32, op: &'static str) -> Result<(), Errno> {
        if self.socks[i].num != 0 {
            return Ok(());
        }
        let Some(port) = self.udp_select(i) else {
            if self.explaining {
                self.explain_udp_autobind(i, op);
            }
            return Err(Errno::EAGAIN);
        };
        self.udp_hash(i, port);
        self.socks[i].sport = port;
        Ok(())
    }

    /// `connect()` of a datagram socket. It may be connected already.
    ///
    /// The port is taken first and kept, whatever the rest of the call comes to; the address is
    /// narrowed afterwards, so that another socket may bind the port on another address.
    pub(crate) fn udp_connect(&mut self, i: u32, to: SockAddr) -> Result<(), Errno> {
        self.udp_autobind(i, "connect")?;
        let to = self.destination(i, to)?;
        let (source, known) = self.udp_route(i, to, "connect")?;
        let sock = &mut self.socks[i];
        if !known && to.ip.is_v4() && !sock.rcv_saddr.is_v4() && !sock.rcv_saddr.is_any() {
            sock.cold().saddr4 = Some(source);
        }
        if sock.rcv_saddr.is_any() {
            self.move_address(i, source);
        }
        let sock = &mut self.socks[i];
        sock.daddr = to.ip;
        sock.dport = to.port;
        sock.state = State::Established;
        Ok(())
    }

    /// The source address of what the socket sends to a destination, and `true` if it had one
    /// before.
    ///
    /// # Errors
    /// Those of routing; `EACCES` for the broadcast address without `SO_BROADCAST`.
    pub(super) fn udp_route(
        &mut self,
        i: u32,
        to: Endpoint,
        op: &'static str,
    ) -> Result<(Ip, bool), Errno> {
        let known = source_address(&self.socks[i], to.ip);
        let chosen = self.route_from(i, to.ip, known)?;
        let allowed = self.socks[i].cold.as_ref().is_some_and(|c| c.broadcast);
        if to.ip.is_broadcast() && !allowed {
            let path: &[&'static str] = match op {
                "connect" => &[
                    "sys_connect",
                    "inet_dgram_connect",
                    "__ip4_datagram_connect",
                ],
                _ => &["sys_sendto", "inet_sendmsg", "udp_sendmsg"],
            };
            return self.refuse(Errno::EACCES, Rule::SendBroadcast, path);
        }
        match known.or(chosen) {
            Some(source) => Ok((source, known.is_some())),
            None => Ok((Ip::any(Family::Inet), false)),
        }
    }

    /// `connect()` to `AF_UNSPEC`. Gives back the address and the port, each unless bind() named it
    /// (`__udp_disconnect`).
    pub(crate) fn udp_disconnect(&mut self, i: u32) {
        let sock = &mut self.socks[i];
        sock.state = State::Close;
        sock.dport = 0;
        sock.daddr = Ip::any(sock.family);
        sock.dev = 0;
        if !sock.addr_lock {
            sock.saddr_unset = false;
            if let Some(cold) = &mut sock.cold {
                cold.saddr4 = None;
            }
            let any = Ip::any(sock.family);
            self.move_address(i, any);
        }
        if !self.socks[i].port_lock {
            self.udp_unhash(i);
            self.socks[i].sport = 0;
        }
    }
}
