//! The facts that turmoil-net 0.1's own TCP tests (`tests/tcp.rs`) assert, on this crate's sockets,
//! by their names. Rules that drop packets there are partitions here. Intended differences have a
//! comment that begins with "Differs".

mod loopback;
mod loss;

use fourtuple_turmoil::net::{TcpListener, TcpStream};
use std::io;

/// A connection over the loopback interface: the connecting end, and the accepted one.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:7100").await?;
    let connected = TcpStream::connect("127.0.0.1:7100").await?;
    let (accepted, _) = listener.accept().await?;
    Ok((connected, accepted))
}
