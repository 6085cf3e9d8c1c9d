//! Connections whose peer does not answer: what becomes of them, and the keepalive probes.

use super::conns::Key;
use super::state::State;
use crate::carrier::wire::Body;
use fourtuple_kernel::time::{MS, Time};
use fourtuple_kernel::{SegKind, Segment, State as Tcp};
use std::net::IpAddr;

impl State {
    /// Gives up the connections to a host that have waited long enough for an acknowledgement.
    /// Returns the next time at which there may be one.
    pub(crate) fn give_up(&mut self, host: IpAddr) -> Option<Time> {
        let now = self.machine.now();
        let earliest = self
            .peers
            .of(host)
            .channel
            .oldest()?
            .after(self.shortest_patience);
        if now < earliest {
            return Some(earliest);
        }
        let mut next: Option<Time> = None;
        for silent in self.peers.of(host).channel.unacknowledged() {
            let (local, remote) = silent.ends;
            let Some(ns) = self.namespace_of(local.ip()) else {
                continue;
            };
            let key = Key::new(ns, local, remote);
            let at = silent.since.after(self.patience(key, silent.is_probe));
            if now < at {
                next = next.into_iter().chain([at]).min();
                continue;
            }
            self.peers.of(host).channel.abandon(silent.ends);
            self.timed_out(key);
        }
        next
    }

    fn patience(&mut self, key: Key, is_probe: bool) -> u64 {
        let patience = self.rules(key.ns).patience;
        let Some(conn) = self.conns.get(key) else {
            return patience.orphan;
        };
        match conn.sock.and_then(|sock| self.open.get(&sock)) {
            Some(open) => patience.of_socket(&open.kept, is_probe),
            // Not accepted so far.
            None => patience.owned,
        }
    }

    /// Ends a connection without a word to its peer (`tcp_write_err`).
    fn timed_out(&mut self, key: Key) {
        if let Some(conn) = self.conns.get(key) {
            conn.timed_out = true;
        }
        // The port model has no such event. A reset leaves the same sockets behind.
        let reset = Segment::new(key.remote, key.local, SegKind::Rst);
        self.machine.deliver(key.ns, reset);
        self.route();
        self.touch(key);
    }

    /// Applies `TCP_USER_TIMEOUT` and the keepalive options of a connected socket from now on.
    pub(crate) fn keep_alive(&mut self, key: Key) {
        let now = self.machine.now();
        let patience = self.rules(key.ns).patience;
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let Some(open) = conn.sock.and_then(|sock| self.open.get(&sock)) else {
            return;
        };
        for is_probe in [false, true] {
            let limit = patience.of_socket(&open.kept, is_probe);
            self.shortest_patience = self.shortest_patience.min(limit);
        }
        if open.kept.keepalive && !self.network.clock.is_set() {
            let at = now.after(patience.keepalive(&open.kept).idle);
            self.conns.check_again(key, at);
            self.kick = true;
        }
    }

    /// Sends a keepalive probe if the peer of a connection has been silent for long enough.
    pub(crate) fn probe(&mut self, key: Key) {
        let now = self.machine.now();
        let patience = self.rules(key.ns).patience;
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let Some(sock) = conn.sock else {
            return;
        };
        let heard = conn.heard;
        let Some(open) = self.open.get(&sock).filter(|open| open.kept.keepalive) else {
            return;
        };
        let is_connected = matches!(
            self.machine.state(sock),
            Tcp::Established | Tcp::CloseWait | Tcp::FinWait1 | Tcp::FinWait2
        );
        let host = self.next_host(key.ns, key.remote.ip());
        let Some(host) = host.filter(|host| is_connected && *host != self.own) else {
            return;
        };
        let idle = patience.keepalive(&open.kept).idle.max(MS);
        let due = heard.after(idle);
        if now < due {
            self.conns.check_again(key, due);
            return;
        }
        let probe = Segment::new(key.local, key.remote, SegKind::Ack);
        self.network.sent(1);
        self.push(host, Body::Probe(probe));
        self.conns.check_again(key, now.after(idle));
    }
}
