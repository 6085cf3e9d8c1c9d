//! Arguments that are one of a few words.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// Declares an enum whose variants are written as one word each.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in scenarios, traces and messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value with this word.
            #[must_use]
            pub fn from_name(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The address family of a socket.
    Family {
        /// `AF_INET`
        Inet "inet",
        /// `AF_INET6`, which also reaches IPv4 through mapped addresses unless `IPV6_V6ONLY` is
        /// set.
        Inet6 "inet6",
    }
}

impl Family {
    /// The number of the family in `socket(2)`.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Family::Inet => 2,
            Family::Inet6 => 10,
        }
    }

    /// The family of a socket that binds and connects to these addresses: IPv6 as soon as one of
    /// them is written as one, mapped addresses among them.
    #[must_use]
    pub fn for_ends(bind: Option<SocketAddr>, connect: Option<SocketAddr>) -> Family {
        let is_v6 = |addr: Option<SocketAddr>| addr.is_some_and(|addr| addr.is_ipv6());
        if is_v6(bind) || is_v6(connect) {
            Family::Inet6
        } else {
            Family::Inet
        }
    }

    /// An address as a socket of this family takes it: to IPv6 sockets, IPv4 addresses are mapped
    /// ones.
    #[must_use]
    pub fn map(self, addr: SocketAddr) -> SocketAddr {
        match (self, addr) {
            (Family::Inet6, SocketAddr::V4(four)) => {
                SocketAddr::new(four.ip().to_ipv6_mapped().into(), four.port())
            }
            _ => addr,
        }
    }

    /// The family of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Family {
        match ip {
            IpAddr::V4(_) => Family::Inet,
            IpAddr::V6(_) => Family::Inet6,
        }
    }
}

words! {
    /// The type of a socket.
    Kind {
        /// `SOCK_STREAM`: TCP.
        Stream "stream",
        /// `SOCK_DGRAM`: UDP.
        Datagram "datagram",
    }
}

words! {
    /// The half of a connection that `shutdown(2)` ends.
    Shutdown {
        /// `SHUT_RD`
        Read "read",
        /// `SHUT_WR`: sends a FIN.
        Write "write",
        /// `SHUT_RDWR`
        Both "both",
    }
}

impl Shutdown {
    /// The number in `shutdown(2)`.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_address_makes_an_ipv6_socket() {
        let v4: SocketAddr = ([127, 0, 0, 1], 80).into();
        let v6: SocketAddr = ([0; 8], 0).into();
        assert_eq!(Family::for_ends(None, Some(v4)), Family::Inet);
        assert_eq!(Family::for_ends(Some(v6), Some(v4)), Family::Inet6);
        assert_eq!(Family::for_ends(None, None), Family::Inet);
        assert_eq!(Family::Inet.map(v4), v4);
        assert!(Family::Inet6.map(v4).is_ipv6());
    }
}
