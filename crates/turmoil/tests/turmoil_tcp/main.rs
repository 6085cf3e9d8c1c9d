//! turmoil 0.7.2's own TCP tests (`tests/net/tcp.rs`, MIT licence), on this crate's sockets.
//! Intended differences have a comment that begins with "Differs".

mod connecting;
mod families;
mod faults;
mod streams;
mod windows;

use fourtuple_turmoil::net::TcpListener;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const PORT: u16 = 1738;

fn assert_error_kind<T>(res: io::Result<T>, kind: io::ErrorKind) {
    assert_eq!(res.err().map(|e| e.kind()), Some(kind));
}

async fn bind_to_v4(port: u16) -> std::result::Result<TcpListener, std::io::Error> {
    TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), port)).await
}

async fn bind_to_v6(port: u16) -> std::result::Result<TcpListener, std::io::Error> {
    TcpListener::bind((IpAddr::from(Ipv6Addr::UNSPECIFIED), port)).await
}

async fn bind() -> std::result::Result<TcpListener, std::io::Error> {
    bind_to_v4(PORT).await
}
