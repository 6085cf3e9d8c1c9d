//! Names and addresses, as in `tokio::net`, with turmoil's host names.

use crate::host::current;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Converts to socket addresses: everything that `tokio::net::ToSocketAddrs` accepts, with the host
/// names of the simulation. A host with several addresses yields all of them, turmoil's own first.
/// `localhost` is 127.0.0.1.
pub trait ToSocketAddrs: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> ToSocketAddrs for T {}

/// The addresses of a host name; `None` if there is no such host.
type Lookup<'a> = &'a dyn Fn(&str) -> io::Result<Option<Vec<IpAddr>>>;

/// The addresses of an argument, with the hosts of the simulation.
pub(crate) fn to_addrs<A: ToSocketAddrs>(addr: &A) -> io::Result<Vec<SocketAddr>> {
    to_addrs_by(addr, &|host| Ok(current()?.network.resolve(host)))
}

/// Tries the addresses of an argument until one works. The error is that of the last one.
pub(super) fn first_of<A: ToSocketAddrs, T>(
    addr: &A,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in to_addrs(addr)? {
        match attempt(addr) {
            Ok(done) => return Ok(done),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(unresolved))
}

/// The error of an argument without an address.
pub(super) fn unresolved() -> io::Error {
    let message = "could not resolve to any address";
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// The addresses of an argument, with hosts of any kind.
pub(crate) fn to_addrs_by<A: ToSocketAddrs>(
    addr: &A,
    lookup: Lookup<'_>,
) -> io::Result<Vec<SocketAddr>> {
    addr.resolve(lookup)
}

fn resolve(host: &str, port: u16, lookup: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let ips = if host == "localhost" {
        Some(vec![Ipv4Addr::LOCALHOST.into()])
    } else {
        lookup(host)?
    };
    match ips {
        Some(ips) => Ok(ips
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect()),
        None => {
            let message = format!("unknown host {host}");
            Err(io::Error::new(io::ErrorKind::NotFound, message))
        }
    }
}

/// Resolves a host name of the simulation, as `tokio::net::lookup_host`.
///
/// # Errors
/// If no host has the name.
pub async fn lookup_host<A: ToSocketAddrs>(
    host: A,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(to_addrs(&host)?.into_iter())
}

fn parse(text: &str, lookup: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
    if let Ok(addr) = text.parse() {
        return Ok(vec![addr]);
    }
    let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| invalid("invalid socket address"))?;
    resolve(
        host,
        port.parse().map_err(|_| invalid("invalid port value"))?,
        lookup,
    )
}

mod sealed {
    use super::*;

    pub trait Sealed {
        #[doc(hidden)]
        fn resolve(&self, lookup: Lookup<'_>) -> io::Result<Vec<SocketAddr>>;
    }

    macro_rules! plain {
        ($($type:ty),*) => {
            $(impl Sealed for $type {
                fn resolve(&self, _: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
                    Ok(vec![(*self).into()])
                }
            })*
        };
    }

    plain!(
        SocketAddr,
        SocketAddrV4,
        SocketAddrV6,
        (IpAddr, u16),
        (Ipv4Addr, u16),
        (Ipv6Addr, u16)
    );

    impl<T: Sealed + ?Sized> Sealed for &T {
        fn resolve(&self, lookup: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
            (**self).resolve(lookup)
        }
    }

    impl Sealed for [SocketAddr] {
        fn resolve(&self, _: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
            Ok(self.to_vec())
        }
    }

    impl Sealed for str {
        fn resolve(&self, lookup: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
            parse(self, lookup)
        }
    }

    impl Sealed for String {
        fn resolve(&self, lookup: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
            parse(self, lookup)
        }
    }

    impl Sealed for (&str, u16) {
        fn resolve(&self, lookup: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
            super::resolve(self.0, self.1, lookup)
        }
    }

    impl Sealed for (String, u16) {
        fn resolve(&self, lookup: Lookup<'_>) -> io::Result<Vec<SocketAddr>> {
            super::resolve(&self.0, self.1, lookup)
        }
    }
}
