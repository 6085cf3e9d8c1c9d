//! Datagrams between two hosts.

use super::{PORT, SECOND, answer_pings, bind, is_silent, ping, pong, receive, sim};
use fourtuple_turmoil::{BuildLinux, Linux};
use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;
use turmoil::{Builder, Result};

#[test]
fn ping_pong() -> Result {
    let mut sim = sim();
    sim.host("server", || answer_pings(|_| {}));
    sim.client("client", async {
        let socket = bind(PORT).await?;
        ping(&socket).await?;
        Ok(pong(&socket).await?)
    });
    sim.run()
}

#[test]
fn ephemeral_port() -> Result {
    let mut sim = sim();
    sim.client("client", async {
        let port = bind(0).await?.local_addr()?.port();
        // Differs: Linux's range, and a port that depends on the seed.
        assert!((32_768..=60_999).contains(&port), "{port}");
        Ok(())
    });
    sim.run()
}

#[test]
fn try_ping_pong() -> Result {
    let mut sim = sim();
    sim.client("server", async {
        let socket = bind(PORT).await?;
        let mut bytes = [0; 8];
        let early = socket.try_recv_from(&mut bytes).unwrap_err();
        assert_eq!(early.kind(), ErrorKind::WouldBlock);
        socket.readable().await?;
        let (len, from) = socket.try_recv_from(&mut bytes)?;
        assert_eq!(bytes[..len], *b"ping");
        socket.writable().await?;
        socket.try_send_to(b"pong", from)?;
        Ok(())
    });
    sim.client("client", async {
        let socket = bind(PORT).await?;
        socket.writable().await?;
        socket.try_send_to(b"ping", ("server", PORT))?;
        socket.readable().await?;
        let mut bytes = [0; 8];
        assert_eq!(socket.try_recv(&mut bytes)?, 4);
        assert_eq!(bytes[..4], *b"pong");
        Ok(())
    });
    sim.run()
}

#[test]
fn recv_buf_is_clipped() -> Result {
    let mut sim = sim();
    sim.client("server", async {
        let socket = bind(PORT).await?;
        let mut bytes = [0; 5];
        assert_eq!(socket.recv(&mut bytes).await?, 5);
        assert_eq!(bytes, *b"first");
        // The rest is gone.
        assert_eq!(socket.recv(&mut bytes).await?, 4);
        assert_eq!(bytes[..4], *b"next");
        Ok(())
    });
    sim.client("client", async {
        let socket = bind(0).await?;
        socket.send_to(b"first, and more", ("server", PORT)).await?;
        sleep(SECOND).await;
        socket.send_to(b"next", ("server", PORT)).await?;
        Ok(())
    });
    sim.run()
}

#[test]
fn hold_and_release() -> Result {
    let mut sim = sim();
    sim.host("server", || answer_pings(|_| {}));
    sim.client("client", async {
        turmoil::hold("client", "server");
        let socket = bind(PORT).await?;
        ping(&socket).await?;
        assert!(is_silent(pong(&socket)).await);
        turmoil::release("client", "server");
        Ok(pong(&socket).await?)
    });
    sim.run()
}

#[test]
fn network_partition() -> Result {
    let mut sim = sim();
    sim.host("server", || answer_pings(|_| {}));
    sim.client("client", async {
        turmoil::partition("client", "server");
        let socket = bind(PORT).await?;
        ping(&socket).await?;
        assert!(is_silent(pong(&socket)).await);
        turmoil::repair("client", "server");
        assert!(is_silent(pong(&socket)).await, "nothing is sent again");
        Ok(())
    });
    sim.run()
}

#[test]
fn bounce() -> Result {
    let seen = Rc::new(Cell::new(0));
    let mut sim = sim();
    sim.host("server", || {
        let seen = Rc::clone(&seen);
        answer_pings(move |count| seen.set(count))
    });
    for n in 0..3 {
        sim.client(format!("client-{n}"), async move {
            let socket = bind(PORT + n).await?;
            ping(&socket).await?;
            Ok(pong(&socket).await?)
        });
        sim.run()?;
        assert_eq!(seen.get(), 1, "each boot counts from one");
        sim.bounce("server");
    }
    Ok(())
}

#[test]
fn bulk_transfer() -> Result {
    /// Datagrams of this size that wait in a receive buffer.
    const QUEUE: usize = 256;
    let latency = Duration::from_millis(1);
    let mut sim = Builder::new()
        .min_message_latency(latency)
        .max_message_latency(latency)
        .build_linux(Linux::default());
    sim.client("server", async {
        let socket = bind(123).await?;
        for _ in 0..10 {
            sleep(SECOND / 10).await;
            let mut received = 0;
            while socket.try_recv(&mut [0; 8]).is_ok() {
                received += 1;
            }
            // Differs: Linux's receive buffer, and not udp_capacity, bounds what waits.
            assert_eq!(received, QUEUE);
        }
        Ok(())
    });
    sim.client("client", async {
        let socket = bind(456).await?;
        for _ in 0..10 {
            for _ in 0..2 * QUEUE {
                socket.send_to(b"ping", ("server", 123)).await?;
            }
            sleep(SECOND / 10).await;
        }
        Ok(())
    });
    sim.run()
}

#[test]
fn bind_addr_in_use() -> Result {
    let mut sim = sim();
    let (release, wait) = oneshot::channel();
    sim.client("server", async {
        let socket = bind(80).await?;
        assert_eq!(bind(80).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        release.send(()).expect("the client waits");
        receive(&socket).await?;
        Ok(())
    });
    sim.client("client", async {
        wait.await?;
        bind(0).await?.send_to(&[0], ("server", 80)).await?;
        Ok(())
    });
    sim.run()
}

#[test]
fn socket_capacity() -> Result {
    let latency = Duration::from_millis(1);
    let mut sim = Builder::new()
        .min_message_latency(latency)
        .max_message_latency(latency)
        .udp_capacity(1)
        .build_linux(Linux::default());
    let (sent, all) = oneshot::channel();
    sim.client("server", async {
        let socket = bind(PORT).await?;
        all.await?;
        receive(&socket).await?;
        // Differs: udp_capacity does not bound Linux's sockets, so that nothing is lost.
        receive(&socket).await?;
        assert!(is_silent(receive(&socket)).await);
        Ok(())
    });
    sim.client("client", async {
        let socket = bind(PORT).await?;
        ping(&socket).await?;
        ping(&socket).await?;
        sent.send(()).expect("the server waits");
        Ok(())
    });
    sim.run()
}

#[test]
fn socket_to_nonexistent_node() -> Result {
    let mut sim = sim();
    sim.client("client", async {
        let socket = bind(0).await?;
        // Differs: the datagram is lost on the network, which no call reports.
        assert_eq!(socket.send_to(b"hello", "192.168.0.2:80").await?, 5);
        assert!(is_silent(receive(&socket)).await);
        assert_eq!(socket.send_to(b"hello", "192.168.0.2:80").await?, 5);
        Ok(())
    });
    sim.run()
}

/// A server whose `connect` names the peer to receive from, and a datagram of `sender`.
fn from_sender(connect: Option<(&'static str, u16)>, arrives: bool) -> Result {
    let mut sim = sim();
    sim.client("server", async move {
        let socket = bind(1234).await?;
        if let Some(peer) = connect {
            socket.connect(peer).await?;
        }
        if !arrives {
            assert!(is_silent(socket.readable()).await);
            return Ok(());
        }
        socket.readable().await?;
        let mut bytes = [0; 3];
        assert_eq!(socket.try_recv(&mut bytes)?, 3);
        assert_eq!(bytes, [1, 2, 3]);
        Ok(())
    });
    sim.client("sender", async {
        let socket = bind(5678).await?;
        // The server has to be ready.
        sleep(SECOND / 10).await;
        socket.send_to(&[1, 2, 3], ("server", 1234)).await?;
        Ok(())
    });
    sim.client("other", async {
        bind(6789).await?;
        Ok(())
    });
    sim.run()
}

#[test]
fn try_recv_not_connected() -> Result {
    from_sender(None, true)
}

#[test]
fn try_recv_connected() -> Result {
    from_sender(Some(("sender", 5678)), true)
}

#[test]
fn try_recv_connected_wrong_host() -> Result {
    from_sender(Some(("other", 6789)), false)
}
