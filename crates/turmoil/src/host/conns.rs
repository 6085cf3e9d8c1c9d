//! The state of connections that the port model does not have: their bytes and waiting tasks.

use super::table::Table;
use super::window::Window;
use bytes::{Buf, Bytes};
use fourtuple_kernel::time::Time;
use fourtuple_kernel::{NsId, Segment, SockId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::task::Waker;

/// A connection as seen by one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) ns: NsId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl Key {
    pub(crate) fn new(ns: NsId, local: SocketAddr, remote: SocketAddr) -> Self {
        Key { ns, local, remote }
    }

    /// The key of the other end, if it is in the same namespace.
    pub(crate) fn other_end(self) -> Key {
        Key::new(self.ns, self.remote, self.local)
    }
}

impl Hash for Key {
    /// Two words, which differ for most connections: every segment looks its connection up.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let word = |at: SocketAddr| match at.ip() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() ^ ip.to_bits() >> 64) as u64,
        };
        let ports = u32::from(self.local.port()) << 16 | u32::from(self.remote.port());
        state.write_u64(u64::from(ports));
        state.write_u64(word(self.local).rotate_left(32) ^ word(self.remote));
    }
}

/// A direction to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Bytes, the end of the stream, or an error.
    Read,
    /// Space to write, the completion of a connect, or an error.
    Write,
}

/// Tasks that wait for one event, mostly none or one.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Vec<Waker>);

impl Waiters {
    pub(crate) fn add(&mut self, waker: &Waker) {
        if !self.0.iter().any(|w| w.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn wake_into(&mut self, woken: &mut Vec<Waker>) {
        woken.append(&mut self.0);
    }
}

/// One end of a connection on this kernel.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    /// The socket, once a program owns it.
    pub(crate) sock: Option<SockId>,
    /// Bytes that have arrived and were not read.
    received: VecDeque<Bytes>,
    available: usize,
    /// Bytes that were read and not yet reported to the other end.
    unreported: u32,
    /// The writer at the other end had half of its window under way when it last wrote. Until then
    /// it needs no report.
    pub(crate) wants_report: bool,
    /// The bytes that may be sent before the peer's program reads.
    pub(crate) window: Window,
    /// The time of the last segment of the peer.
    pub(crate) heard: Time,
    /// The kernel has given the connection up, and no call has reported it so far.
    pub(crate) timed_out: bool,
    /// `shutdown(SHUT_RD)` was called.
    pub(crate) shut_read: bool,
    /// `true` if the kernel has a child socket for it, accepted or not.
    pub(crate) child: bool,
    /// Segments of a handshake for which the accept queue is full. On Linux the peer retransmits
    /// them.
    pub(crate) parked: VecDeque<(Segment, Bytes)>,
    /// The number of SYNs sent, to predict when the kernel gives up.
    syns: u32,
    readers: Waiters,
    writers: Waiters,
}

impl Conn {
    pub(crate) fn wait(&mut self, direction: Direction, waker: &Waker) {
        match direction {
            Direction::Read => self.readers.add(waker),
            Direction::Write => self.writers.add(waker),
        }
    }

    pub(crate) fn wake(&mut self, woken: &mut Vec<Waker>) {
        self.readers.wake_into(woken);
        self.writers.wake_into(woken);
    }

    /// Bytes that can be read now.
    pub(crate) fn available(&self) -> usize {
        self.available
    }

    pub(crate) fn arrive(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.available += bytes.len();
            self.received.push_back(bytes);
        }
    }

    /// Copies up to `out.len()` bytes without consuming them.
    pub(crate) fn copy_to(&self, out: &mut [u8]) -> usize {
        let mut done = 0;
        for chunk in &self.received {
            let n = chunk.len().min(out.len() - done);
            out[done..done + n].copy_from_slice(&chunk[..n]);
            done += n;
            if done == out.len() {
                break;
            }
        }
        done
    }

    /// Consumes `count` bytes. Returns the number of bytes to report to the writer, if a report is
    /// due: once half of its window is under way, as soon as they are half of what there was to
    /// read.
    pub(crate) fn consume(&mut self, count: usize) -> Option<u32> {
        let mut left = count.min(self.available);
        self.available -= left;
        self.unreported += u32::try_from(left).unwrap_or(u32::MAX);
        while left > 0 {
            let Some(chunk) = self.received.front_mut() else {
                break;
            };
            let n = chunk.len().min(left);
            chunk.advance(n);
            left -= n;
            if chunk.is_empty() {
                self.received.pop_front();
            }
        }
        let due = self.wants_report && self.unreported as usize >= self.available;
        if !due || self.unreported == 0 {
            return None;
        }
        self.wants_report = false;
        Some(std::mem::take(&mut self.unreported))
    }

    /// Resets the state of an earlier connection with the same 4-tuple.
    pub(crate) fn renew(&mut self, sock: Option<SockId>) {
        let (readers, writers) = (
            std::mem::take(&mut self.readers),
            std::mem::take(&mut self.writers),
        );
        *self = Conn {
            sock,
            readers,
            writers,
            ..Conn::default()
        };
    }
}

/// All connections of a kernel, by endpoints from its point of view: its own first.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    table: Table<Key, Conn>,
    /// The times at which a connect() may have been given up. The model has the timers; this index
    /// avoids polling every waiter whenever a timer fires.
    checks: BTreeMap<Time, Vec<Key>>,
    parked: BTreeSet<Key>,
}

impl Conns {
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut Conn> {
        self.table.get_mut(&key)
    }

    /// The connection of a socket, if the socket still owns it.
    pub(crate) fn of(&mut self, key: Option<Key>, sock: SockId) -> Option<&mut Conn> {
        self.table.get_mut(&key?).filter(|c| c.sock == Some(sock))
    }

    /// Adds the connection of a connect().
    pub(crate) fn connecting(&mut self, key: Key, sock: SockId) {
        self.table.entry(key).or_default().renew(Some(sock));
    }

    /// Adds a connection for a received SYN. `dead` returns `true` if the kernel has released the
    /// socket of an earlier connection between the same endpoints.
    pub(crate) fn embryo(&mut self, key: Key, dead: impl Fn(SockId) -> bool) {
        let conn = self.table.entry(key).or_default();
        let renew = match conn.sock {
            Some(sock) => dead(sock),
            None => !conn.child,
        };
        if renew {
            conn.renew(None);
        }
    }

    /// Assigns a connection to an accepted socket.
    pub(crate) fn accepted(&mut self, key: Key, sock: SockId) {
        let conn = self.table.entry(key).or_default();
        conn.sock = Some(sock);
        conn.child = true;
    }

    /// Connections to a port whose handshake waits for space in the accept queue.
    pub(crate) fn parked_at(&self, port: u16) -> Vec<Key> {
        self.parked
            .iter()
            .copied()
            .filter(|k| k.local.port() == port)
            .collect()
    }

    /// Keeps a segment until there is space in the accept queue.
    pub(crate) fn park(&mut self, key: Key, segment: Segment, bytes: Bytes) {
        if let Some(conn) = self.table.get_mut(&key) {
            conn.parked.push_back((segment, bytes));
            self.parked.insert(key);
        }
    }

    /// Takes the parked segments of a connection.
    pub(crate) fn unpark(&mut self, key: Key) -> VecDeque<(Segment, Bytes)> {
        self.parked.remove(&key);
        self.table
            .get_mut(&key)
            .map(|c| std::mem::take(&mut c.parked))
            .unwrap_or_default()
    }

    /// Removes the connection of a socket that was closed or has lost it.
    pub(crate) fn forget(&mut self, key: Key, sock: SockId, woken: &mut Vec<Waker>) {
        if self.table.get(&key).is_some_and(|c| c.sock == Some(sock)) {
            self.drop_entry(key, woken);
        }
    }

    /// Removes a connection that was reset before it was accepted.
    pub(crate) fn forget_embryo(&mut self, key: Key) {
        if self.table.get(&key).is_some_and(|c| c.sock.is_none()) {
            self.table.swap_remove(&key);
            self.parked.remove(&key);
        }
    }

    fn drop_entry(&mut self, key: Key, woken: &mut Vec<Waker>) {
        if let Some(mut conn) = self.table.swap_remove(&key) {
            conn.wake(woken);
        }
    }

    /// Records a sent SYN. `until_next` returns the time to the next one after a number of
    /// retransmissions.
    pub(crate) fn syn_sent(&mut self, key: Key, now: Time, until_next: impl Fn(u32) -> u64) {
        let Some(conn) = self.table.get_mut(&key) else {
            return;
        };
        let wait = until_next(conn.syns);
        conn.syns += 1;
        self.checks.entry(now.after(wait)).or_default().push(key);
    }

    /// The next time at which a connect() may have been given up.
    pub(crate) fn next_check(&self) -> Option<Time> {
        self.checks.keys().next().copied()
    }

    /// The connections whose connect() may have been given up by now.
    pub(crate) fn due_checks(&mut self, now: Time) -> Vec<Key> {
        let mut due = Vec::new();
        while let Some(entry) = self.checks.first_entry() {
            if *entry.key() > now {
                break;
            }
            due.append(&mut entry.remove());
        }
        due
    }

    /// Schedules another check of a connection that is still connecting after its expected timeout.
    pub(crate) fn check_again(&mut self, key: Key, at: Time) {
        self.checks.entry(at).or_default().push(key);
    }

    /// Wakes all tasks whose connection's other end is on a port.
    pub(crate) fn wake_peers_of(&mut self, port: u16, woken: &mut Vec<Waker>) {
        for (_, conn) in self
            .table
            .iter_mut()
            .filter(|(key, _)| key.remote.port() == port)
        {
            conn.wake(woken);
        }
    }
}
