//! `TcpSocket`.

use crate::Socket;
use fourtuple_kernel::{Family, ShortName, SockOpt};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A TCP socket that has not been converted to a [`TcpStream`](super::TcpStream) or
/// [`TcpListener`](super::TcpListener) yet, as
/// `tokio::net::TcpSocket`.
#[derive(Debug)]
pub struct TcpSocket {
    pub(super) socket: Socket,
}

/// Defines getters and setters of options that are stored and have no effect in a simulation.
macro_rules! kept {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $type:ty = $field:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// If the host has crashed.
            pub fn $get(&self) -> io::Result<$type> {
                self.socket.kept(|k| k.$field)
            }

            $(#[$doc])*
            /// Stored, without effect in the simulation.
            ///
            /// # Errors
            ///
            /// If the host has crashed.
            pub fn $set(&self, value: $type) -> io::Result<()> {
                self.socket.kept(|k| k.$field = value)
            }
        )*
    };
}
pub(super) use kept;

impl TcpSocket {
    /// An IPv4 socket.
    ///
    /// # Errors
    /// If the host has no Linux ports.
    pub fn new_v4() -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            socket: Socket::new(Family::Inet)?,
        })
    }

    /// An IPv6 socket.
    ///
    /// # Errors
    /// If the host has no Linux ports.
    pub fn new_v6() -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            socket: Socket::new(Family::Inet6)?,
        })
    }

    /// An IPv4 or IPv6 socket of a process with this uid, which Linux checks for `SO_REUSEPORT`
    /// groups and for privileged ports. Other sockets belong to root.
    ///
    /// # Errors
    ///
    /// If the host has no Linux ports.
    pub fn with_uid(family: Family, uid: u32) -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            socket: Socket::with_uid(family, uid)?,
        })
    }

    pub(super) fn for_addr(addr: SocketAddr) -> io::Result<TcpSocket> {
        if addr.is_ipv4() {
            Self::new_v4()
        } else {
            Self::new_v6()
        }
    }

    /// `SO_REUSEADDR`.
    ///
    /// # Errors
    /// As `setsockopt`.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.socket.set(SockOpt::ReuseAddr(reuseaddr))
    }

    /// `SO_REUSEADDR`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket.kept(|k| k.reuseaddr)
    }

    /// `SO_REUSEPORT` (Linux 3.9).
    ///
    /// # Errors
    /// `ENOPROTOOPT` on older kernels.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.socket.set(SockOpt::ReusePort(reuseport))
    }

    /// `SO_REUSEPORT`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket.kept(|k| k.reuseport)
    }

    /// `SO_LINGER`. Zero makes closing send a reset.
    ///
    /// # Errors
    /// As `setsockopt`.
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        set_linger(&self.socket, dur)
    }

    /// `SO_LINGER` of zero: closing sends a reset.
    ///
    /// # Errors
    /// As `setsockopt`.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// `SO_LINGER`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.kept(|k| k.linger)
    }

    /// `SO_SNDBUF`: the number of bytes that may be sent and not read before writing waits. Linux
    /// doubles it.
    ///
    /// # Errors
    ///
    /// If the host has crashed.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.kept(|k| k.set_send_buffer(size))
    }

    /// `SO_SNDBUF`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket.kept(|k| k.send_buffer())
    }

    /// `SO_RCVBUF`, stored and doubled as on Linux, without effect in the simulation.
    ///
    /// # Errors
    ///
    /// If the host has crashed.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.kept(|k| k.set_recv_buffer(size))
    }

    /// `SO_RCVBUF`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket.kept(|k| k.recv_buffer())
    }

    /// `SO_KEEPALIVE`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.socket.kept(|k| k.keepalive)
    }

    /// `SO_KEEPALIVE`, with the times of the sysctls.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.socket.set_patience(|k| k.keepalive = keepalive)
    }

    kept! {
        /// `TCP_NODELAY`.
        nodelay, set_nodelay: bool = nodelay;
        /// `IP_TOS`.
        tos_v4, set_tos_v4: u32 = tos;
        /// `IP_TOS`.
        tos, set_tos: u32 = tos;
        /// `IPV6_TCLASS`.
        tclass_v6, set_tclass_v6: u32 = tclass;
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

    /// `getsockname()`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// `SO_ERROR`: there is no pending error before the socket is a stream.
    ///
    /// # Errors
    ///
    /// None.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    /// `bind()`.
    ///
    /// # Errors
    /// As `bind`.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.socket.bind(scoped(addr))
    }
}

/// Adds the scope id of the host's only interface to a link-local address without one: turmoil
/// assigns such addresses to its hosts, without interfaces.
pub(super) fn scoped(addr: SocketAddr) -> SocketAddr {
    /// The index of a host's interface other than `lo`.
    const ETHERNET: u32 = 2;
    match addr {
        SocketAddr::V6(mut v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
            v6.set_scope_id(ETHERNET);
            v6.into()
        }
        _ => addr,
    }
}

pub(super) fn bind_device(socket: &Socket, interface: Option<&[u8]>) -> io::Result<()> {
    let name = std::str::from_utf8(interface.unwrap_or_default()).ok();
    let name = name
        .and_then(ShortName::new)
        .ok_or_else(|| crate::socket::io_error(crate::Errno::ENODEV))?;
    socket.set(SockOpt::BindToDevice(name))?;
    socket.kept(|k| k.device = interface.filter(|i| !i.is_empty()).map(<[u8]>::to_vec))
}

pub(super) fn set_linger(socket: &Socket, dur: Option<Duration>) -> io::Result<()> {
    // The kernel's unit is a second; tokio rounds down too.
    socket.set(SockOpt::Linger(
        dur.map(|d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX)),
    ))
}
