//! A host whose software has ended keeps its kernel.

use fourtuple_turmoil::net::{TcpListener, TcpSocket, TcpStream};
use fourtuple_turmoil::{BuildLinux, Errno, Linux, State, ss};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use turmoil::{Builder, Result};

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .rng_seed(1)
        .simulation_duration(Duration::from_secs(300));
    builder
}

/// A listener without `SO_REUSEADDR`, which any remains of a connection would refuse.
fn open() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("0.0.0.0:80".parse().unwrap())?;
    socket.listen(10)
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn in_state(host: &str, state: State) -> usize {
    let all = ss(host).expect("the host runs");
    all.sockets.iter().filter(|one| one.state == state).count()
}

#[test]
fn its_kernel_acknowledges_fins_and_keeps_the_time_wait_sockets() -> Result {
    let mut sim = builder().build_linux(Linux::default());
    sim.host("server", || async {
        let listener = open()?;
        let (mut stream, _) = listener.accept().await?;
        // The client closes first, and its software ends.
        while stream.read(&mut [0; 9]).await? > 0 {}
        drop(stream);
        drop(listener);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(in_state("server", State::LastAck), 0);
        open()?;
        assert_eq!(in_state("client", State::TimeWait), 1);
        sleep(Duration::from_secs(62)).await;
        assert_eq!(in_state("client", State::TimeWait), 0);
        Ok(())
    });
    sim.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        stream.write_all(b"x").await?;
        Ok(())
    });
    sim.client("watch", async {
        sleep(Duration::from_secs(70)).await;
        Ok(())
    });
    sim.run()
}

#[test]
fn its_kernel_refuses_connections() -> Result {
    let mut sim = builder().build_linux(Linux::default());
    sim.host("server", || async {
        TcpListener::bind("0.0.0.0:80").await?;
        Ok(())
    });
    sim.client("early", async { Ok(()) });
    sim.client("client", async {
        sleep(Duration::from_secs(1)).await;
        for host in ["server:80", "early:80"] {
            let start = Instant::now();
            let refused = errno(TcpStream::connect(host).await);
            assert_eq!(refused, Some(Errno::ECONNREFUSED.number()), "{host}");
            assert!(start.elapsed() < Duration::from_secs(1), "{host}");
        }
        Ok(())
    });
    sim.run()?;
    assert!(!sim.is_host_running("server"));
    Ok(())
}

#[test]
fn its_sockets_are_closed_and_its_tasks_make_no_calls_any_more() -> Result {
    let mut sim = builder().build_linux(Linux::default());
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        // A loop over errors would not end if the task went on.
        tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    drop(stream);
                }
            }
        });
        sleep(Duration::from_secs(2)).await;
        Ok(())
    });
    sim.client("client", async {
        assert_eq!(errno(TcpStream::connect("server:80").await), None);
        sleep(Duration::from_secs(3)).await;
        let refused = errno(TcpStream::connect("server:80").await);
        assert_eq!(refused, Some(Errno::ECONNREFUSED.number()));
        Ok(())
    });
    sim.run()
}

#[test]
fn the_simulation_ends_with_the_last_client() -> Result {
    let mut sim = builder().build_linux(Linux::default());
    for seconds in [1, 3, 2] {
        sim.client(format!("client-{seconds}"), async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok(())
        });
    }
    sim.run()?;
    let elapsed = sim.elapsed();
    assert!(elapsed >= Duration::from_secs(3), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(3_010), "{elapsed:?}");
    Ok(())
}

#[test]
fn an_error_of_a_client_ends_the_simulation_at_once() {
    let mut sim = builder().build_linux(Linux::default());
    sim.client("first", async { Ok(()) });
    sim.client("second", async { Err("broken".into()) });
    sim.client("third", std::future::pending());
    assert_eq!(sim.run().unwrap_err().to_string(), "broken");
    assert!(sim.elapsed() < Duration::from_millis(10));
}

#[test]
fn a_host_boots_again_after_its_software_has_ended() -> Result {
    let mut sim = builder().build_linux(Linux::default());
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"x").await?;
        Ok(())
    });
    let received = Rc::new(Cell::new(0));
    let count = Rc::clone(&received);
    sim.client("client", async move {
        while count.get() < 2 {
            match TcpStream::connect("server:80").await {
                Ok(mut stream) => {
                    assert_eq!(stream.read_u8().await?, b'x');
                    count.set(count.get() + 1);
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
        Ok(())
    });
    let mut bounced = false;
    while !sim.step()? {
        if received.get() == 1 && !bounced && !sim.is_host_running("server") {
            bounced = true;
            sim.bounce("server");
            assert!(sim.is_host_running("server"));
        }
    }
    Ok(())
}
