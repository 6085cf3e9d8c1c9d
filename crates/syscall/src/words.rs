//! Arguments that are one of a few words.

use core::fmt;
use core::net::IpAddr;

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
