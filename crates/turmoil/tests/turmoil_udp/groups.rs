//! Broadcast and multicast.

use super::families::sim_of;
use super::{SECOND, bind, is_silent, receive, sim};
use fourtuple_turmoil::Errno;
use fourtuple_turmoil::net::UdpSocket;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::time::sleep;
use turmoil::{IpVersion, Result};

const PORT: u16 = 9000;
const OTHER: u16 = 8000;

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn udp_ipv4_broadcast() -> Result {
    let mut sim = sim();
    sim.client("other-port", async {
        assert!(is_silent(receive(&bind(OTHER).await?)).await);
        Ok(())
    });
    for n in 0..3 {
        sim.client(format!("server-{n}"), async {
            let socket = bind(PORT).await?;
            assert_eq!(receive(&socket).await?.0, [2]);
            assert!(is_silent(receive(&socket)).await);
            Ok(())
        });
    }
    sim.client("client", async {
        let to = (Ipv4Addr::BROADCAST, PORT);
        let socket = bind(0).await?;
        for (byte, allowed) in [(1, false), (2, true), (3, false)] {
            socket.set_broadcast(allowed)?;
            assert_eq!(socket.broadcast()?, allowed);
            let expected = (!allowed).then_some(Errno::EACCES.number());
            assert_eq!(errno(socket.send_to(&[byte], to).await), expected);
        }
        Ok(())
    });
    sim.run()
}

const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 1);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff08, 0, 0, 0, 0, 0, 0, 1);

/// The families of a test, as functions of the group.
#[derive(Clone, Copy)]
enum Group {
    V4,
    V6,
}

impl Group {
    fn address(self) -> IpAddr {
        match self {
            Group::V4 => GROUP4.into(),
            Group::V6 => GROUP6.into(),
        }
    }

    async fn bind(self, port: u16) -> io::Result<UdpSocket> {
        match self {
            Group::V4 => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await,
            Group::V6 => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).await,
        }
    }

    fn join(self, socket: &UdpSocket) -> io::Result<()> {
        match self {
            Group::V4 => socket.join_multicast_v4(GROUP4, Ipv4Addr::UNSPECIFIED),
            Group::V6 => socket.join_multicast_v6(&GROUP6, 0),
        }
    }

    fn leave(self, socket: &UdpSocket) -> io::Result<()> {
        match self {
            Group::V4 => socket.leave_multicast_v4(GROUP4, Ipv4Addr::UNSPECIFIED),
            Group::V6 => socket.leave_multicast_v6(&GROUP6, 0),
        }
    }

    fn set_loop(self, socket: &UdpSocket, on: bool) -> io::Result<()> {
        match self {
            Group::V4 => socket.set_multicast_loop_v4(on),
            Group::V6 => socket.set_multicast_loop_v6(on),
        }
    }

    fn version(self) -> IpVersion {
        match self {
            Group::V4 => IpVersion::V4,
            Group::V6 => IpVersion::V6,
        }
    }
}

fn members_receive(group: Group) -> Result {
    let mut sim = sim_of(group.version());
    sim.client("other-port", async move {
        let socket = group.bind(OTHER).await?;
        group.join(&socket)?;
        assert!(is_silent(receive(&socket)).await);
        Ok(())
    });
    for n in 0..3 {
        sim.client(format!("server-{n}"), async move {
            let socket = group.bind(PORT).await?;
            group.join(&socket)?;
            assert_eq!(receive(&socket).await?.0, [1]);
            group.leave(&socket)?;
            assert_eq!(errno(group.leave(&socket)), Some(99), "EADDRNOTAVAIL");
            assert!(is_silent(receive(&socket)).await);
            Ok(())
        });
    }
    sim.client("client", async move {
        let to = (group.address(), PORT);
        let socket = group.bind(0).await?;
        socket.send_to(&[1], to).await?;
        sleep(SECOND / 2).await;
        socket.send_to(&[2], to).await?;
        Ok(())
    });
    sim.run()
}

#[test]
fn udp_ipv4_multicast() -> Result {
    members_receive(Group::V4)
}

#[test]
fn udp_ipv6_multicast() -> Result {
    members_receive(Group::V6)
}

fn own_datagrams_loop(group: Group) -> Result {
    let mut sim = sim_of(group.version());
    sim.client("host", async move {
        let to = (group.address(), PORT);
        let socket = group.bind(PORT).await?;
        group.join(&socket)?;
        socket.send_to(&[1], to).await?;
        assert_eq!(receive(&socket).await?.0, [1], "the default");
        // A socket joins a group once.
        assert_eq!(errno(group.join(&socket)), Some(98), "EADDRINUSE");
        group.set_loop(&socket, true)?;
        socket.send_to(&[2], to).await?;
        assert_eq!(receive(&socket).await?.0, [2]);
        group.set_loop(&socket, false)?;
        socket.send_to(&[3], to).await?;
        assert!(is_silent(receive(&socket)).await);
        group.set_loop(&socket, true)?;
        group.leave(&socket)?;
        socket.send_to(&[4], to).await?;
        assert!(is_silent(receive(&socket)).await);
        Ok(())
    });
    sim.run()
}

#[test]
fn udp_ipv4_multicast_loop() -> Result {
    // Differs: joining twice is an error.
    own_datagrams_loop(Group::V4)
}

#[test]
fn udp_ipv6_multicast_loop() -> Result {
    // Differs: joining twice is an error.
    own_datagrams_loop(Group::V6)
}
