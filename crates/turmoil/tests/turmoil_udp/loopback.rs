//! Datagrams within a host.

use super::families::sim_of;
use super::{PORT, is_silent, receive, sim};
use fourtuple_turmoil::net::UdpSocket;
use fourtuple_turmoil::{BuildLinux, Linux};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use turmoil::{Builder, IpVersion, Result};

const DATA: [u8; 5] = [0, 1, 7, 3, 8];

#[test]
fn loopback_delivery() -> Result {
    let mut sim = Builder::new()
        .tick_duration(Duration::from_millis(100))
        .build_linux(Linux::default());
    sim.client("host", async {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, PORT)).await?;
        tokio::spawn(async {
            sleep(Duration::from_millis(50)).await;
            let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            sender.send_to(&DATA, (Ipv4Addr::LOCALHOST, PORT)).await
        });
        assert_eq!(receive(&receiver).await?.0, DATA);
        Ok(())
    });
    // Differs: it arrives within the step in which it was sent.
    assert!(sim.step()?);
    Ok(())
}

/// Sends to `to` from a socket on port 0 of `at`, and back. `arrives` if there is a socket there.
fn exchange(version: IpVersion, at: IpAddr, to: IpAddr, arrives: bool) -> Result {
    let mut sim = sim_of(version);
    sim.client("client", async move {
        let server = UdpSocket::bind((at, 1234)).await?;
        let client = UdpSocket::bind((at, 0)).await?;
        assert_eq!(client.send_to(&DATA, (to, 1234)).await?, DATA.len());
        if !arrives {
            assert!(is_silent(receive(&server)).await);
            return Ok(());
        }
        let (bytes, peer) = receive(&server).await?;
        assert_eq!((bytes.as_slice(), peer.ip()), (&DATA[..], to));
        assert_eq!(server.local_addr()?.ip(), at);
        server.send_to(&DATA, peer).await?;
        let (bytes, peer) = receive(&client).await?;
        assert_eq!((bytes.as_slice(), peer.ip()), (&DATA[..], to));
        Ok(())
    });
    sim.run()
}

const ANY4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const LO4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LO6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const OWN4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1));
const OWN6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));

#[test]
fn loopback_to_wildcard_v4() -> Result {
    exchange(IpVersion::V4, ANY4, LO4, true)
}

#[test]
fn loopback_to_localhost_v4() -> Result {
    exchange(IpVersion::V4, LO4, LO4, true)
}

#[test]
fn loopback_wildcard_public_v4() -> Result {
    exchange(IpVersion::V4, ANY4, OWN4, true)
}

#[test]
fn loopback_localhost_public_v4() -> Result {
    // Differs: the datagram is sent and finds no socket, reported to connected sockets alone.
    exchange(IpVersion::V4, LO4, OWN4, false)
}

#[test]
fn loopback_to_wildcard_v6() -> Result {
    exchange(IpVersion::V6, ANY6, LO6, true)
}

#[test]
fn loopback_to_localhost_v6() -> Result {
    exchange(IpVersion::V6, LO6, LO6, true)
}

#[test]
fn loopback_wildcard_public_v6() -> Result {
    exchange(IpVersion::V6, ANY6, OWN6, true)
}

#[test]
fn loopback_localhost_public_v6() -> Result {
    // Differs: the datagram is sent and finds no socket, reported to connected sockets alone.
    exchange(IpVersion::V6, LO6, OWN6, false)
}

#[test]
fn localhost_ping_pong() -> Result {
    let mut sim = sim();
    sim.client("client", async {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, 1234));
        let socket = UdpSocket::bind(server).await?;
        tokio::spawn(async move {
            while let Ok((bytes, peer)) = receive(&socket).await {
                socket.send_to(&bytes, peer).await.expect("an answer");
            }
        });
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let start = Instant::now();
        for _ in 0..100 {
            socket.send_to(&DATA, server).await?;
            receive(&socket).await?;
        }
        // Differs: a packet takes 25 µs, in steps of a millisecond, and not a tick.
        assert_eq!(start.elapsed().as_millis(), 4);
        Ok(())
    });
    sim.run()
}
