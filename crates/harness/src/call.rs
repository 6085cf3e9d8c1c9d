//! Families of sockets, and the names that sockets get.
//!
//! Engines that make the calls of the declarative form share these, so that their outcomes can be
//! compared.

use std::net::SocketAddr;

use fourtuple_scenario::{Family, Process};

/// Notes a sysctl that the model takes without effect. Each host has one note, which lists all of
/// them.
pub fn note_unmodelled(notes: &mut Vec<String>, host: &str, key: &str) {
    let start = format!("{host}: not modelled, no effect on ports: ");
    match notes.iter_mut().find(|note| note.starts_with(&start)) {
        Some(note) if note[start.len()..].split(", ").any(|known| known == key) => {}
        Some(note) => {
            note.push_str(", ");
            note.push_str(key);
        }
        None => notes.push(start + key),
    }
}

/// The family of a socket that binds and connects to these addresses: IPv6 as soon as one of them
/// is.
#[must_use]
pub fn family(bind: Option<SocketAddr>, connect: Option<SocketAddr>) -> Family {
    let is_v6 = |address: Option<SocketAddr>| address.is_some_and(|address| address.is_ipv6());
    if is_v6(bind) || is_v6(connect) {
        Family::Inet6
    } else {
        Family::Inet
    }
}

/// The numbers that name the sockets of a process, `<process>.<k>`.
///
/// They do not depend on the order in which instances run: instance 1 has the first numbers, its
/// listeners before its connections, then instance 2, and so on.
#[derive(Clone, Copy, Debug)]
pub struct Numbering {
    listeners: u32,
    connections: u32,
    repeat: u32,
}

impl Numbering {
    /// The numbering of a process.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        let idle = process.connect.is_empty() && process.bind.is_empty();
        Numbering {
            listeners: u32::try_from(process.listen.len()).unwrap_or(u32::MAX),
            connections: if idle { 0 } else { process.connections },
            repeat: process.repeat,
        }
    }

    /// Connections of one round of one instance; 0 for a process that only listens.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections
    }

    fn before(&self, instance: u32) -> u32 {
        let each = self
            .connections
            .saturating_mul(self.repeat)
            .saturating_add(self.listeners);
        each.saturating_mul(instance)
    }

    /// The number of a listener; instances and listeners are counted from 0.
    #[must_use]
    pub fn listener(&self, instance: u32, listener: u32) -> u32 {
        self.before(instance)
            .saturating_add(listener)
            .saturating_add(1)
    }

    /// The number of a connection; instances, rounds and connections are counted from 0.
    #[must_use]
    pub fn connection(&self, instance: u32, round: u32, connection: u32) -> u32 {
        let earlier = self
            .connections
            .saturating_mul(round)
            .saturating_add(connection);
        self.before(instance)
            .saturating_add(self.listeners)
            .saturating_add(earlier)
            .saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_numbered_by_instance_not_by_time() {
        let mut process = Process::new("app");
        process.count = 2;
        process.connections = 3;
        process.repeat = 2;
        process.connect = vec!["10.0.0.1:80".parse().unwrap()];
        process.listen = vec!["0.0.0.0:80".parse().unwrap()];
        let numbering = Numbering::of(&process);
        let mut all = Vec::new();
        for instance in 0..2 {
            all.push(numbering.listener(instance, 0));
            for round in 0..2 {
                for connection in 0..3 {
                    all.push(numbering.connection(instance, round, connection));
                }
            }
        }
        assert_eq!(all, (1..=14).collect::<Vec<u32>>());
    }

    #[test]
    fn one_ipv6_address_makes_an_ipv6_socket() {
        let v4 = "127.0.0.1:80".parse().ok();
        let v6 = "[::]:0".parse().ok();
        assert_eq!(family(None, v4), Family::Inet);
        assert_eq!(family(v6, v4), Family::Inet6);
        assert_eq!(family(None, None), Family::Inet);
    }
}
