//! The socket options of datagram sockets, and multicast groups.

use super::UdpSocket;
use crate::host::State;
use crate::net::socket::{bind_device, kept};
use fourtuple_kernel::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl UdpSocket {
    /// `SO_BROADCAST`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.kept(|k| k.broadcast)
    }

    /// `SO_BROADCAST`: allows to send to 255.255.255.255, which reaches all hosts.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.socket.kept(|k| k.broadcast = on)?;
        self.socket.call(|s, id| {
            s.machine.set_broadcast(id, on);
            Ok(())
        })
    }

    /// `IP_MULTICAST_LOOP`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket.kept(|k| k.multicast_loop)
    }

    /// `IP_MULTICAST_LOOP`: what this socket sends to a group reaches members on its own host.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.socket.kept(|k| k.multicast_loop = on)
    }

    /// `IPV6_MULTICAST_LOOP`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.multicast_loop_v4()
    }

    /// `IPV6_MULTICAST_LOOP`, as [`UdpSocket::set_multicast_loop_v4`].
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.set_multicast_loop_v4(on)
    }

    kept! {
        /// `IP_MULTICAST_TTL`.
        multicast_ttl_v4, set_multicast_ttl_v4: u32 = multicast_ttl;
        /// `IP_TOS`.
        tos_v4, set_tos_v4: u32 = tos;
        /// `IP_TOS`.
        tos, set_tos: u32 = tos;
        /// `IPV6_TCLASS`.
        tclass_v6, set_tclass_v6: u32 = tclass;
    }

    /// `IP_TTL`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.kept(|k| k.ttl)
    }

    /// `IP_TTL`, from 1 to 255. Stored, without effect in the simulation.
    ///
    /// # Errors
    /// `EINVAL` for other values.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// `SO_BINDTODEVICE`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.socket.kept(|k| k.device.clone())
    }

    /// `SO_BINDTODEVICE`. Hosts have the devices `lo` and `eth0`.
    ///
    /// # Errors
    /// `ENODEV` for any other name.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        bind_device(&self.socket, interface)
    }

    /// `SO_ERROR`: takes the pending error.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let error = self.socket.call(|s, id| Ok(s.machine.take_error(id)))?;
        Ok(error.map(crate::socket::io_error))
    }

    fn set_member(&self, group: impl Into<IpAddr>, device: bool, joins: bool) -> io::Result<()> {
        self.socket.call(|s, id| match device {
            true => s.set_member(id, group.into(), joins),
            false => Err(Errno::ENODEV),
        })
    }

    /// The host has an interface by this address, or by the wildcard.
    fn has_address(&self, interface: Ipv4Addr) -> bool {
        let is_own = |s: &mut State| s.namespace_of(interface.into()).is_some();
        interface.is_unspecified() || interface.is_loopback() || self.socket.with(is_own)
    }

    /// `IP_ADD_MEMBERSHIP`.
    ///
    /// # Errors
    /// `EINVAL` unless it is a multicast address, `EADDRINUSE` if the socket is a member already,
    /// `ENODEV` if no interface has the address.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.set_member(multiaddr, self.has_address(interface), true)
    }

    /// `IPV6_ADD_MEMBERSHIP`. Interface 0 is any, 1 `lo`, 2 `eth0`.
    ///
    /// # Errors
    /// As [`UdpSocket::join_multicast_v4`].
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.set_member(*multiaddr, interface <= 2, true)
    }

    /// `IP_DROP_MEMBERSHIP`.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if the socket is not a member.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.set_member(multiaddr, self.has_address(interface), false)
    }

    /// `IPV6_DROP_MEMBERSHIP`.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if the socket is not a member.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.set_member(*multiaddr, interface <= 2, false)
    }
}
