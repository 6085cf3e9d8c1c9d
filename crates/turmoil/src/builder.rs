//! turmoil's builder: what its settings mean for hosts that run Linux.

use crate::config::Linux;
use crate::sim::LinuxSim;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::rc::Rc;
use tracing::subscriber::NoSubscriber;
use turmoil::Builder;
use turmoil::net::TcpListener;

/// turmoil's default of `ephemeral_ports`. It means that the test has not chosen any.
const DEFAULT_PORTS: RangeInclusive<u16> = 49_152..=65_535;

/// The capacity of the carrier's turmoil sockets, in messages. What overflows them is lost, or a
/// panic; the windows of Linux sockets bound what is under way.
pub(crate) const CAPACITY: usize = 65_536;

/// Adds [`build_linux`](BuildLinux::build_linux) to turmoil's builder.
pub trait BuildLinux {
    /// Builds a simulation in which every host has Linux ports, configured by `linux` unless
    /// [`LinuxSim::linux`] configures a host differently.
    ///
    /// `ephemeral_ports` is the `net.ipv4.ip_local_port_range` of hosts that do not write this
    /// sysctl, unless it is turmoil's default. `tcp_capacity` and `udp_capacity` have no effect on
    /// Linux sockets, whose windows count bytes: see [`Linux::window`]. The carrier raises both, in
    /// this simulation and in those that this builder builds later.
    fn build_linux<'a>(&mut self, linux: Linux) -> LinuxSim<'a>;
}

impl BuildLinux for Builder {
    fn build_linux<'a>(&mut self, linux: Linux) -> LinuxSim<'a> {
        let ports = ephemeral_ports(self);
        // Each pipe of the carrier takes a port of turmoil's: more than a test may allow.
        self.ephemeral_ports(DEFAULT_PORTS)
            .tcp_capacity(CAPACITY)
            .udp_capacity(CAPACITY);
        let sim = self.build();
        self.ephemeral_ports(ports.clone());
        let chosen = (ports != DEFAULT_PORTS).then_some(ports);
        // With queues of that size, one port of the carrier serves all hosts.
        LinuxSim::with_ports(sim, linux, chosen, 1)
    }
}

/// The ephemeral ports of a builder. turmoil does not report them: a simulation of their own hands
/// them out one by one, until they begin again.
fn ephemeral_ports(builder: &Builder) -> RangeInclusive<u16> {
    let found = Rc::new(Cell::new(DEFAULT_PORTS));
    let mut sim = builder.build();
    let any: IpAddr = match sim.lookup("ports") {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let answer = Rc::clone(&found);
    sim.client("ports", async move {
        let first = next_port(any).await?;
        let mut last = first;
        loop {
            match next_port(any).await? {
                port if port > last => last = port,
                _ => break,
            }
        }
        answer.set(first..=last);
        Ok(())
    });
    // Without a log: each port is a line. An error leaves turmoil's default.
    let _ = tracing::subscriber::with_default(NoSubscriber::default(), || sim.run());
    found.replace(DEFAULT_PORTS)
}

async fn next_port(any: IpAddr) -> io::Result<u16> {
    Ok(TcpListener::bind((any, 0)).await?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use turmoil::IpVersion;

    #[test]
    fn the_ephemeral_ports_of_a_builder_are_found() {
        let mut builder = Builder::new();
        assert_eq!(ephemeral_ports(&builder), DEFAULT_PORTS);
        for ports in [50_000..=50_001, 7..=7, 65_000..=65_535, 49_152..=49_160] {
            builder.ephemeral_ports(ports.clone());
            assert_eq!(ephemeral_ports(&builder), ports);
            builder.build_linux(Linux::default());
            assert_eq!(ephemeral_ports(&builder), ports, "the builder keeps them");
        }
        builder.ip_version(IpVersion::V6);
        assert_eq!(ephemeral_ports(&builder), 49_152..=49_160);
    }
}
