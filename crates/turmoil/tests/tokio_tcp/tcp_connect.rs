//! A connect takes every form of address, and both ends agree on the endpoints.

use super::on_host;
use fourtuple_turmoil::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::net::SocketAddr;
use turmoil::Result;

/// Connects to a listener at `listen`, by the address that `name` makes of its own.
fn connects<A, F>(listen: &'static str, name: F) -> Result
where
    A: ToSocketAddrs,
    F: FnOnce(SocketAddr) -> A + 'static,
{
    on_host(async move {
        let listener = TcpListener::bind(listen).await?;
        let to = listener.local_addr()?;
        let (mine, theirs) = tokio::try_join!(TcpStream::connect(name(to)), listener.accept())?;
        assert_eq!(theirs.1, theirs.0.peer_addr()?);
        assert_eq!(mine.local_addr()?, theirs.0.peer_addr()?);
        assert_eq!(theirs.0.local_addr()?, mine.peer_addr()?);
        assert_eq!(mine.peer_addr()?, to);
        Ok(())
    })
}

const V4: &str = "127.0.0.1:0";

#[test]
fn connect_v4() -> Result {
    connects(V4, |to| {
        assert!(to.is_ipv4());
        to
    })
}

#[test]
fn connect_v6() -> Result {
    connects("[::1]:0", |to| {
        assert!(to.is_ipv6());
        to
    })
}

#[test]
fn connect_addr_ip_string() -> Result {
    connects(V4, |to| to.to_string())
}

#[test]
fn connect_addr_ip_str_slice() -> Result {
    on_host(async {
        let listener = TcpListener::bind(V4).await?;
        let name = listener.local_addr()?.to_string();
        TcpStream::connect(&name[..]).await?;
        Ok(())
    })
}

#[test]
fn connect_addr_host_string() -> Result {
    connects(V4, |to| format!("localhost:{}", to.port()))
}

#[test]
fn connect_addr_ip_port_tuple() -> Result {
    connects(V4, |to| (to.ip(), to.port()))
}

#[test]
fn connect_addr_ip_str_port_tuple() -> Result {
    connects(V4, |to| ("127.0.0.1", to.port()))
}

#[test]
fn connect_addr_host_str_port_tuple() -> Result {
    connects(V4, |to| ("localhost", to.port()))
}
