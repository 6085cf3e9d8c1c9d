//! Addresses as the model keeps them: one 128-bit value for both families.
//!
//! IPv4 addresses are stored in their v4-mapped form. An `AF_INET` socket bound to the wildcard
//! therefore holds `::ffff:0.0.0.0`, and an `AF_INET6` one holds `::`; the two stay apart.

use fourtuple_syscall::Family;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IPv4 (stored v4-mapped) or IPv6 address.
///
/// Compares, orders and hashes mapped addresses like the IPv4 addresses that they stand for; std's
/// [`IpAddr`] does not.
// Two halves instead of one `u128`, which would align everything that holds an address to 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ip {
    high: u64,
    low: u64,
}

const MAPPED: u64 = 0xffff_0000_0000;

impl Ip {
    /// `::`, the wildcard of an `AF_INET6` socket.
    pub(crate) const ANY6: Ip = Ip::of(0);
    /// `0.0.0.0`, the wildcard of an `AF_INET` socket.
    pub(crate) const ANY4: Ip = Ip::mapped(0);
    /// `127.0.0.1`.
    pub(crate) const LOOPBACK4: Ip = Ip::mapped(0x7f00_0001);
    /// `::1`.
    pub(crate) const LOOPBACK6: Ip = Ip::of(1);

    /// The wildcard address of a family.
    pub(crate) const fn any(family: Family) -> Ip {
        match family {
            Family::Inet => Ip::ANY4,
            Family::Inet6 => Ip::ANY6,
        }
    }

    const fn of(bits: u128) -> Self {
        Ip {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }

    const fn mapped(v4: u32) -> Self {
        Ip {
            high: 0,
            low: MAPPED | v4 as u64,
        }
    }

    /// `true` for IPv4 addresses, also when they were written as `::ffff:a.b.c.d`.
    pub(crate) const fn is_v4(self) -> bool {
        self.high == 0 && self.low >> 32 == 0xffff
    }

    /// `true` for `::` and for `0.0.0.0` (also written `::ffff:0.0.0.0`).
    pub(crate) const fn is_any(self) -> bool {
        self.high == 0 && (self.low == 0 || self.low == MAPPED)
    }

    /// `true` for 127.0.0.0/8 and `::1`.
    pub(crate) const fn is_loopback(self) -> bool {
        (self.high == 0 && self.low == 1) || (self.is_v4() && (self.low >> 24) & 0xff == 127)
    }

    /// `true` for 224.0.0.0/4 and ff00::/8.
    pub(crate) const fn is_multicast(self) -> bool {
        if self.is_v4() {
            (self.low >> 28) & 0xf == 0xe
        } else {
            self.high >> 56 == 0xff
        }
    }

    /// `true` for 255.255.255.255.
    pub(crate) const fn is_broadcast(self) -> bool {
        self.high == 0 && self.low == MAPPED | 0xffff_ffff
    }

    /// `true` for fe80::/10, which needs a scope.
    pub(crate) const fn is_link_local6(self) -> bool {
        self.high >> 54 == 0x3fa
    }

    /// The value as 128 bits in host order.
    pub(crate) const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The address with these bits.
    pub(crate) const fn from_bits(bits: u128) -> Ip {
        Ip::of(bits)
    }

    /// The upper and the lower 64 bits.
    pub(crate) const fn halves(self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// The IPv4 address that IPv4 code sees when it looks at a socket with this address: the
    /// mapped one, 0 for `::`, and the marker 127.0.0.6 for anything else.
    pub(crate) const fn shadow4(self) -> u32 {
        if self.is_v4() {
            self.low as u32
        } else if self.high == 0 && self.low == 0 {
            0
        } else {
            Self::NATIVE
        }
    }

    /// The marker 127.0.0.6, by which IPv4 code knows a native IPv6 address (`LOOPBACK4_IPV6`).
    pub(crate) const NATIVE: u32 = 0x7f00_0006;
}

impl From<IpAddr> for Ip {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Ip::mapped(v4.into()),
            IpAddr::V6(v6) => Ip::of(v6.into()),
        }
    }
}

impl From<Ipv4Addr> for Ip {
    fn from(ip: Ipv4Addr) -> Self {
        IpAddr::V4(ip).into()
    }
}

impl From<Ipv6Addr> for Ip {
    fn from(ip: Ipv6Addr) -> Self {
        IpAddr::V6(ip).into()
    }
}

impl From<Ip> for IpAddr {
    fn from(ip: Ip) -> Self {
        if ip.is_v4() {
            IpAddr::V4(Ipv4Addr::from(ip.low as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from(ip.bits()))
        }
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and a port: 18 bytes, where std's [`SocketAddr`] has 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Endpoint {
    /// The address.
    pub(crate) ip: Ip,
    /// The port in host order.
    pub(crate) port: u16,
}

impl Endpoint {
    /// Joins an address and a port.
    pub(crate) const fn new(ip: Ip, port: u16) -> Self {
        Endpoint { ip, port }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(at: SocketAddr) -> Self {
        Endpoint::new(at.ip().into(), at.port())
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(at: Endpoint) -> Self {
        SocketAddr::new(at.ip.into(), at.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address as a program passes it to `bind()` or `connect()`: an endpoint, its `sockaddr` type,
/// and its scope.
///
/// [`SocketAddr`] converts into it. An `AF_INET6` socket takes IPv4 addresses in their mapped form
/// only, and an `AF_INET` socket never in that form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SockAddr {
    /// Address and port.
    pub(crate) end: Endpoint,
    /// The family of the `sockaddr`: a `sockaddr_in` is shorter than a `sockaddr_in6`. `None` is
    /// the one that fits the socket.
    pub(crate) family: Option<Family>,
    /// `sin6_scope_id`: the interface of a link-local address, 0 for none.
    pub(crate) scope: u16,
}

impl From<Endpoint> for SockAddr {
    fn from(end: Endpoint) -> Self {
        SockAddr {
            end,
            family: None,
            scope: 0,
        }
    }
}

impl From<SocketAddr> for SockAddr {
    fn from(at: SocketAddr) -> Self {
        let scope = match at {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(v6) => v6.scope_id(),
        };
        SockAddr {
            end: at.into(),
            family: Some(match at {
                SocketAddr::V4(_) => Family::Inet,
                SocketAddr::V6(_) => Family::Inet6,
            }),
            // No host has so many interfaces.
            scope: u16::try_from(scope).unwrap_or(u16::MAX),
        }
    }
}

/// Mixes two words: both halves of their product. Hashes serve lookups only and are never iterated
/// over, so that any good one gives the same answers.
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}
