//! The loopback interface lets time pass.

use fourtuple_turmoil::net::{TcpListener, TcpStream};
use fourtuple_turmoil::{BuildLinux, Errno, Linux};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use turmoil::{Builder, Result};

/// The number of requests over 127.0.0.1 in one second.
fn pings(linux: Linux) -> u32 {
    let mut sim = Builder::new().rng_seed(1).build_linux(linux);
    let made = Rc::new(Cell::new(0));
    let count = Rc::clone(&made);
    sim.client("host", async move {
        let listener = TcpListener::bind("127.0.0.1:80").await?;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            while let Ok(byte) = stream.read_u8().await {
                stream.write_u8(byte).await?;
            }
            std::io::Result::Ok(())
        });
        let mut stream = TcpStream::connect("127.0.0.1:80").await?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            stream.write_u8(7).await?;
            assert_eq!(stream.read_u8().await?, 7);
            count.set(count.get() + 1);
        }
        Ok(())
    });
    sim.run().expect("the simulation ends");
    made.get()
}

#[test]
fn a_loop_of_requests_ends() {
    let default = pings(Linux::default());
    assert!((19_000..=21_000).contains(&default), "{default}");
}

#[test]
fn its_time_is_a_setting() {
    let slow = pings(Linux::default().loopback(Duration::from_millis(5)));
    assert!((95..=105).contains(&slow), "{slow}");
}

#[test]
fn a_loop_of_refused_connects_ends() -> Result {
    let mut sim = Builder::new().rng_seed(1).build_linux(Linux::default());
    sim.client("host", async {
        tokio::spawn(async {
            sleep(Duration::from_millis(100)).await;
            let listener = TcpListener::bind("127.0.0.1:80").await?;
            listener.accept().await
        });
        let mut refused = 0;
        while let Err(error) = TcpStream::connect("127.0.0.1:80").await {
            assert_eq!(error.raw_os_error(), Some(Errno::ECONNREFUSED.number()));
            refused += 1;
        }
        assert!((1_500..=2_500).contains(&refused), "{refused}");
        Ok(())
    });
    sim.run()
}
