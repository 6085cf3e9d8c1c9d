//! IPv4 and IPv6.

use super::{bind, receive};
use fourtuple_turmoil::net::UdpSocket;
use fourtuple_turmoil::{BuildLinux, Errno, Linux, LinuxSim};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use turmoil::{Builder, IpVersion, Result};

pub(super) fn sim_of<'a>(version: IpVersion) -> LinuxSim<'a> {
    Builder::new()
        .rng_seed(1)
        .ip_version(version)
        .build_linux(Linux::default())
}

/// Binds port 0 of the wildcard address on a host of the other or the same family.
fn bind_any(version: IpVersion, any: IpAddr) -> Result {
    let mut sim = sim_of(version);
    sim.client("client", async move {
        let socket = UdpSocket::bind((any, 0)).await?;
        let local = socket.local_addr()?;
        assert_eq!(local.ip(), any);
        assert_ne!(local.port(), 0);
        Ok(())
    });
    sim.run()
}

#[test]
fn bind_ipv4_socket() -> Result {
    bind_any(IpVersion::V4, Ipv4Addr::UNSPECIFIED.into())
}

#[test]
fn bind_ipv6_socket() -> Result {
    bind_any(IpVersion::V6, Ipv6Addr::UNSPECIFIED.into())
}

#[test]
fn bind_ipv4_version_missmatch() -> Result {
    // Differs: Linux hosts have both families, and nothing panics.
    bind_any(IpVersion::V6, Ipv4Addr::UNSPECIFIED.into())
}

#[test]
fn bind_ipv6_version_missmatch() -> Result {
    // Differs: Linux hosts have both families, and nothing panics.
    bind_any(IpVersion::V4, Ipv6Addr::UNSPECIFIED.into())
}

#[test]
fn non_zero_ipv4_bind() -> Result {
    let mut sim = sim_of(IpVersion::V4);
    sim.client("client", async {
        let error = UdpSocket::bind("1.1.1.1:1").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRNOTAVAIL.number()));
        Ok(())
    });
    sim.run()
}

#[test]
fn ipv6_connectivity() -> Result {
    let mut sim = sim_of(IpVersion::V6);
    sim.client("server", async {
        let socket = UdpSocket::bind(":::80").await?;
        assert_eq!(receive(&socket).await?.0, [1]);
        Ok(())
    });
    sim.client("client", async {
        let socket = UdpSocket::bind(":::0").await?;
        socket.send_to(&[1], "server:80").await?;
        Ok(())
    });
    sim.run()
}

#[test]
fn remote_to_localhost_dropped() -> Result {
    let mut sim = sim_of(IpVersion::V4);
    sim.client("server", async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 1234)).await?;
        assert!(super::is_silent(receive(&socket)).await);
        Ok(())
    });
    sim.client("client", async {
        let socket = bind(1234).await?;
        socket.send_to(&[0], ("server", 1234)).await?;
        Ok(())
    });
    sim.run()
}
