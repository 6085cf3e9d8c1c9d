//! Linux's local ports on turmoil-net's simulated kernels.

use fourtuple_turmoil::turmoil_net::{LinuxHosts, TcpListener, TcpSocket, TcpStream};
use fourtuple_turmoil::{Errno, Linux};
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use turmoil_net::fixture::{self, ClientServer};
use turmoil_net::{Packet, Verdict};

/// A kernel with a range of ports.
fn linux(kernel: &str, range: &str) -> Linux {
    let linux = Linux::kernel(kernel).expect("a kernel");
    linux
        .sysctl("net.ipv4.ip_local_port_range", range)
        .expect("a range")
}

fn is<T>(result: io::Result<T>, expected: Errno) -> bool {
    result.err().and_then(|e| e.raw_os_error()) == Some(expected.number())
}

/// Accepts connections, writes the peer's port to each, and keeps them.
async fn tell_ports(at: &'static str) {
    let listener = TcpListener::bind(at).await.expect("the listener");
    let mut held = Vec::new();
    loop {
        let (mut stream, peer) = listener.accept().await.expect("a connection");
        stream.write_u16(peer.port()).await.expect("the port");
        held.push(stream);
    }
}

/// Runs a client with servers on the ports 80 and 81.
fn run<T: 'static>(hosts: &LinuxHosts, client: impl Future<Output = T> + 'static) -> T {
    let servers = async {
        tokio::join!(tell_ports("0.0.0.0:80"), tell_ports("0.0.0.0:81"));
    };
    ClientServer::new()
        .server("server", hosts.on("server", servers))
        .run("client", hosts.on("client", client))
}

#[test]
fn both_ends_have_the_kernels_port_and_the_range_runs_out() {
    let hosts = LinuxHosts::new(linux("linux-6.18", "40000 40003"));
    run(&hosts, async {
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect("server:80").await.unwrap();
            let port = stream.local_addr().unwrap().port();
            assert!((40_000..=40_003).contains(&port));
            assert_eq!(stream.read_u16().await.unwrap(), port, "the server's view");
            held.push(stream);
        }
        let refused = TcpStream::connect("server:80").await;
        assert!(is(refused, Errno::EADDRNOTAVAIL));
        // Another destination shares the ports.
        let other = TcpStream::connect("server:81").await.unwrap();
        assert!((40_000..=40_003).contains(&other.local_addr().unwrap().port()));
    });
}

/// The kernels differ: a port that bind() has taken is closed to connect() on RHEL 6.5.
#[test]
fn binding_before_connecting_closes_ports_to_others() {
    for (kernel, expected) in [
        ("rhel-6.5", Some(Errno::EADDRNOTAVAIL)),
        ("linux-6.18", None),
    ] {
        let hosts = LinuxHosts::new(linux(kernel, "40000 40003"));
        run(&hosts, async move {
            let mut held = Vec::new();
            for _ in 0..4 {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind("0.0.0.0:0".parse().unwrap()).unwrap();
                let to = (turmoil_net::lookup_host("server").unwrap(), 80).into();
                held.push(socket.connect(to).await.unwrap());
            }
            let other = TcpStream::connect("server:81").await;
            match expected {
                Some(errno) => assert!(is(other, errno), "{kernel}"),
                None => assert!(other.is_ok() || is(other, Errno::EADDRNOTAVAIL)),
            }
        });
    }
}

#[test]
fn the_end_that_closes_first_keeps_its_port_for_a_minute() {
    let hosts = LinuxHosts::new(linux("linux-6.18", "40000 40000"));
    run(&hosts, async {
        let mut stream = TcpStream::connect("server:80").await.unwrap();
        // Unread bytes would make it a reset.
        stream.read_u16().await.unwrap();
        drop(stream);
        sleep(Duration::from_millis(100)).await;
        assert!(is(
            TcpStream::connect("server:80").await,
            Errno::EADDRNOTAVAIL
        ));
        sleep(Duration::from_secs(61)).await;
        TcpStream::connect("server:80").await.unwrap();
    });
}

/// The order in which connections arrive is not that of the connects.
#[test]
fn connections_that_overtake_have_their_own_ports() {
    let hosts = LinuxHosts::new(Linux::default());
    run(&hosts, async {
        let mut packets = 0;
        let _guard = turmoil_net::rule(move |_: &Packet| {
            packets += 1;
            Verdict::Deliver(Duration::from_millis(1 + packets * 37 % 4))
        });
        let connect = || async {
            let mut stream = TcpStream::connect("server:80").await.unwrap();
            let port = stream.local_addr().unwrap().port();
            assert_eq!(stream.read_u16().await.unwrap(), port);
            port
        };
        let one = || async { tokio::join!(connect(), connect(), connect(), connect()) };
        tokio::join!(one(), one(), one(), one(), one());
    });
}

#[test]
fn loopback_and_errors() {
    let hosts = LinuxHosts::new(linux("linux-6.18", "40000 40001"));
    let software = async {
        let listener = TcpListener::bind("127.0.0.1:80").await.unwrap();
        assert!(is(
            TcpListener::bind("127.0.0.1:80").await,
            Errno::EADDRINUSE
        ));
        assert!(is(
            TcpListener::bind("10.9.9.9:80").await,
            Errno::EADDRNOTAVAIL
        ));
        assert!(is(
            TcpStream::connect("127.0.0.1:81").await,
            Errno::ECONNREFUSED
        ));
        let (client, accepted) =
            tokio::join!(TcpStream::connect("127.0.0.1:80"), listener.accept());
        let (client, (server, peer)) = (client.unwrap(), accepted.unwrap());
        assert_eq!(client.local_addr().unwrap(), peer);
        assert_eq!(server.peer_addr().unwrap(), peer);
        assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
    };
    fixture::lo(hosts.on("lo", software));
}

#[test]
fn tasks_without_a_host_get_an_error_that_says_so() {
    fixture::lo(async {
        let error = TcpListener::bind("127.0.0.1:80").await.unwrap_err();
        assert!(error.to_string().contains("LinuxHosts::on"), "{error}");
    });
}
