//! Socket options of Linux beyond tokio's.

use super::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use crate::socket::io_error;
use crate::{Errno, Socket};
use fourtuple_kernel::{PortRange, SockOpt};
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Socket options of Linux that affect local ports. A kernel that does not know an option returns
/// `ENOPROTOOPT`.
pub trait LinuxSocketExt {
    /// The underlying socket.
    fn as_socket(&self) -> &Socket;

    /// Sets any option that the port model supports.
    ///
    /// # Errors
    ///
    /// As `setsockopt`.
    fn set_option(&self, option: SockOpt) -> io::Result<()> {
        self.as_socket().set(option)
    }

    /// `IP_BIND_ADDRESS_NO_PORT` (Linux 4.2): a bind to port 0 leaves the choice of the port to
    /// `connect`, which can share it.
    ///
    /// # Errors
    /// As `setsockopt`.
    fn set_bind_address_no_port(&self, on: bool) -> io::Result<()> {
        self.set_option(SockOpt::BindAddressNoPort(on))
    }

    /// `IP_LOCAL_PORT_RANGE` (Linux 6.3): the ephemeral port range of this socket.
    ///
    /// # Errors
    ///
    /// As `setsockopt`.
    fn set_local_port_range(&self, range: RangeInclusive<u16>) -> io::Result<()> {
        self.set_option(SockOpt::LocalPortRange(PortRange::new(
            *range.start(),
            *range.end(),
        )))
    }

    /// `IPV6_V6ONLY`.
    ///
    /// # Errors
    /// As `setsockopt`.
    fn set_only_v6(&self, on: bool) -> io::Result<()> {
        self.set_option(SockOpt::V6Only(on))
    }

    /// `IP_FREEBIND`.
    ///
    /// # Errors
    /// As `setsockopt`.
    fn set_freebind(&self, on: bool) -> io::Result<()> {
        self.set_option(SockOpt::FreeBind(on))
    }

    /// `IP_TRANSPARENT`.
    ///
    /// # Errors
    /// As `setsockopt`.
    fn set_transparent(&self, on: bool) -> io::Result<()> {
        self.set_option(SockOpt::Transparent(on))
    }

    /// `TCP_LINGER2`: seconds in FIN_WAIT2; a negative value skips the state.
    ///
    /// # Errors
    ///
    /// As `setsockopt`.
    fn set_tcp_linger2(&self, seconds: i32) -> io::Result<()> {
        self.set_option(SockOpt::Linger2(seconds))
    }

    /// `SO_KEEPALIVE`.
    ///
    /// # Errors
    /// If the host has crashed.
    fn set_keepalive(&self, on: bool) -> io::Result<()> {
        self.as_socket().set_patience(|kept| kept.keepalive = on)
    }

    /// `SO_KEEPALIVE` with `TCP_KEEPIDLE`, `TCP_KEEPINTVL` and `TCP_KEEPCNT`, as socket2's
    /// `set_tcp_keepalive` sets them: probes after `idle` without a segment of the peer, and
    /// `ETIMEDOUT` if `probes` of them, an `interval` apart, are not answered.
    ///
    /// # Errors
    /// `EINVAL` for times outside 1 to 32,767 seconds, and for more than 127 probes or none.
    fn set_keepalive_times(
        &self,
        idle: Duration,
        interval: Duration,
        probes: u32,
    ) -> io::Result<()> {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let (idle, interval) = (seconds(idle), seconds(interval));
        let valid = 1..=32_767;
        if !valid.contains(&idle) || !valid.contains(&interval) || !(1..=127).contains(&probes) {
            return Err(io_error(Errno::EINVAL));
        }
        self.as_socket().set_patience(|kept| {
            kept.keepalive = true;
            kept.keep_idle = Some(idle);
            kept.keep_interval = Some(interval);
            kept.keep_probes = Some(probes);
        })
    }

    /// `TCP_USER_TIMEOUT`: the time after which bytes that are not acknowledged end the connection
    /// with `ETIMEDOUT`, in place of `tcp_retries2`. Without a time, `tcp_retries2` decides again.
    ///
    /// # Errors
    /// `EINVAL` for times of 2^31 milliseconds or more.
    fn set_user_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let millis = timeout.map_or(0, |timeout| timeout.as_millis());
        let millis = i32::try_from(millis).map_err(|_| io_error(Errno::EINVAL))?;
        let nanos = u64::from(millis.unsigned_abs()) * 1_000_000;
        self.as_socket()
            .set_patience(|kept| kept.user_timeout = (nanos > 0).then_some(nanos))
    }

    /// `TCP_SYNCNT`: the number of retransmissions of an unanswered SYN.
    ///
    /// # Errors
    ///
    /// As `setsockopt`.
    fn set_syn_count(&self, count: u8) -> io::Result<()> {
        self.set_option(SockOpt::SynCount(count))
    }
}

impl LinuxSocketExt for Socket {
    fn as_socket(&self) -> &Socket {
        self
    }
}

impl LinuxSocketExt for TcpSocket {
    fn as_socket(&self) -> &Socket {
        &self.socket
    }
}

impl LinuxSocketExt for TcpListener {
    fn as_socket(&self) -> &Socket {
        &self.socket
    }
}

impl LinuxSocketExt for UdpSocket {
    fn as_socket(&self) -> &Socket {
        &self.socket
    }
}

impl LinuxSocketExt for TcpStream {
    fn as_socket(&self) -> &Socket {
        &self.socket
    }
}
