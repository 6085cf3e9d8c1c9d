//! Tests on one host.

use super::pair;
use fourtuple_turmoil::net::{TcpListener, TcpSocket, TcpStream};
use fourtuple_turmoil::{BuildLinux, Linux};
use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use turmoil::Result;

/// Runs a program on a simulated host.
fn on_host(program: impl Future<Output = Result> + 'static) -> Result {
    let mut sim = turmoil::Builder::new().build_linux(Linux::default());
    sim.client("host", program);
    sim.run()
}

#[test]
fn tcp_accept_completes_handshake() -> Result {
    on_host(async {
        let listener = TcpListener::bind("127.0.0.1:7100").await?;
        let client = TcpStream::connect("127.0.0.1:7100").await?;
        let (server, peer) = listener.accept().await?;
        assert_eq!(client.peer_addr()?.port(), 7100);
        assert!(client.local_addr()?.ip().is_loopback());
        assert_eq!(peer, client.local_addr()?);
        assert_eq!(server.peer_addr()?, client.local_addr()?);
        Ok(())
    })
}

#[test]
fn tcp_roundtrip() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        let mut got = [0; 5];
        tokio::try_join!(client.write_all(b"hello"), server.read_exact(&mut got))?;
        assert_eq!(&got, b"hello");
        Ok(())
    })
}

#[test]
fn tcp_read_wakes_on_data() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        let reader = tokio::spawn(async move {
            let mut got = [0; 3];
            server.read_exact(&mut got).await.map(|_| got)
        });
        tokio::task::yield_now().await;
        client.write_all(b"hey").await?;
        assert_eq!(&reader.await??, b"hey");
        Ok(())
    })
}

/// Differs: buffers are Linux's, 256 KiB in all at first and not 128 KiB.
#[test]
fn tcp_write_backpressure() -> Result {
    const BYTES: usize = 512 * 1024;
    on_host(async {
        let (mut client, mut server) = pair().await?;
        let mut writer =
            tokio::spawn(async move { client.write_all(&vec![0; BYTES]).await.map(|()| client) });
        let early = timeout(Duration::from_millis(50), &mut writer).await;
        assert!(early.is_err(), "nothing was read yet");
        server.read_exact(&mut vec![0; BYTES]).await?;
        writer.await??;
        Ok(())
    })
}

#[test]
fn tcp_segments_respect_mss() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        let sent: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut got = vec![0; sent.len()];
        tokio::try_join!(client.write_all(&sent), server.read_exact(&mut got))?;
        assert!(got == sent, "the bytes arrive in order");
        Ok(())
    })
}

#[test]
fn tcp_graceful_close_signals_eof() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        client.write_all(b"bye").await?;
        client.shutdown().await?;
        let mut got = Vec::new();
        server.read_to_end(&mut got).await?;
        assert_eq!(got, b"bye");
        Ok(())
    })
}

/// Differs: a backlog of two has room for three, as on Linux.
#[test]
fn tcp_accept_backlog_drops_excess_syns() -> Result {
    on_host(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind("127.0.0.1:8100".parse()?)?;
        let listener = socket.listen(2)?;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpStream::connect("127.0.0.1:8100").await?);
        }
        let fourth = TcpStream::connect("127.0.0.1:8100");
        assert!(timeout(Duration::from_millis(500), fourth).await.is_err());
        listener.accept().await?;
        held.push(TcpStream::connect("127.0.0.1:8100").await?);
        Ok(())
    })
}

#[test]
fn tcp_connect_to_closed_port_is_refused() -> Result {
    on_host(async {
        let error = TcpStream::connect("127.0.0.1:9999")
            .await
            .expect_err("no listener");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        Ok(())
    })
}

#[test]
fn tcp_half_close_send_then_peer_writes_back() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        client.write_all(b"hi").await?;
        client.shutdown().await?;
        let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
        server.read_to_end(&mut at_server).await?;
        server.write_all(b"back").await?;
        server.shutdown().await?;
        client.read_to_end(&mut at_client).await?;
        assert_eq!((&at_server[..], &at_client[..]), (&b"hi"[..], &b"back"[..]));
        Ok(())
    })
}

#[test]
fn tcp_drop_with_unread_bytes_sends_rst() -> Result {
    on_host(async {
        let (client, mut server) = pair().await?;
        server.write_all(b"unread").await?;
        client.peek(&mut [0; 6]).await?;
        drop(client);
        let error = server
            .write_all(b"x")
            .await
            .expect_err("the client is gone");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        Ok(())
    })
}

#[test]
fn tcp_inbound_rst_wakes_parked_read() -> Result {
    on_host(async {
        let (client, mut server) = pair().await?;
        server.write_all(b"unread").await?;
        client.peek(&mut [0; 6]).await?;
        let read = tokio::spawn(async move { server.read(&mut [0; 4]).await });
        tokio::task::yield_now().await;
        drop(client);
        let error = read.await?.expect_err("the client is gone");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        Ok(())
    })
}

#[test]
fn tcp_stream_options_roundtrip() -> Result {
    on_host(async {
        let (client, _server) = pair().await?;
        assert_eq!(client.ttl()?, 64);
        client.set_ttl(16)?;
        assert_eq!(client.ttl()?, 16);
        assert!(!client.nodelay()?);
        client.set_nodelay(true)?;
        assert!(client.nodelay()?);
        Ok(())
    })
}

/// Differs: that test drops the other end first, which is the end of the stream here at once.
#[test]
fn tcp_try_read_would_block_on_empty() -> Result {
    on_host(async {
        let (client, server) = pair().await?;
        let error = client.try_read(&mut [0; 8]).expect_err("no bytes");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(server);
        assert_eq!(client.try_read(&mut [0; 8])?, 0);
        Ok(())
    })
}

#[test]
fn tcp_peek_leaves_data_for_read() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        client.write_all(b"PING").await?;
        let mut got = [0; 4];
        let n = server.peek(&mut got).await?;
        assert_eq!(&got[..n], b"PING");
        server.read_exact(&mut got).await?;
        assert_eq!(&got, b"PING");
        Ok(())
    })
}

#[test]
fn tcp_listener_ttl_roundtrips() -> Result {
    on_host(async {
        let listener = TcpListener::bind("127.0.0.1:7300").await?;
        assert_eq!(listener.ttl()?, 64);
        listener.set_ttl(16)?;
        assert_eq!(listener.ttl()?, 16);
        let error = listener.set_ttl(256).expect_err("a byte on the wire");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    })
}

#[test]
fn tcp_split_concurrent_read_write() -> Result {
    on_host(async {
        let (client, mut server) = pair().await?;
        let (mut reads, mut writes) = tokio::io::split(client);
        let (mut question, mut answer) = ([0; 5], [0; 3]);
        tokio::try_join!(
            reads.read_exact(&mut answer),
            writes.write_all(b"hello"),
            async {
                server.read_exact(&mut question).await?;
                server.write_all(b"hi!").await
            }
        )?;
        assert_eq!((&question, &answer), (b"hello", b"hi!"));
        Ok(())
    })
}

#[test]
fn tcp_borrowed_split() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        let (mut reads, mut writes) = client.split();
        let (mut question, mut answer) = ([0; 4], [0; 3]);
        tokio::try_join!(
            reads.read_exact(&mut answer),
            writes.write_all(b"ping"),
            async {
                server.read_exact(&mut question).await?;
                server.write_all(b"png").await
            }
        )?;
        assert_eq!(&answer, b"png");
        Ok(())
    })
}

#[test]
fn tcp_owned_split_and_reunite() -> Result {
    on_host(async {
        let (client, _server) = pair().await?;
        let (reads, writes) = client.into_split();
        let stream = reads.reunite(writes)?;
        assert_eq!(stream.peer_addr()?.port(), 7100);
        Ok(())
    })
}

#[test]
fn tcp_owned_split_reunite_mismatch_errors() -> Result {
    on_host(async {
        let ((one, _one_peer), (other, _other_peer)) = (pair().await?, pair().await?);
        let ((reads, _writes), (_reads, writes)) = (one.into_split(), other.into_split());
        let error = reads.reunite(writes).expect_err("of different streams");
        assert!(
            error.to_string().contains("not from the same socket"),
            "{error}"
        );
        Ok(())
    })
}

#[test]
fn tcp_owned_write_half_drop_shuts_down() -> Result {
    on_host(async {
        let (client, mut server) = pair().await?;
        let (_reads, writes) = client.into_split();
        drop(writes);
        assert_eq!(server.read(&mut [0; 1]).await?, 0);
        Ok(())
    })
}
