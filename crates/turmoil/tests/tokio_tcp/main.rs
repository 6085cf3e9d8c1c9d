//! The facts that tokio 1.54's own TCP tests assert, on this crate's sockets: a module for each of
//! their files, a test for each of theirs, by its name. Peers that use the standard library's
//! sockets there are tasks here. Intended differences have a comment that begins with "Differs".

mod net_lookup_host;
mod net_quickack;
mod tcp_accept;
mod tcp_connect;
mod tcp_echo;
mod tcp_into_split;
mod tcp_into_std;
mod tcp_peek;
mod tcp_shutdown;
mod tcp_socket;
mod tcp_split;
mod tcp_stream;

use fourtuple_turmoil::net::{TcpListener, TcpStream};
use fourtuple_turmoil::{BuildLinux, Linux};
use std::future::Future;
use std::io;

/// Runs a program on a simulated host.
fn on_host(program: impl Future<Output = turmoil::Result> + 'static) -> turmoil::Result {
    let mut sim = turmoil::Builder::new().build_linux(Linux::default());
    sim.client("host", program);
    sim.run()
}

/// A connection over the loopback interface: the connecting end, and the accepted one.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let connected = TcpStream::connect(listener.local_addr()?).await?;
    let (accepted, _) = listener.accept().await?;
    Ok((connected, accepted))
}
