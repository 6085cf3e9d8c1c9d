//! The ports that a program mentions.
//!
//! A connect() that is refused or not answered does not report which port it took out of tens of
//! thousands. Ports that nothing in the program mentions are interchangeable, so that one of them
//! stands for all. A port that is only given to other sockets need not be tried either: taking it
//! would make nothing possible that is not possible otherwise. Ports that calls name remain.

use super::call::reported;
use super::{EnumeratingChooser, Op};
use fourtuple_syscall::{Kind, Outcome, Syscall};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// In a smaller range every port is tried.
const LEAST: u32 = 256;

/// The ports that a program mentions.
#[derive(Clone, Debug, Default)]
pub struct Mentions {
    /// All of them.
    all: BTreeSet<u16>,
    /// Those that calls name, or that answers report of a socket whose port they had not reported
    /// before.
    named: BTreeSet<u16>,
    /// Datagram sockets.
    datagrams: BTreeSet<usize>,
    /// Sockets with a port that was not reported.
    unreported: BTreeSet<usize>,
    /// The number of accepted connections from an address, less that of connects that report the
    /// address.
    accepted: BTreeMap<SocketAddr, i32>,
}

impl Mentions {
    /// Adds the ports of a call and its outcome.
    pub fn add(&mut self, op: &Op, seen: &Outcome) {
        let seen = op.compared(seen);
        let name = reported(&seen);
        let port = name.map(|name| name.port());
        self.all.extend(port);
        let Some(call) = op.call() else {
            return;
        };
        let sock = match *call {
            Syscall::Socket { sock, kind, .. } => {
                match kind {
                    Kind::Datagram => self.datagrams.insert(sock),
                    Kind::Stream => self.datagrams.remove(&sock),
                };
                return;
            }
            Syscall::Bind { sock, addr } => {
                self.name(addr.port());
                sock
            }
            Syscall::Accept { .. } => {
                if let Some(name) = name {
                    *self.accepted.entry(name).or_default() += 1;
                }
                return;
            }
            Syscall::Getpeername { .. } => return self.named.extend(port),
            Syscall::Connect { sock, addr } => {
                self.name(addr.port());
                if let Some(name) = name {
                    *self.accepted.entry(name).or_default() -= 1;
                }
                let kind = match self.datagrams.contains(&sock) {
                    true => Kind::Datagram,
                    false => Kind::Stream,
                };
                if !op.reports_port(&seen, kind) {
                    self.unreported.insert(sock);
                }
                sock
            }
            Syscall::Listen { sock, .. } | Syscall::Getsockname { sock } => sock,
            _ => return,
        };
        if self.unreported.contains(&sock) {
            self.named.extend(port);
        }
    }

    fn name(&mut self, port: u16) {
        self.all.insert(port);
        self.named.insert(port);
    }

    /// Returns `true` if a connect() that took this port must be distinguished from one that took
    /// any other.
    pub(super) fn names(&self, port: u16) -> bool {
        self.named().any(|named| named == port)
    }

    fn named(&self) -> impl Iterator<Item = u16> {
        let unreported = self.accepted.iter().filter(|(_, count)| **count > 0);
        let unreported = unreported.map(|(name, _)| name.port());
        self.named.iter().copied().chain(unreported)
    }

    /// All ports, in ascending order.
    pub(super) fn ports(&self) -> Arc<[u16]> {
        self.all.iter().copied().collect()
    }

    /// The chooser of a connect() whose answer does not report its port, and the place in the range
    /// whose port stands for all that are not named: in the middle of the widest stretch in which
    /// nothing is mentioned.
    pub(super) fn chooser(&self, low: u16, high: u16) -> Option<(EnumeratingChooser, u32)> {
        let size = u32::from(high.saturating_sub(low)) + 1;
        let inside = |port: &&u16| (low..=high).contains(*port);
        if size < LEAST || self.all.iter().filter(inside).count() as u32 > size / 8 {
            return None;
        }
        let mut from = u32::from(low);
        let (mut widest, mut place) = (0, 0);
        let mentioned = self.all.iter().filter(inside).map(|port| u32::from(*port));
        for port in mentioned.chain([u32::from(high) + 1]) {
            let gap = port.saturating_sub(from);
            if gap > widest {
                // An even place, because some searches begin with those.
                (widest, place) = (gap, (from - u32::from(low) + gap / 2) & !1);
            }
            from = port + 1;
        }
        let named = self.named().filter(|port| inside(&port));
        let named = named.map(|port| u32::from(port - low));
        Some((
            EnumeratingChooser::searching_at(named.chain([place]).collect()),
            place,
        ))
    }
}
