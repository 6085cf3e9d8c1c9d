//! Addresses in one form, so that equal ones compare equal.

use core::net::SocketAddr;

/// The form in which answers report an address: IPv4 for a mapped one, and no scope.
///
/// ```
/// use fourtuple_syscall::canonical;
/// use std::net::SocketAddr;
///
/// let mapped: SocketAddr = "[::ffff:10.0.0.1]:80".parse()?;
/// assert_eq!(canonical(mapped).to_string(), "10.0.0.1:80");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
