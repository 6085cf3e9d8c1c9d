//! Peers that do not answer any more.

use fourtuple_turmoil::net::{LinuxSocketExt, TcpListener, TcpSocket, TcpStream};
use fourtuple_turmoil::{BuildLinux, Linux, LinuxSim, State, ss};
use std::future::{Future, pending};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use turmoil::{Builder, Result};

const SECOND: Duration = Duration::from_secs(1);

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

const ETIMEDOUT: Option<i32> = Some(110);
const ECONNRESET: Option<i32> = Some(104);

/// A simulation with a server that keeps what it accepts, and reads it.
fn with_server<'a>(linux: Linux) -> LinuxSim<'a> {
    let mut sim = Builder::new()
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(1))
        .tick_duration(Duration::from_millis(100))
        .simulation_duration(Duration::from_secs(100_000))
        .build_linux(linux);
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let mut accepted = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await?;
            accepted.push(tokio::spawn(async move {
                while stream.read(&mut [0; 64]).await? > 0 {}
                pending::<io::Result<()>>().await
            }));
        }
    });
    sim
}

fn run(linux: Linux, client: impl Future<Output = Result> + 'static) -> Result {
    let mut sim = with_server(linux);
    sim.client("client", client);
    sim.run()
}

/// Seconds until a call ends, and its errno.
async fn timed<T>(call: impl Future<Output = io::Result<T>>) -> (u64, Option<i32>) {
    let begin = Instant::now();
    let result = call.await;
    (begin.elapsed().as_secs(), errno(result))
}

/// 2 + 4 + 8 + ... 200 ms for three retransmissions is three seconds; Linux's 15 take 924.6.
#[test]
fn tcp_retries2_gives_bytes_up() -> Result {
    let linux = Linux::default().sysctl("net.ipv4.tcp_retries2", "3")?;
    run(linux, async {
        let mut stream = TcpStream::connect("server:80").await?;
        turmoil::partition("client", "server");
        stream.write_all(b"lost").await?;
        assert_eq!(timed(stream.read(&mut [0; 1])).await, (3, ETIMEDOUT));
        assert_eq!(stream.read(&mut [0; 1]).await?, 0, "it is reported once");
        assert_eq!(errno(stream.write(b"x").await), Some(32));
        Ok(())
    })
}

#[test]
fn the_default_is_a_quarter_of_an_hour() -> Result {
    run(Linux::default(), async {
        let mut stream = TcpStream::connect("server:80").await?;
        turmoil::partition("client", "server");
        stream.write_all(b"lost").await?;
        assert_eq!(timed(stream.read(&mut [0; 1])).await, (924, ETIMEDOUT));
        Ok(())
    })
}

#[test]
fn acknowledged_bytes_are_not_given_up() -> Result {
    let linux = Linux::default().sysctl("net.ipv4.tcp_retries2", "3")?;
    run(linux, async {
        let mut stream = TcpStream::connect("server:80").await?;
        stream.write_all(b"arrives").await?;
        sleep(SECOND).await;
        turmoil::partition("client", "server");
        sleep(100 * SECOND).await;
        turmoil::repair("client", "server");
        stream.write_all(b"arrives").await?;
        stream.shutdown().await?;
        Ok(())
    })
}

#[test]
fn tcp_user_timeout_of_a_socket() -> Result {
    run(Linux::default(), async {
        let mut stream = TcpStream::connect("server:80").await?;
        let mut patient = TcpStream::connect("server:80").await?;
        stream.set_user_timeout(Some(5 * SECOND))?;
        turmoil::partition("client", "server");
        stream.write_all(b"lost").await?;
        patient.write_all(b"late").await?;
        assert_eq!(timed(stream.read(&mut [0; 1])).await, (5, ETIMEDOUT));
        turmoil::repair("client", "server");
        sleep(20 * SECOND).await;
        patient.write_all(b"more").await?;
        assert_eq!(ss("server").unwrap().count(State::Established), 2);
        Ok(())
    })
}

/// After the client has given up, its answer to the server's bytes is a reset.
#[test]
fn the_peer_of_a_connection_that_was_given_up_is_reset() -> Result {
    let mut sim = with_server(Linux::default());
    sim.host("sender", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let (mut stream, _) = listener.accept().await?;
        sleep(60 * SECOND).await;
        stream.write_all(b"hello?").await?;
        assert_eq!(errno(stream.read(&mut [0; 1]).await), ECONNRESET);
        pending().await
    });
    sim.client("client", async {
        let mut stream = TcpStream::connect("sender:80").await?;
        stream.set_user_timeout(Some(SECOND))?;
        sleep(SECOND).await;
        turmoil::partition("client", "sender");
        stream.write_all(b"lost").await?;
        assert_eq!(timed(stream.read(&mut [0; 1])).await, (1, ETIMEDOUT));
        turmoil::repair("client", "sender");
        sleep(30 * SECOND).await;
        assert_eq!(ss("sender").unwrap().count(State::Established), 1);
        sleep(60 * SECOND).await;
        assert_eq!(ss("sender").unwrap().count(State::Established), 0);
        Ok(())
    });
    sim.run()
}

/// The FIN of a socket that no program owns any more is repeated eight times.
#[test]
fn an_orphan_is_given_up_after_its_own_number_of_retries() -> Result {
    run(Linux::default(), async {
        let stream = TcpStream::connect("server:80").await?;
        turmoil::partition("client", "server");
        drop(stream);
        let waiting = || ss("client").unwrap().count(State::FinWait1);
        sleep(100 * SECOND).await;
        assert_eq!(waiting(), 1);
        sleep(3 * SECOND).await;
        assert_eq!(waiting(), 0);
        Ok(())
    })
}

#[test]
fn keepalive_ends_a_connection_to_a_silent_host() -> Result {
    run(Linux::default(), async {
        let stream = TcpStream::connect("server:80").await?;
        stream.set_keepalive_times(30 * SECOND, 10 * SECOND, 3)?;
        sleep(300 * SECOND).await;
        assert_eq!(
            errno(stream.try_read(&mut [0; 1])),
            None,
            "the server answers"
        );
        turmoil::partition("client", "server");
        let (seconds, error) = timed(stream.readable()).await;
        assert!((30..=90).contains(&seconds), "{seconds}");
        assert_eq!(error, None);
        assert_eq!(errno(stream.try_read(&mut [0; 1])), ETIMEDOUT);
        Ok(())
    })
}

#[test]
fn keepalive_has_the_times_of_the_sysctls() -> Result {
    let linux = Linux::default()
        .sysctl("net.ipv4.tcp_keepalive_time", "600")?
        .sysctl("net.ipv4.tcp_keepalive_intvl", "10")?
        .sysctl("net.ipv4.tcp_keepalive_probes", "3")?;
    run(linux, async {
        let socket = TcpSocket::new_v4()?;
        socket.set_keepalive(true)?;
        let server = turmoil::lookup("server");
        let mut stream = socket.connect((server, 80).into()).await?;
        turmoil::partition("client", "server");
        assert_eq!(timed(stream.read(&mut [0; 1])).await, (630, ETIMEDOUT));
        Ok(())
    })
}

#[test]
fn keepalive_finds_out_that_the_peer_has_rebooted() -> Result {
    let mut sim = with_server(Linux::default());
    sim.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        stream.set_keepalive_times(30 * SECOND, 10 * SECOND, 3)?;
        let (seconds, error) = timed(stream.read(&mut [0; 1])).await;
        assert_eq!(error, ECONNRESET);
        assert!((29..=31).contains(&seconds), "{seconds}");
        Ok(())
    });
    for _ in 0..20 {
        sim.step()?;
    }
    sim.bounce("server");
    sim.run()
}
