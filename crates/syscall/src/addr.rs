//! Addresses in one form, so that equal ones compare equal.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// Parses an address of `/proc/net/tcp` and `/proc/net/tcp6`, such as `0100007F:0050`: words of
/// four bytes in the order of the machine that printed them, and the port.
///
/// ```
/// use fourtuple_syscall::proc_address;
///
/// let at = proc_address("0100007F:0050", true).ok_or("an address")?;
/// assert_eq!(at.to_string(), "127.0.0.1:80");
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn proc_address(text: &str, little_endian: bool) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?;
        Some(match little_endian {
            true => word.to_le_bytes(),
            false => word.to_be_bytes(),
        })
    };
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for n in 0..4 {
                bytes[4 * n..4 * n + 4].copy_from_slice(&word(8 * n)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}
