//! The bytes of one direction of a connection that are sent and not yet read.
//!
//! Linux bounds them by a send buffer, a congestion window and a receive window, and grows all
//! three while a transfer fills them. One limit stands for them here: it doubles with each round
//! trip in which the writer was held up, until the smaller one of the send buffer's maximum
//! (`tcp_wmem`) and the receive buffer's (`tcp_rmem`) is reached.

use crate::config::Linux;

/// The limit of a new connection: what a writer of a new connection can send on Linux while the
/// reader does not read is 180 to 320 kB.
const FIRST: u32 = 256 * 1024;

/// The third value of `tcp_wmem`.
const SEND_MOST: u32 = 4 << 20;

/// The third value of `tcp_rmem`. From Linux 6.16 on it is 32 MiB, which makes no difference as
/// long as the send buffer is smaller.
const RECEIVE_MOST: u32 = 6 << 20;

/// The bounds of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    first: u32,
    /// The writer's bound.
    most: u32,
    /// The bound that the reader reports to the writer.
    receive: u32,
}

impl Bounds {
    /// The bounds of sockets in a network namespace.
    pub(crate) fn of(linux: &Linux) -> Self {
        if let Some(bytes) = linux.window {
            return Bounds::fixed(bytes);
        }
        let most = third(linux, "net.ipv4.tcp_wmem").unwrap_or(SEND_MOST);
        let receive = third(linux, "net.ipv4.tcp_rmem").unwrap_or(RECEIVE_MOST);
        Bounds {
            first: FIRST.min(most).min(receive),
            most,
            receive,
        }
    }

    fn fixed(bytes: u32) -> Self {
        Bounds {
            first: bytes,
            most: bytes,
            receive: u32::MAX,
        }
    }

    /// With `SO_SNDBUF` and `SO_RCVBUF`, as `getsockopt` reports them: they end autotuning.
    pub(crate) fn with_options(self, send: Option<u32>, receive: Option<u32>) -> Self {
        let mut bounds = match send {
            Some(bytes) => Bounds {
                receive: self.receive,
                ..Bounds::fixed(bytes)
            },
            None => self,
        };
        if let Some(bytes) = receive {
            bounds.receive = bytes;
        }
        bounds
    }

    /// The bound that the reader reports.
    pub(crate) fn receive(self) -> u32 {
        self.receive
    }
}

/// The maximum of a sysctl with the values minimum, default and maximum.
fn third(linux: &Linux, key: &str) -> Option<u32> {
    let most: u64 = linux
        .written(key)?
        .split_whitespace()
        .nth(2)?
        .parse()
        .ok()?;
    Some(u32::try_from(most).unwrap_or(u32::MAX).max(1))
}

/// The limit of one direction, at the writer's end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// The limit once it has grown; 0 before that.
    grown: u32,
    /// Bytes sent and not yet reported as read by the peer's program.
    outstanding: u32,
    /// Bytes that were under way when the window was full. Each of them that is read makes room for
    /// another one.
    growing: u32,
}

impl Window {
    /// The number of further bytes that may be sent.
    pub(crate) fn room(&self, bounds: Bounds) -> u32 {
        self.limit(bounds).saturating_sub(self.outstanding)
    }

    fn limit(&self, bounds: Bounds) -> u32 {
        match self.grown {
            0 => bounds.first,
            grown => grown.min(bounds.most),
        }
    }

    /// Returns `true` if half of the limit is under way, so that the reader has to report.
    pub(crate) fn is_half_full(&self, bounds: Bounds) -> bool {
        self.outstanding > self.limit(bounds) / 2
    }

    pub(crate) fn sent(&mut self, bytes: u32, bounds: Bounds) {
        self.outstanding += bytes;
        if self.room(bounds) == 0 {
            self.growing = self.outstanding;
        }
    }

    /// Handles the report that the peer has read `bytes` more, and that its buffer holds `receive`.
    pub(crate) fn credit(&mut self, bytes: u32, receive: u32, bounds: Bounds) {
        let growth = bytes.min(self.growing);
        let grown = self.limit(bounds).saturating_add(growth);
        self.growing -= growth;
        self.outstanding = self.outstanding.saturating_sub(bytes);
        self.grown = grown.min(bounds.most).min(receive).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit after each of `trips` round trips of a writer that fills the window.
    fn limits(bounds: Bounds, receive: u32, trips: usize) -> Vec<u32> {
        let mut window = Window::default();
        (0..trips)
            .map(|_| {
                window.sent(window.room(bounds), bounds);
                let all = window.outstanding;
                for part in [all / 2, all - all / 2] {
                    window.credit(part, receive, bounds);
                }
                window.limit(bounds)
            })
            .collect()
    }

    #[test]
    fn a_filled_window_doubles_up_to_the_smaller_buffer() {
        let bounds = Bounds::of(&Linux::default());
        let mib = 1 << 20;
        let grown = limits(bounds, RECEIVE_MOST, 6);
        assert_eq!(grown, [mib / 2, mib, 2 * mib, 4 * mib, 4 * mib, 4 * mib]);
        assert_eq!(limits(bounds, 2 * mib, 8).last(), Some(&(2 * mib)));
    }

    #[test]
    fn small_requests_leave_the_window_as_it_is() {
        let bounds = Bounds::of(&Linux::default());
        let mut window = Window::default();
        for _ in 0..100_000 {
            window.sent(100, bounds);
            window.credit(100, RECEIVE_MOST, bounds);
        }
        assert_eq!(window.room(bounds), FIRST);
    }

    #[test]
    fn sysctls_and_socket_options_bound_it() {
        let linux = Linux::default()
            .sysctl("net.ipv4.tcp_wmem", "4096 16384 100000")
            .unwrap();
        let bounds = Bounds::of(&linux);
        assert_eq!(Window::default().room(bounds), 100_000);
        let bounds = bounds.with_options(Some(4608), Some(2304));
        assert_eq!(Window::default().room(bounds), 4608);
        assert_eq!(limits(bounds, bounds.receive(), 2), [2304, 2304]);
        let fixed = Bounds::of(&linux.window(7));
        assert_eq!(limits(fixed, fixed.receive(), 3), [7, 7, 7]);
    }
}
