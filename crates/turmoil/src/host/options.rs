//! Socket options that do not affect ports, kept so that programs read back the values of Linux.

use std::time::Duration;

/// The `getsockopt` values of one socket.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) reuseaddr: bool,
    pub(crate) reuseport: bool,
    pub(crate) linger: Option<Duration>,
    pub(crate) nodelay: bool,
    pub(crate) keepalive: bool,
    /// `TCP_KEEPIDLE`, `TCP_KEEPINTVL` in seconds, and `TCP_KEEPCNT`.
    pub(crate) keep_idle: Option<u32>,
    pub(crate) keep_interval: Option<u32>,
    pub(crate) keep_probes: Option<u32>,
    /// `TCP_USER_TIMEOUT` in nanoseconds.
    pub(crate) user_timeout: Option<u64>,
    pub(crate) quickack: bool,
    pub(crate) ttl: u32,
    pub(crate) tos: u32,
    pub(crate) tclass: u32,
    pub(crate) device: Option<Vec<u8>>,
    pub(crate) broadcast: bool,
    pub(crate) multicast_loop: bool,
    pub(crate) multicast_ttl: u32,
    /// As Linux reports it: twice the value that was set.
    pub(crate) send_buffer: Option<u32>,
    pub(crate) recv_buffer: Option<u32>,
}

/// `net.core.wmem_max` and `rmem_max`.
const BUFFER_MAX: u32 = 212_992;
/// `SOCK_MIN_SNDBUF`, `SOCK_MIN_RCVBUF`
const SEND_MIN: u32 = 4608;
const RECV_MIN: u32 = 2304;
/// The middle values of `tcp_wmem` and `tcp_rmem`.
const SEND_DEFAULT: u32 = 16_384;
const RECV_DEFAULT: u32 = 131_072;

impl Default for Kept {
    fn default() -> Self {
        Kept {
            reuseaddr: false,
            reuseport: false,
            linger: None,
            nodelay: false,
            keepalive: false,
            keep_idle: None,
            keep_interval: None,
            keep_probes: None,
            user_timeout: None,
            quickack: true,
            ttl: 64,
            tos: 0,
            tclass: 0,
            device: None,
            broadcast: false,
            multicast_loop: true,
            multicast_ttl: 1,
            send_buffer: None,
            recv_buffer: None,
        }
    }
}

impl Kept {
    pub(crate) fn set_send_buffer(&mut self, size: u32) {
        self.send_buffer = Some((size.min(BUFFER_MAX) * 2).max(SEND_MIN));
    }

    pub(crate) fn set_recv_buffer(&mut self, size: u32) {
        self.recv_buffer = Some((size.min(BUFFER_MAX) * 2).max(RECV_MIN));
    }

    pub(crate) fn send_buffer(&self) -> u32 {
        self.send_buffer.unwrap_or(SEND_DEFAULT)
    }

    pub(crate) fn recv_buffer(&self) -> u32 {
        self.recv_buffer.unwrap_or(RECV_DEFAULT)
    }
}
