//! Tests between two hosts whose packets are lost.

use fourtuple_turmoil::net::{TcpListener, TcpStream};
use fourtuple_turmoil::{BuildLinux, Linux};
use std::future::{Future, pending};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use turmoil::{Result, partition, repair};

const TEXT: &[u8] = b"hello";

/// Runs a program that connects to a server at `server:9000`. The server sends `bytes` after a
/// second and keeps the connection.
fn with_server(bytes: &'static [u8], program: impl Future<Output = Result> + 'static) -> Result {
    let hour = Duration::from_secs(3600);
    let mut sim = turmoil::Builder::new()
        .simulation_duration(hour)
        .tick_duration(Duration::from_millis(50))
        .build_linux(Linux::default());
    sim.host("server", move || async move {
        let listener = TcpListener::bind("0.0.0.0:9000").await?;
        let (mut stream, _) = listener.accept().await?;
        sleep(Duration::from_secs(1)).await;
        stream.write_all(bytes).await?;
        pending().await
    });
    sim.client("client", program);
    sim.run()
}

/// Connects, and loses everything from half a second on, for two seconds.
async fn connect_and_lose() -> Result<TcpStream> {
    let stream = TcpStream::connect("server:9000").await?;
    sleep(Duration::from_millis(500)).await;
    partition("client", "server");
    sleep(Duration::from_secs(2)).await;
    repair("client", "server");
    Ok(stream)
}

#[test]
fn tcp_retx_recovers_from_single_segment_drop() -> Result {
    with_server(TEXT, async {
        let mut stream = connect_and_lose().await?;
        let mut got = [0; TEXT.len()];
        stream.read_exact(&mut got).await?;
        assert_eq!(got, TEXT);
        Ok(())
    })
}

#[test]
fn tcp_retx_go_back_n_recovers_multi_segment_write() -> Result {
    static LONG: [u8; 8192] = [7; 8192];
    with_server(&LONG, async {
        let mut stream = connect_and_lose().await?;
        let mut got = vec![0; LONG.len()];
        stream.read_exact(&mut got).await?;
        assert_eq!(got, LONG);
        Ok(())
    })
}

/// Differs: with Linux's 15 retransmissions, this takes a quarter of an hour.
#[test]
fn tcp_retx_exhaustion_times_out() -> Result {
    with_server(b"", async {
        let mut stream = TcpStream::connect("server:9000").await?;
        partition("client", "server");
        let error = loop {
            if let Err(error) = stream.write_all(b"x").await {
                break error;
            }
            sleep(Duration::from_secs(1)).await;
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        Ok(())
    })
}

#[test]
fn tcp_syn_retx_recovers_from_single_drop() -> Result {
    with_server(b"", async {
        partition("client", "server");
        tokio::spawn(async {
            sleep(Duration::from_millis(500)).await;
            repair("client", "server");
        });
        TcpStream::connect("server:9000").await?;
        Ok(())
    })
}

#[test]
fn tcp_syn_retx_exhaustion_times_out() -> Result {
    with_server(b"", async {
        partition("client", "server");
        let error = TcpStream::connect("server:9000")
            .await
            .expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        Ok(())
    })
}
