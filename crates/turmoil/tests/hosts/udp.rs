//! UDP sockets have the ports, the errors and the options of the host's kernel.

use fourtuple_turmoil::net::{LinuxSocketExt, UdpSocket};
use fourtuple_turmoil::{
    BuildLinux, Errno, Family, Linux, LinuxSim, SockOpt, Socket, explain_last_error,
};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::Interest;
use tokio::time::{Instant, sleep, timeout};
use turmoil::{Builder, Result};

const ANY: &str = "0.0.0.0:0";
const SECOND: Duration = Duration::from_secs(1);

fn sim<'a>(linux: Linux) -> LinuxSim<'a> {
    let latency = Duration::from_millis(1);
    Builder::new()
        .rng_seed(1)
        .min_message_latency(latency)
        .max_message_latency(latency)
        .build_linux(linux)
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn is<T>(result: io::Result<T>, expected: Errno) -> bool {
    errno(result) == Some(expected.number())
}

/// One port is one socket, whatever it is connected to, and closing gives it back at once.
#[test]
fn ports_of_the_range_run_out_and_come_back() -> Result {
    let range = "net.ipv4.ip_local_port_range";
    let mut sim = sim(Linux::default().sysctl(range, "40000 40003")?);
    sim.client("client", async {
        let mut held = Vec::new();
        for n in 1..=4_u16 {
            let socket = UdpSocket::bind(ANY).await?;
            assert!((40_000..=40_003).contains(&socket.local_addr()?.port()));
            socket.connect(("127.0.0.1", n)).await?;
            held.push(socket);
        }
        assert!(is(UdpSocket::bind(ANY).await, Errno::EADDRINUSE));
        let explained = explain_last_error().expect("the call failed").to_string();
        assert!(explained.contains("40000"), "{explained}");
        let freed = held.pop().expect("a socket").local_addr()?.port();
        assert_eq!(UdpSocket::bind(ANY).await?.local_addr()?.port(), freed);
        Ok(())
    });
    sim.run()
}

/// ICMP port unreachable is the error of the next call on a connected socket, once.
#[test]
fn a_port_without_a_socket_refuses_connected_sockets() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", || async { std::future::pending().await });
    sim.client("client", async {
        for target in ["server:53", "127.0.0.1:53"] {
            let socket = UdpSocket::bind(ANY).await?;
            socket.connect(target).await?;
            socket.send(b"query").await?;
            assert!(is(socket.recv(&mut [0; 8]).await, Errno::ECONNREFUSED));
            socket.send(b"query").await?;
            sleep(SECOND).await;
            let error = socket.take_error()?.and_then(|error| error.raw_os_error());
            assert_eq!(error, Some(Errno::ECONNREFUSED.number()));
            socket.send(b"query").await?;
            sleep(SECOND).await;
            assert!(is(socket.send(b"query").await, Errno::ECONNREFUSED));
            assert_eq!(socket.send(b"query").await?, 5, "once");
        }
        let socket = UdpSocket::bind(ANY).await?;
        socket.send_to(b"query", "server:53").await?;
        assert!(timeout(SECOND, socket.recv(&mut [0; 8])).await.is_err());
        Ok(())
    });
    sim.run()
}

#[test]
fn calls_fail_as_on_linux() -> Result {
    let mut sim = sim(Linux::default());
    sim.client("client", async {
        let socket = UdpSocket::bind(ANY).await?;
        assert!(is(socket.send(b"x").await, Errno::EDESTADDRREQ));
        assert!(is(socket.peer_addr(), Errno::ENOTCONN));
        let big = vec![0; 65_508];
        assert!(is(
            socket.send_to(&big, "127.0.0.1:9").await,
            Errno::EMSGSIZE
        ));
        assert!(is(socket.send_to(b"x", "127.0.0.1:0").await, Errno::EINVAL));
        assert!(is(
            UdpSocket::bind("10.9.9.9:1").await,
            Errno::EADDRNOTAVAIL
        ));
        assert!(is(socket.set_ttl(0), Errno::EINVAL));
        assert!(is(socket.set_ttl(256), Errno::EINVAL));
        socket.set_ttl(7)?;
        assert_eq!(socket.ttl()?, 7);
        let empty = socket.try_recv_from(&mut [0; 8]).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
        let stream = Socket::new(Family::Inet)?;
        assert!(is(UdpSocket::from_socket(stream), Errno::EPROTOTYPE));
        Ok(())
    });
    sim.run()
}

#[test]
fn the_largest_datagram_and_an_empty_one_arrive_whole() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", || async {
        let socket = UdpSocket::bind("0.0.0.0:53").await?;
        let mut bytes = Vec::with_capacity(70_000);
        loop {
            bytes.clear();
            let (len, from) = socket.recv_buf_from(&mut bytes).await?;
            assert_eq!(len, bytes.len());
            socket.send_to(&bytes, from).await?;
        }
    });
    sim.client("client", async {
        let socket = UdpSocket::bind(ANY).await?;
        socket.connect("server:53").await?;
        let sent: Vec<u8> = (0..65_507_u32).map(|n| n as u8).collect();
        for part in [&sent[..], &[]] {
            socket.send(part).await?;
            let mut got = vec![1; 65_600];
            let len = socket.peek(&mut got).await?;
            assert!(got[..len] == *part);
            assert_eq!(socket.peek_sender().await?, socket.peer_addr()?);
            assert_eq!(socket.recv(&mut got).await?, part.len());
        }
        Ok(())
    });
    sim.run()
}

/// socket2 sets options before bind(); `Socket::datagram` takes its place.
#[test]
fn sockets_with_options_of_their_own() -> Result {
    let mut sim = sim(Linux::default());
    sim.client("client", async {
        let reusing = |on| {
            let socket = Socket::datagram(Family::Inet)?;
            socket.set(SockOpt::ReusePort(on))?;
            socket.bind("127.0.0.1:53".parse().expect("an address"))?;
            UdpSocket::from_socket(socket)
        };
        let (first, _second) = (reusing(true)?, reusing(true)?);
        assert!(is(reusing(false), Errno::EADDRINUSE));
        first.set_option(SockOpt::ReusePort(false))?;
        let ranged = Socket::datagram(Family::Inet)?;
        ranged.set_local_port_range(50_000..=50_000)?;
        ranged.bind(ANY.parse()?)?;
        assert_eq!(ranged.local_addr()?.port(), 50_000);
        Ok(())
    });
    sim.run()
}

/// A loop of pings over loopback takes time, whether or not it waits for the socket.
#[test]
fn loops_over_loopback_end() -> Result {
    let mut sim = sim(Linux::default());
    sim.client("client", async {
        let server = UdpSocket::bind("127.0.0.1:53").await?;
        let client = UdpSocket::bind(ANY).await?;
        client.connect("127.0.0.1:53").await?;
        let start = Instant::now();
        let mut sent = 0;
        while start.elapsed() < Duration::from_millis(20) {
            client.ready(Interest::WRITABLE).await?;
            match client.try_send(b"ping") {
                Ok(_) => {
                    sent += 1;
                    server.recv(&mut [0; 8]).await?;
                }
                Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(
            sent, 801,
            "25 µs each, and the one that waits for the clock"
        );
        Ok(())
    });
    sim.run()
}

/// A crash loses the sockets; the ports are free after it.
#[test]
fn a_bounced_host_has_its_ports_again() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", || async {
        let socket = UdpSocket::bind("0.0.0.0:53").await?;
        loop {
            let (_, from) = socket.recv_from(&mut [0; 8]).await?;
            socket.send_to(b"pong", from).await?;
        }
    });
    for round in 0..2 {
        sim.client(format!("client-{round}"), async {
            let socket = UdpSocket::bind(ANY).await?;
            socket.send_to(b"ping", "server:53").await?;
            assert_eq!(socket.recv(&mut [0; 8]).await?, 4);
            Ok(())
        });
        sim.run()?;
        sim.bounce("server");
    }
    Ok(())
}
