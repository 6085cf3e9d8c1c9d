//! The facts of turmoil 0.7.2's UDP tests (`tests/net/udp.rs`), on this crate's sockets. Intended
//! differences have a comment that begins with "Differs".

mod exchange;
mod families;
mod groups;
mod loopback;

use fourtuple_turmoil::net::UdpSocket;
use fourtuple_turmoil::{BuildLinux, Linux, LinuxSim};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout;
use turmoil::Builder;

const PORT: u16 = 1738;
const SECOND: Duration = Duration::from_secs(1);

fn sim<'a>() -> LinuxSim<'a> {
    Builder::new().rng_seed(1).build_linux(Linux::default())
}

async fn bind(port: u16) -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await
}

/// The next datagram and its sender.
async fn receive(socket: &UdpSocket) -> io::Result<(Vec<u8>, SocketAddr)> {
    let mut bytes = vec![0; 64];
    let (len, from) = socket.recv_from(&mut bytes).await?;
    bytes.truncate(len);
    Ok((bytes, from))
}

/// Returns `true` if nothing happens for a second.
async fn is_silent<T>(waiting: impl Future<Output = T>) -> bool {
    timeout(SECOND, waiting).await.is_err()
}

/// Answers pings until the host is bounced or the simulation ends. `seen` gets the number of pings.
async fn answer_pings(seen: impl Fn(usize)) -> turmoil::Result {
    let socket = bind(PORT).await?;
    for count in 1.. {
        let (ping, from) = receive(&socket).await?;
        assert_eq!(ping, b"ping");
        seen(count);
        socket.send_to(b"pong", from).await?;
    }
    Ok(())
}

/// Sends a ping to the server.
async fn ping(socket: &UdpSocket) -> io::Result<()> {
    assert_eq!(socket.send_to(b"ping", ("server", PORT)).await?, 4);
    Ok(())
}

/// Receives the answer to a ping.
async fn pong(socket: &UdpSocket) -> io::Result<()> {
    assert_eq!(receive(socket).await?.0, b"pong");
    Ok(())
}
