//! The effect of crashes, partitions and the order of closes on ports.

use fourtuple_turmoil::net::{TcpListener, TcpSocket, TcpStream};
use fourtuple_turmoil::{
    BuildLinux, ConfigError, Errno, Linux, LinuxSim, State, explain_last_error, ss,
};
use std::future::pending;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use turmoil::{Builder, Result};

const SECOND: Duration = Duration::from_secs(1);

fn sim<'a>(linux: Linux) -> LinuxSim<'a> {
    Builder::new()
        .rng_seed(1)
        .simulation_duration(Duration::from_secs(600))
        .min_message_latency(Duration::from_millis(2))
        .max_message_latency(Duration::from_millis(2))
        .build_linux(linux)
}

fn four_ports() -> Linux {
    Linux::default()
        .sysctl("net.ipv4.ip_local_port_range", "40000 40003")
        .unwrap()
}

/// Accepts every connection and keeps it.
async fn keeper() -> Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    let mut kept = Vec::new();
    loop {
        kept.push(listener.accept().await?);
    }
}

/// Reads every connection to its end, then closes it.
async fn reader() -> Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move { while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {} });
    }
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

#[test]
fn without_linux_the_error_says_what_to_do() -> Result {
    let mut sim = Builder::new().build();
    sim.client("plain", async {
        let error = TcpStream::connect("127.0.0.1:80").await.unwrap_err();
        assert!(error.to_string().contains("build_linux"), "{error}");
        Ok(())
    });
    sim.run()
}

#[test]
fn invalid_configurations_are_errors() {
    assert!(matches!(
        Linux::kernel("linux-1.0"),
        Err(ConfigError::Kernel(_))
    ));
    let refused = Linux::default()
        .sysctl("net.ipv4.ip_local_port_range", "9 8")
        .unwrap_err();
    assert!(
        matches!(
            refused,
            ConfigError::Sysctl {
                errno: Errno::EINVAL,
                ..
            }
        ),
        "{refused}"
    );
    let unknown = Linux::kernel("rhel-6.5")
        .unwrap()
        .sysctl("net.ipv4.tcp_tw_reuse_delay", "1")
        .unwrap_err();
    assert!(
        matches!(
            unknown,
            ConfigError::Sysctl {
                errno: Errno::ENOENT,
                ..
            }
        ),
        "{unknown}"
    );
}

#[test]
fn unanswered_syns_exhaust_the_range() -> Result {
    let mut sim = sim(four_ports());
    sim.host("server", keeper);
    sim.client("client", async {
        turmoil::partition("client", "server");
        for _ in 0..4 {
            tokio::spawn(TcpStream::connect("server:80"));
        }
        sleep(SECOND).await;
        assert_eq!(ss("client")?.count(State::SynSent), 4, "{}", ss("client")?);
        // No port is left towards that server, although no connection exists.
        assert_eq!(
            errno(TcpStream::connect("server:80").await),
            Some(Errno::EADDRNOTAVAIL.number())
        );
        let why = explain_last_error().expect("a call has failed").to_string();
        assert!(why.contains("4 tuple-in-use"), "{why}");
        sleep(200 * SECOND).await;
        assert_eq!(ss("client")?.sockets, Vec::new(), "all have given up");
        Ok(())
    });
    sim.run()
}

#[test]
fn syn_retries_decide_how_long_a_connect_takes() -> Result {
    let mut sim = sim(Linux::kernel("linux-5.10")?.sysctl("net.ipv4.tcp_syn_retries", "2")?);
    sim.host("server", keeper);
    sim.client("client", async {
        turmoil::hold("client", "server");
        let start = turmoil::elapsed();
        assert_eq!(
            errno(TcpStream::connect("server:80").await),
            Some(Errno::ETIMEDOUT.number())
        );
        // One second, two, four.
        assert_eq!((turmoil::elapsed() - start).as_secs(), 7);
        Ok(())
    });
    sim.run()
}

#[test]
fn refused_and_reset() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let (stream, _) = listener.accept().await?;
        stream.set_zero_linger()?;
        drop(stream);
        pending().await
    });
    sim.client("client", async {
        assert_eq!(
            errno(TcpStream::connect("server:81").await),
            Some(Errno::ECONNREFUSED.number())
        );
        let mut stream = TcpStream::connect("server:80").await?;
        assert_eq!(
            errno(stream.read_u8().await),
            Some(Errno::ECONNRESET.number())
        );
        assert_eq!(errno(stream.write_u8(1).await), Some(Errno::EPIPE.number()));
        for host in ["client", "server"] {
            assert_eq!(ss(host)?.count(State::TimeWait), 0, "{}", ss(host)?);
        }
        Ok(())
    });
    sim.run()
}

#[test]
fn the_end_that_closes_first_has_the_time_wait() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", reader);
    sim.client("client", async {
        drop(TcpStream::connect("server:80").await?);
        sleep(SECOND).await;
        assert_eq!(ss("client")?.count(State::TimeWait), 1, "{}", ss("client")?);
        assert_eq!(ss("server")?.count(State::TimeWait), 0);
        sleep(60 * SECOND).await;
        assert_eq!(ss("client")?.sockets.len(), 0, "{}", ss("client")?);
        Ok(())
    });
    sim.run()
}

#[test]
fn half_close_and_the_order_of_fins() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let (mut stream, _) = listener.accept().await?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        sleep(SECOND).await;
        stream.write_all(&all).await?;
        drop(stream);
        pending().await
    });
    sim.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        stream.write_all(&[7; 100_000]).await?;
        stream.shutdown().await?;
        sleep(SECOND / 2).await;
        assert_eq!(ss("client")?.count(State::FinWait2), 1, "{}", ss("client")?);
        assert_eq!(ss("server")?.count(State::CloseWait), 1);
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await?;
        assert_eq!(back, vec![7; 100_000]);
        drop(stream);
        assert_eq!(ss("client")?.count(State::TimeWait), 1);
        Ok(())
    });
    sim.run()
}

#[test]
fn a_crash_leaves_the_peer_its_sockets_and_no_time_wait() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", keeper);
    sim.host("client", || async {
        let mut stream = TcpStream::connect("server:80").await?;
        stream.write_u8(1).await?;
        pending().await
    });
    sim.client("watch", async {
        sleep(20 * SECOND).await;
        Ok(())
    });
    for _ in 0..1000 {
        sim.step()?;
    }
    assert_eq!(sim.ss("client")?.count(State::Established), 1);
    sim.crash("client");
    assert_eq!(sim.ss("client")?.sockets, Vec::new());
    for _ in 0..1000 {
        sim.step()?;
    }
    assert_eq!(
        sim.ss("server")?.count(State::Established),
        1,
        "{}",
        sim.ss("server")?
    );
    // It reboots with an empty port table and connects again; the old connection stays.
    sim.bounce("client");
    for _ in 0..1000 {
        sim.step()?;
    }
    assert_eq!(sim.ss("client")?.sockets.len(), 1, "{}", sim.ss("client")?);
    assert_eq!(
        sim.ss("server")?.count(State::Established),
        2,
        "{}",
        sim.ss("server")?
    );
    Ok(())
}

#[test]
fn a_restarted_host_resets_unknown_connections() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", keeper);
    sim.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        sleep(3 * SECOND).await;
        stream.write_u8(1).await?;
        assert_eq!(
            errno(stream.read_u8().await),
            Some(Errno::ECONNRESET.number())
        );
        Ok(())
    });
    for _ in 0..1000 {
        sim.step()?;
    }
    sim.bounce("server");
    sim.run()
}

#[test]
fn a_partition_during_close_keeps_the_port_until_the_repair() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", reader);
    sim.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        stream.write_u8(1).await?;
        sleep(SECOND).await;
        turmoil::partition("client", "server");
        drop(stream);
        sleep(20 * SECOND).await;
        assert_eq!(ss("client")?.count(State::FinWait1), 1, "{}", ss("client")?);
        turmoil::repair("client", "server");
        sleep(30 * SECOND).await;
        assert_eq!(ss("client")?.count(State::TimeWait), 1, "{}", ss("client")?);
        assert_eq!(ss("server")?.count(State::Established), 0);
        Ok(())
    });
    sim.run()
}

#[test]
fn bytes_survive_a_partition() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let (mut stream, _) = listener.accept().await?;
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await?;
        pending().await
    });
    sim.client("client", async {
        let mut stream = TcpStream::connect("server:80").await?;
        let sent: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let mut back = vec![0; sent.len()];
        for (n, (chunk, out)) in sent.chunks(1000).zip(back.chunks_mut(1000)).enumerate() {
            if n % 3 == 1 {
                turmoil::partition("client", "server");
            }
            stream.write_all(chunk).await?;
            sleep(SECOND / 10).await;
            turmoil::repair("client", "server");
            stream.read_exact(out).await?;
        }
        assert_eq!(back, sent);
        Ok(())
    });
    sim.run()
}

#[test]
fn lossy_networks_are_slow_and_correct() -> Result {
    let mut sim = Builder::new()
        .rng_seed(3)
        .simulation_duration(Duration::from_secs(600))
        .fail_rate(0.05)
        .build_linux(Linux::default());
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    sim.client("client", async {
        for n in 0..50 {
            let mut stream = TcpStream::connect("server:80").await?;
            stream.write_u32(n).await?;
            assert_eq!(stream.read_u32().await?, n);
        }
        Ok(())
    });
    sim.run()
}

#[test]
fn a_burst_beyond_the_backlog_loses_no_bytes() -> Result {
    let mut sim = sim(Linux::default());
    sim.host("server", || async {
        let socket = TcpSocket::new_v4()?;
        socket.bind("0.0.0.0:80".parse()?)?;
        let listener = socket.listen(4)?;
        loop {
            sleep(SECOND / 100).await;
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let byte = stream.read_u8().await?;
                stream.write_u8(byte).await
            });
        }
    });
    sim.client("client", async {
        let mut tasks = Vec::new();
        for n in 0..100 {
            tasks.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect("server:80").await?;
                stream.write_u8(n).await?;
                assert_eq!(stream.read_u8().await?, n);
                io::Result::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        Ok(())
    });
    sim.run()
}

#[test]
fn several_addresses_of_one_host() -> Result {
    let mut sim = sim(Linux::default());
    sim.linux(
        "server",
        Linux::default()
            .address([10, 1, 0, 1])
            .address([10, 1, 0, 2]),
    );
    sim.host("server", || async {
        let one = TcpListener::bind("10.1.0.1:80").await?;
        let two = TcpListener::bind("10.1.0.2:80").await?;
        loop {
            let (mut a, _) = one.accept().await?;
            let (mut b, _) = two.accept().await?;
            a.write_u8(1).await?;
            b.write_u8(2).await?;
        }
    });
    sim.client("client", async {
        let mut one = TcpStream::connect("10.1.0.1:80").await?;
        let mut two = TcpStream::connect("10.1.0.2:80").await?;
        assert_eq!((one.read_u8().await?, two.read_u8().await?), (1, 2));
        // A name resolves to all addresses; the first one that answers is used.
        let named = TcpStream::connect("server:80").await?;
        assert_eq!(named.peer_addr()?.ip().to_string(), "10.1.0.1");
        Ok(())
    });
    sim.run()
}

/// The ports that a run with random latency assigns, and the time at which it ends.
fn fingerprint(seed: u64) -> Result<String> {
    let mut sim = Builder::new()
        .rng_seed(seed)
        .epoch(std::time::UNIX_EPOCH)
        .simulation_duration(Duration::from_secs(600))
        .build_linux(Linux::default().seed(seed));
    sim.host("server", reader);
    let text = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
    let out = std::rc::Rc::clone(&text);
    sim.client("client", async move {
        let mut tasks = Vec::new();
        for n in 0..20 {
            tasks.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect("server:80").await?;
                stream.write_all(&vec![n; 1000]).await?;
                io::Result::Ok(stream)
            }));
        }
        let mut streams = Vec::new();
        for task in tasks {
            streams.push(task.await??);
        }
        sleep(SECOND).await;
        out.borrow_mut()
            .push_str(&format!("{}{}", ss("client")?, ss("server")?));
        streams.truncate(7);
        sleep(SECOND).await;
        out.borrow_mut().push_str(&format!(
            "{}{} {:?}",
            ss("client")?,
            ss("server")?,
            turmoil::elapsed()
        ));
        Ok(())
    });
    sim.run()?;
    drop(sim);
    Ok(text.take())
}

#[test]
fn the_same_seed_gives_the_same_bytes_a_hundred_times() -> Result {
    let first = fingerprint(5)?;
    assert_ne!(first, fingerprint(6)?);
    for _ in 0..100 {
        assert_eq!(first, fingerprint(5)?);
    }
    Ok(())
}
