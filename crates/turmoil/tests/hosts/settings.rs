//! The settings of turmoil's builder reach Linux sockets, and not the carrier.

use fourtuple_turmoil::net::{TcpListener, TcpStream};
use fourtuple_turmoil::{BuildLinux, Errno, Linux};
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use turmoil::{Builder, Result};

const RANGE: &str = "net.ipv4.ip_local_port_range";

/// The ports of four connections to one server, or the error of the first that fails.
async fn four_ports() -> io::Result<Vec<u16>> {
    let mut held = Vec::new();
    let mut ports = Vec::new();
    for _ in 0..4 {
        let stream = TcpStream::connect("server-0:80").await?;
        ports.push(stream.local_addr()?.port());
        held.push(stream);
    }
    Ok(ports)
}

async fn serve() -> Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    let mut held = Vec::new();
    loop {
        held.push(listener.accept().await?);
    }
}

#[test]
fn the_ephemeral_ports_are_the_range_unless_a_sysctl_is_written() -> Result {
    let mut sim = Builder::new()
        .rng_seed(1)
        .ephemeral_ports(50_000..=50_001)
        .build_linux(Linux::default());
    sim.linux("own", Linux::default().sysctl(RANGE, "40000 40009")?);
    // More hosts than the builder has ports: each has a pipe to the clients.
    for n in 0..4 {
        sim.host(format!("server-{n}"), serve);
    }
    sim.client("client", async {
        let refused = four_ports().await.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::EADDRNOTAVAIL.number()));
        // To the first server both ports are in TIME-WAIT.
        for n in 1..4 {
            let stream = TcpStream::connect((format!("server-{n}"), 80)).await?;
            assert!((50_000..=50_001).contains(&stream.local_addr()?.port()));
        }
        Ok(())
    });
    sim.client("own", async {
        let ports = four_ports().await?;
        assert!(
            ports.iter().all(|port| (40_000..=40_009).contains(port)),
            "{ports:?}"
        );
        Ok(())
    });
    sim.run()
}

#[test]
fn turmoils_own_default_is_not_the_range() -> Result {
    let mut sim = Builder::new().rng_seed(1).build_linux(Linux::default());
    sim.host("server-0", serve);
    sim.client("client", async {
        let ports = four_ports().await?;
        assert!(
            ports.iter().all(|port| (32_768..=60_999).contains(port)),
            "{ports:?}"
        );
        assert!(ports.iter().any(|port| *port < 49_152), "{ports:?}");
        Ok(())
    });
    sim.run()
}

#[test]
fn small_capacities_lose_no_connection() -> Result {
    let mut sim = Builder::new()
        .rng_seed(1)
        .tcp_capacity(1)
        .udp_capacity(1)
        .max_message_latency(Duration::from_millis(1))
        .build_linux(Linux::default());
    sim.host("server", serve);
    for n in 0..60 {
        sim.client(format!("client-{n}"), async {
            let stream = TcpStream::connect("server:80").await?;
            // A lost SYN is sent again after a second.
            assert!(turmoil::elapsed() < Duration::from_millis(500));
            sleep(Duration::from_secs(1)).await;
            drop(stream);
            Ok(())
        });
    }
    sim.run()
}

/// The lines of this crate's log, in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("fourtuple_turmoil")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of an event.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

#[test]
fn the_log_has_the_segments_of_connections() -> Result {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let range = Linux::default()
            .sysctl(RANGE, "40000 40000")
            .expect("a range");
        let mut sim = Builder::new().rng_seed(1).build_linux(range);
        sim.host("server", serve);
        sim.client("client", async {
            let stream = TcpStream::connect("server:80").await?;
            stream.try_write(b"hello")?;
            sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        sim.run()
    })?;
    let log = log.0.lock().expect("no panic").join("\n");
    let client = "src=192.168.0.2:40000 dst=192.168.0.1:80 protocol=\"TCP\"";
    let server = "src=192.168.0.1:80 dst=192.168.0.2:40000 protocol=\"TCP\"";
    for line in [
        format!("message=Send {client} flags=\"SYN\" len=0"),
        format!("message=Delivered {client} flags=\"PSH ACK\" len=5"),
        format!("message=Send {server} flags=\"SYN ACK\" len=0"),
    ] {
        assert!(log.contains(&line), "{line}\n{log}");
    }
    assert!(!log.contains(":480"), "no port of the carrier: {log}");
    Ok(())
}
