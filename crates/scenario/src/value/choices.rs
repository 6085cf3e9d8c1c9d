//! Enumerations, and numbers with a unit.

use std::fmt;
use std::time::Duration;

use fourtuple_syscall::{Family, Kind, Shape, Shutdown};

use super::{Invalid, Word, format_duration};
use crate::suggest::nearest;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $expected:literal { $($(#[$doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name of the value in a scenario.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Word for $name {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, Invalid> {
                one_of(text, Self::ALL, Self::as_str)
            }
        }
    };
}

/// Looks a value up by its name.
fn one_of<T: Copy>(text: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T, Invalid> {
    let found = all.iter().copied().find(|one| word(*one) == text);
    found.ok_or_else(|| {
        let names = all.iter().map(|one| word(*one));
        nearest(text, names).map_or_else(Invalid::default, |name| {
            Invalid::help(format!("did you mean `{name}`?"))
        })
    })
}

impl Word for Family {
    const EXPECTED: &'static str = "`inet` or `inet6`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        one_of(text, Self::ALL, Self::as_str)
    }
}

impl Word for Shutdown {
    const EXPECTED: &'static str = "`read`, `write` or `both`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        one_of(text, Self::ALL, Self::as_str)
    }
}

words! {
    /// The fate of accepted connections when their listener is closed.
    Accepted, "`keep`, `close` or `reset`" {
        /// They stay open.
        Keep "keep",
        /// They are closed after the listener, with a FIN.
        Close "close",
        /// They are closed after the listener, with a RST.
        Reset "reset",
    }
}

words! {
    /// The type of a socket.
    SocketType, "`stream` or `dgram`" {
        /// `SOCK_STREAM`: TCP.
        Stream "stream",
        /// `SOCK_DGRAM`: UDP.
        Dgram "dgram",
    }
}

impl SocketType {
    /// The type of the sockets.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            SocketType::Stream => Kind::Stream,
            SocketType::Dgram => Kind::Datagram,
        }
    }
}

impl From<Kind> for SocketType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Stream => SocketType::Stream,
            Kind::Datagram => SocketType::Dgram,
        }
    }
}

words! {
    /// The protocol of a process.
    Protocol, "`tcp` or `udp`" {
        /// TCP.
        Tcp "tcp",
        /// UDP.
        Udp "udp",
    }
}

impl Protocol {
    /// The type of the sockets.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Protocol::Tcp => Kind::Stream,
            Protocol::Udp => Kind::Datagram,
        }
    }
}

words! {
    /// A setting that is on or off.
    Switch, "`on` or `off`" {
        /// Enabled.
        On "on",
        /// Disabled.
        Off "off",
    }
}

words! {
    /// The flag of a NAT rule that says how ports are chosen.
    NatRandom, "`no`, `random` or `fully-random`" {
        /// The client's own port if it is free.
        No "no",
        /// `random` of nftables, `--random` of iptables.
        Random "random",
        /// `fully-random` of nftables, `--random-fully` of iptables.
        Fully "fully-random",
    }
}

words! {
    /// The NAT of a cloud provider.
    NatPreset, "`aws-nat-gateway`, `azure-lb` or `gcp-cloud-nat`" {
        /// AWS NAT gateway.
        AwsNatGateway "aws-nat-gateway",
        /// Azure Load Balancer with its default ports.
        AzureLb "azure-lb",
        /// Google Cloud NAT with its default ports.
        GcpCloudNat "gcp-cloud-nat",
    }
}

words! {
    /// The end that closes the connections of a process after `hold`.
    Close, "`client`, `server`, `both` or `reset`" {
        /// The process closes first, and TIME-WAIT stays on its side.
        Client "client",
        /// The listener closes first, and TIME-WAIT stays on its side.
        Server "server",
        /// Both close at the same instant.
        Both "both",
        /// The process resets the connection, which leaves no TIME-WAIT socket.
        Reset "reset",
    }
}

/// The time for which connections are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Until the end of the run.
    Forever,
    /// This duration after the connect.
    For(Duration),
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::For(time) => f.write_str(&format_duration(*time)),
        }
    }
}

impl Word for Hold {
    const EXPECTED: &'static str = "a duration such as `60s`, or `forever`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "forever" => Ok(Self::Forever),
            _ => Duration::parse(text).map(Self::For),
        }
    }
}

/// The value of `SO_LINGER` in seconds; `None` for off.
pub(crate) struct Linger(pub(crate) Option<u32>);

impl Word for Linger {
    const EXPECTED: &'static str = Shape::Linger.expected();

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "off" => Ok(Self(None)),
            "reset" => Ok(Self(Some(0))),
            _ => match text.parse() {
                Ok(seconds) => Ok(Self(Some(seconds))),
                Err(_) => Err(Invalid::default()),
            },
        }
    }
}

/// The one-way delay of a packet: fixed, or drawn from a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Latency {
    /// The shortest delay.
    pub min: Duration,
    /// The longest delay; equal to `min` if it is fixed.
    pub max: Duration,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.min))?;
        if self.max != self.min {
            write!(f, "..{}", format_duration(self.max))?;
        }
        Ok(())
    }
}

impl Word for Latency {
    const EXPECTED: &'static str = "a duration such as `5ms`, or a range such as `1ms..20ms`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let made = Self {
            min: Duration::parse(min)?,
            max: Duration::parse(max)?,
        };
        if made.min > made.max {
            return Err(Invalid::message(format!("the range {made} is reversed"))
                .and_help(format!("write `{max}..{min}`")));
        }
        Ok(made)
    }
}

/// The fraction of packets that is lost, in millionths: an integer, so that it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Loss {
    /// Lost packets per million.
    pub per_million: u32,
}

impl Loss {
    /// The probability from 0 to 1.
    pub fn probability(self) -> f64 {
        f64::from(self.per_million) / 1_000_000.0
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formatted with integers, because a rounded fraction would not parse back to the same
        // value.
        let text = format!(
            "{}.{:04}",
            self.per_million / 10_000,
            self.per_million % 10_000
        );
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Word for Loss {
    const EXPECTED: &'static str = "a fraction such as `1%` or `0.01`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (number, whole) = match text.strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let value: f64 = number.parse().map_err(|_| Invalid::default())?;
        if !plain || !(0.0..=whole).contains(&value) {
            return Err(Invalid::message(format!(
                "invalid fraction of packets {}",
                crate::diagnostic::quoted(text)
            ))
            .and_help("use a number from `0%` to `100%`, or from 0 to 1"));
        }
        let per_million = (value / whole * 1_000_000.0).round();
        Ok(Self {
            // Cannot truncate: the value was checked above.
            per_million: per_million as u32,
        })
    }
}
