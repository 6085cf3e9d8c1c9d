//! `lookup_host`.

use super::on_host;
use fourtuple_turmoil::net::lookup_host;
use std::net::{Ipv4Addr, SocketAddr};
use turmoil::Result;

const PORT: u16 = 8000;

#[test]
fn lookup_socket_addr() -> Result {
    on_host(async {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        assert_eq!(lookup_host(addr).await?.collect::<Vec<_>>(), [addr]);
        Ok(())
    })
}

#[test]
fn lookup_str_socket_addr() -> Result {
    on_host(async {
        let found = lookup_host("127.0.0.1:8000").await?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        assert_eq!(found.collect::<Vec<_>>(), [addr]);
        Ok(())
    })
}

#[test]
fn resolve_dns() -> Result {
    on_host(async {
        let mut found = lookup_host("localhost:8000").await?;
        let first = found.next().ok_or("nothing found")?;
        assert!(first.ip().is_loopback());
        assert_eq!(first.port(), PORT);
        Ok(())
    })
}
