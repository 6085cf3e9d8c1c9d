//! Connecting, listening, and port exhaustion.

use super::{PORT, assert_error_kind, bind, bind_to_v4};
use fourtuple_turmoil::net::{TcpListener, TcpSocket, TcpStream};
use fourtuple_turmoil::{BuildLinux, Linux};
use std::future;
use std::io;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use turmoil::{Builder, Result};

// Differs: turmoil refuses at once. Linux retransmits the SYN: the first retransmission after the
// repair is answered, and after the last one connect() fails.
#[test]
fn network_partitions_during_connect() -> Result {
    let mut sim = Builder::new()
        .simulation_duration(Duration::from_secs(200))
        .build_linux(Linux::default());

    sim.host("server", || async {
        let listener = bind().await?;
        loop {
            let _ = listener.accept().await;
        }
    });

    sim.client("client", async {
        turmoil::partition("client", "server");

        let start = turmoil::elapsed();
        assert_error_kind(
            TcpStream::connect(("server", PORT)).await,
            ErrorKind::TimedOut,
        );
        assert!((turmoil::elapsed() - start).as_secs() > 60);

        let connect = tokio::spawn(TcpStream::connect(("server", PORT)));
        tokio::time::sleep(Duration::from_millis(500)).await;
        turmoil::repair("client", "server");
        let start = turmoil::elapsed();
        connect.await??;
        assert!(turmoil::elapsed() - start < Duration::from_secs(1));

        turmoil::hold("client", "server");

        assert!(
            timeout(Duration::from_secs(1), TcpStream::connect(("server", PORT)))
                .await
                .is_err()
        );

        Ok(())
    });

    sim.run()
}

#[test]
fn ephemeral_port() -> Result {
    let mut sim = Builder::new().build_linux(Linux::default());

    sim.client("client", async {
        let sock = bind_to_v4(0).await?;

        assert_ne!(sock.local_addr()?.port(), 0);
        // Differs: Linux's range.
        assert!((32768..=60999).contains(&sock.local_addr()?.port()));

        Ok(())
    });

    sim.run()
}

#[test]
fn release_bind_on_drop() -> Result {
    let mut sim = Builder::new().build_linux(Linux::default());

    sim.client("client", async {
        let sock = bind_to_v4(4555).await.unwrap();

        tokio::time::sleep(Duration::from_secs(1)).await;

        drop(sock);

        let _sock = bind_to_v4(4555).await.unwrap();

        Ok(())
    });

    sim.run()
}

#[test]
fn ephemeral_port_does_not_leak_on_server_shutdown() -> Result {
    let mut sim = Builder::new()
        .simulation_duration(Duration::from_secs(120))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(1))
        .build_linux(Linux::default());

    sim.host("server", || async {
        let listener = bind().await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let (_, mut write) = stream.into_split();
            write.shutdown().await?;
        }
    });

    sim.client("client", async {
        for _ in 49152..=(65535 + 1) {
            let mut stream = TcpStream::connect(("server", PORT)).await?;
            let _ = stream.read_u8().await;
        }

        Ok(())
    });

    sim.run()
}

#[test]
fn ephemeral_port_does_not_leak_on_client_shutdown() -> Result {
    let mut sim = Builder::new()
        .simulation_duration(Duration::from_secs(120))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(1))
        .build_linux(Linux::default());

    sim.host("server", || async {
        let listener = bind().await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            let _ = stream.read_u8().await;
        }
    });

    sim.client("client", async {
        for _ in 49152..=(65535 + 1) {
            let stream = TcpStream::connect(("server", PORT)).await?;
            let (_, mut write) = stream.into_split();
            write.shutdown().await?;
        }

        Ok(())
    });

    sim.run()
}

#[test]
fn client_hangup_on_connect() -> Result {
    let mut sim = Builder::new().build_linux(Linux::default());

    let timeout_secs = 1;

    sim.client("server", async move {
        let listener = bind().await?;

        assert!(
            timeout(Duration::from_secs(timeout_secs * 2), listener.accept())
                .await
                .is_err()
        );

        Ok(())
    });

    sim.client("client", async move {
        turmoil::hold("client", "server");

        assert!(
            timeout(
                Duration::from_secs(timeout_secs),
                TcpStream::connect(("server", PORT))
            )
            .await
            .is_err()
        );

        turmoil::release("client", "server");

        Ok(())
    });

    sim.run()
}

#[test]
fn accept_front_of_line_blocking() -> Result {
    let wait = Rc::new(Notify::new());
    let notify = wait.clone();

    let mut sim = Builder::new().build_linux(Linux::default());

    // We setup the simulation with hosts A, B, and C

    sim.host("B", || async {
        let listener = bind().await?;

        while let Ok((_, peer)) = listener.accept().await {
            tracing::debug!("peer {}", peer);
        }

        Ok(())
    });

    // Hold all traffic from A:B
    sim.client("A", async move {
        turmoil::hold("A", "B");

        assert!(
            timeout(Duration::from_secs(1), TcpStream::connect(("B", PORT)))
                .await
                .is_err()
        );
        notify.notify_one();

        Ok(())
    });

    // C:B should succeed, and should not be blocked behind the A:B, which is
    // not eligible for delivery
    sim.client("C", async move {
        wait.notified().await;

        let _ = TcpStream::connect(("B", PORT)).await?;

        Ok(())
    });

    sim.run()
}

// Differs: the kernel completes the handshake before accept(), so the connects succeed; the server
// finds the connections closed.
#[test]
fn accept_front_of_line_dropped() -> Result {
    let wait = Rc::new(Notify::new());
    let notify = wait.clone();

    let mut sim = Builder::new()
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::ZERO)
        .build_linux(Linux::default());

    sim.host("server", move || {
        let wait = Rc::clone(&wait);
        async move {
            let listener = bind().await?;
            wait.notified().await;

            for _ in 0..5 {
                let (mut s, _) = listener.accept().await?;
                assert_eq!(0, s.read(&mut [0; 8]).await?);
            }
            let (mut s, _) = listener.accept().await?;
            s.write_u8(1).await?;

            future::pending().await
        }
    });

    sim.client("client", async move {
        for _ in 0..5 {
            TcpStream::connect(("server", PORT)).await?;
        }

        notify.notify_one();
        let mut s = TcpStream::connect(("server", PORT)).await?;
        assert_eq!(1, s.read_u8().await?);

        Ok(())
    });

    sim.run()
}

#[test]
fn drop_listener() -> Result {
    let how_many_conns = 3;

    let wait = Rc::new(Notify::new());
    let notify = wait.clone();

    let mut sim = Builder::new().build_linux(Linux::default());

    sim.host("server", || {
        let notify = notify.clone();

        async move {
            let listener = bind().await?;

            for _ in 0..how_many_conns {
                let (mut s, _) = listener.accept().await?;
                tokio::spawn(async move {
                    while let Ok(how_many) = s.read_u8().await {
                        for i in 0..how_many {
                            let _ = s.write_u8(i).await;
                        }
                    }
                });
            }

            drop(listener);
            notify.notify_one();

            future::pending().await
        }
    });

    sim.client("client", async move {
        let mut conns = vec![];

        for _ in 0..how_many_conns {
            let s = TcpStream::connect(("server", 1738)).await?;
            conns.push(s);
        }

        wait.notified().await;

        for mut s in conns {
            let how_many = 3;
            let _ = s.write_u8(how_many).await;

            for i in 0..how_many {
                assert_eq!(i, s.read_u8().await?);
            }
        }

        assert_error_kind(
            TcpStream::connect(("server", 1738)).await,
            io::ErrorKind::ConnectionRefused,
        );

        Ok(())
    });

    sim.run()
}

#[test]
fn drop_listener_with_non_empty_queue() -> Result {
    let how_many_conns = 3;

    let notify = Rc::new(Notify::new());
    let wait = notify.clone();

    let tick = Duration::from_millis(10);
    let mut sim = Builder::new()
        .tick_duration(tick)
        .build_linux(Linux::default());

    sim.host("server", || {
        let wait = wait.clone();

        async move {
            let listener = bind().await?;
            wait.notified().await;
            drop(listener);
            future::pending().await
        }
    });

    sim.client("client", async move {
        let mut conns = vec![];

        for _ in 0..how_many_conns {
            conns.push(tokio::task::spawn_local(TcpStream::connect((
                "server", PORT,
            ))));
        }

        tokio::time::sleep(Duration::from_secs(1)).await;
        notify.notify_one();

        // Differs: they are connected and wait to be accepted, so they are reset.
        for fut in conns {
            let mut s = fut.await??;
            assert_error_kind(s.read_u8().await, ErrorKind::ConnectionReset);
        }

        Ok(())
    });

    sim.run()
}

#[test]
fn recycle_server_socket_bind() -> Result {
    let mut sim = Builder::new().build_linux(Linux::default());

    sim.client("server", async {
        for _ in 0..3 {
            let _ = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), 1234)).await?;
        }

        Ok(())
    });

    sim.run()
}

#[test]
fn bind_addr_in_use() -> Result {
    let mut sim = Builder::new().build_linux(Linux::default());

    let (release, wait) = oneshot::channel();
    sim.client("server", async move {
        let listener = TcpListener::bind(("0.0.0.0", 80)).await?;
        let result = TcpListener::bind(("0.0.0.0", 80)).await;
        assert_error_kind(result, io::ErrorKind::AddrInUse);

        release.send(()).expect("Receiver closed");
        listener.accept().await?;

        Ok(())
    });
    sim.client("client", async move {
        wait.await.expect("Sender dropped");
        TcpStream::connect("server:80").await?;
        Ok(())
    });

    sim.run()
}

// Differs: turmoil panics when the queue of a listener is full. On Linux the SYN is dropped, and
// retransmitted after a second.
#[test]
fn socket_capacity() -> Result {
    let mut sim = Builder::new()
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(1))
        .tcp_capacity(1)
        .build_linux(Linux::default());

    sim.host("server", || async {
        let socket = TcpSocket::new_v4()?;
        socket.bind("0.0.0.0:80".parse()?)?;
        // Linux queues one connection more than the backlog.
        let l = socket.listen(0)?;
        tokio::time::sleep(Duration::from_millis(500)).await;

        loop {
            _ = l.accept().await?;
        }
    });

    sim.client("client1", async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        _ = TcpStream::connect("server:80").await?;
        assert!(turmoil::elapsed() < Duration::from_millis(100));
        Ok(())
    });

    sim.client("client2", async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        _ = TcpStream::connect("server:80").await?;
        assert!(turmoil::elapsed() > Duration::from_secs(1));
        Ok(())
    });

    sim.run()
}

#[test]
fn socket_to_nonexistent_node() -> Result {
    let mut sim = Builder::new()
        .simulation_duration(Duration::from_secs(200))
        .build_linux(Linux::default());
    sim.client("client", async move {
        assert_eq!(turmoil::lookup("client"), Ipv4Addr::new(192, 168, 0, 1));
        let sock = TcpStream::connect("192.168.0.2:80").await;
        assert!(
            sock.is_err(),
            "Send operation should have failed, since node does not exist"
        );

        let err = sock.unwrap_err();
        // Differs: no host exists that could refuse.
        assert_eq!(err.kind(), ErrorKind::TimedOut);

        Ok(())
    });
    sim.run()
}

// Differs: turmoil panics.
#[test]
fn exhaust_ephemeral_ports() -> Result {
    let linux = Linux::default().sysctl("net.ipv4.ip_local_port_range", "49152 49161")?;
    let mut sim = Builder::new()
        .tick_duration(Duration::from_millis(1))
        .build_linux(linux);

    sim.client("localhost", async {
        let l = TcpListener::bind("127.0.0.1:1738").await?;
        tokio::spawn(async move {
            loop {
                let (mut s, _) = l.accept().await.unwrap();
                tokio::spawn(async move {
                    _ = s.read_u8().await;
                });
            }
        });

        let mut socks = vec![];
        let error = loop {
            match TcpStream::connect("127.0.0.1:1738").await {
                Ok(sock) => socks.push(sock),
                Err(error) => break error,
            }
        };
        assert_eq!(10, socks.len());
        assert_eq!(ErrorKind::AddrNotAvailable, error.kind());
        Ok(())
    });

    sim.run()
}

#[test]
fn remote_to_localhost_refused() -> Result {
    let mut sim = Builder::new().build_linux(Linux::default());

    let (stop, wait) = oneshot::channel();
    sim.client("server", async move {
        let bind_addr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1234);
        let _listener = TcpListener::bind(bind_addr).await?;
        wait.await.unwrap();
        Ok(())
    });

    sim.client("client", async move {
        let result = TcpStream::connect(("server", 1234)).await;
        assert_error_kind(result, io::ErrorKind::ConnectionRefused);
        stop.send(()).unwrap();
        Ok(())
    });

    sim.run()
}
