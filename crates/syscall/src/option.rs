//! The table of socket options: the single definition of their names, numbers and values.

use core::fmt;

use crate::value::{Encoded, OptValue, PortRange, Shape, ShortName};

/// The level of a socket option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `SOL_SOCKET`
    Socket,
    /// `SOL_IP`
    Ip,
    /// `SOL_IPV6`
    Ipv6,
    /// `SOL_TCP`
    Tcp,
}

impl Level {
    /// The number in `setsockopt(2)`.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Level::Socket => 1,
            Level::Ip => 0,
            Level::Ipv6 => 41,
            Level::Tcp => 6,
        }
    }

    /// The name in the C headers.
    #[must_use]
    pub const fn c_name(self) -> &'static str {
        match self {
            Level::Socket => "SOL_SOCKET",
            Level::Ip => "SOL_IP",
            Level::Ipv6 => "SOL_IPV6",
            Level::Tcp => "SOL_TCP",
        }
    }
}

/// One row of the table of options.
#[derive(Clone, Copy, Debug)]
pub struct OptInfo {
    /// The option.
    pub id: OptId,
    /// The name in scenarios, traces and messages.
    pub name: &'static str,
    /// The name in the C headers.
    pub c_name: &'static str,
    /// The level.
    pub level: Level,
    /// The number of the option at its level.
    pub number: i32,
    /// The form of the value.
    pub shape: Shape,
    /// `true` if the kernel model knows the option: it may change a port, or a connection's
    /// lifetime.
    pub modelled: bool,
    /// One sentence for the reference and the schema.
    pub about: &'static str,
}

/// The payload of an option.
trait Payload: Sized {
    const SHAPE: Shape;
    fn value(self) -> OptValue;
    fn from_value(value: OptValue) -> Option<Self>;
}

/// Implements [`Payload`] for a type that one kind of value holds.
macro_rules! payload {
    ($($type:ty, $kind:ident;)*) => {$(
        impl Payload for $type {
            const SHAPE: Shape = Shape::$kind;
            fn value(self) -> OptValue {
                OptValue::$kind(self)
            }
            fn from_value(value: OptValue) -> Option<Self> {
                match value {
                    OptValue::$kind(value) => Some(value),
                    _ => None,
                }
            }
        }
    )*};
}

payload! {
    bool, Flag;
    PortRange, Range;
    Option<u32>, Linger;
    ShortName, Name;
}

/// Implements [`Payload`] for integers of at most 32 bits.
macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Payload for $type {
            const SHAPE: Shape = Shape::Int { min: <$type>::MIN as i64, max: <$type>::MAX as i64 };
            fn value(self) -> OptValue {
                OptValue::Int(i64::from(self))
            }
            fn from_value(value: OptValue) -> Option<Self> {
                match value {
                    OptValue::Int(value) => value.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

integers! { u8 u32 i32 }

/// Declares the options. A row is `Variant(Payload) "name", Level C_NAME = number, modelled;`.
macro_rules! options {
    ($(
        $(#[doc = $doc:literal])+
        $variant:ident($type:ty) $name:literal, $level:ident $c_name:ident = $number:literal, $modelled:literal;
    )*) => {
        /// A socket option with the value to set.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum SockOpt {
            $($(#[doc = $doc])+ $variant($type),)*
        }

        /// A socket option without a value, in the order of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OptId {
            $(#[doc = stringify!($c_name)] $variant,)*
        }

        impl SockOpt {
            /// Every option. The modelled ones come first, in the order in which a set of options
            /// is applied to a socket.
            pub const TABLE: &'static [OptInfo] = &[$(OptInfo {
                id: OptId::$variant,
                name: $name,
                c_name: stringify!($c_name),
                level: Level::$level,
                number: $number,
                shape: <$type as Payload>::SHAPE,
                modelled: $modelled,
                about: concat!($($doc,)+).trim_ascii(),
            },)*];

            /// The option without its value.
            #[must_use]
            pub const fn id(self) -> OptId {
                match self { $(SockOpt::$variant(_) => OptId::$variant,)* }
            }

            /// The value without its option.
            #[must_use]
            pub fn value(self) -> OptValue {
                match self { $(SockOpt::$variant(value) => value.value(),)* }
            }

            /// The option with this value; none if the value has another form.
            #[must_use]
            pub fn new(id: OptId, value: OptValue) -> Option<SockOpt> {
                match id {
                    $(OptId::$variant => Payload::from_value(value).map(SockOpt::$variant),)*
                }
            }
        }
    };
}

options! {
    /// `SO_REUSEADDR`.
    ReuseAddr(bool) "reuseaddr", Socket SO_REUSEADDR = 2, true;
    /// `SO_REUSEPORT`.
    ReusePort(bool) "reuseport", Socket SO_REUSEPORT = 15, true;
    /// `IP_BIND_ADDRESS_NO_PORT` (Linux 4.2): a bind to port 0 leaves the choice of the port to
    /// `connect`.
    BindAddressNoPort(bool) "bind_address_no_port", Ip IP_BIND_ADDRESS_NO_PORT = 24, true;
    /// `IP_LOCAL_PORT_RANGE` (Linux 6.3): the range of local ports of this socket, such as
    /// `40000-40003`. An end of 0 sets no bound there.
    LocalPortRange(PortRange) "local_port_range", Ip IP_LOCAL_PORT_RANGE = 51, true;
    /// `IPV6_V6ONLY`.
    V6Only(bool) "v6only", Ipv6 IPV6_V6ONLY = 26, true;
    /// `SO_LINGER`: seconds, `reset` (the same as 0) or `off`.
    Linger(Option<u32>) "linger", Socket SO_LINGER = 13, true;
    /// `SO_BINDTODEVICE`: the name of an interface, such as `lo`; empty for none.
    BindToDevice(ShortName) "bindtodevice", Socket SO_BINDTODEVICE = 25, true;
    /// `IP_FREEBIND`.
    FreeBind(bool) "freebind", Ip IP_FREEBIND = 15, true;
    /// `IP_TRANSPARENT`.
    Transparent(bool) "transparent", Ip IP_TRANSPARENT = 19, true;
    /// `TCP_LINGER2` in seconds: how long FIN-WAIT-2 lasts; negative for not at all.
    Linger2(i32) "tcp_linger2", Tcp TCP_LINGER2 = 8, true;
    /// `TCP_REPAIR`.
    Repair(bool) "tcp_repair", Tcp TCP_REPAIR = 19, true;
    /// `SO_ATTACH_REUSEPORT_CBPF` with a program that lets everything pass; `false` detaches it.
    AttachReuseportBpf(bool) "attach_reuseport_cbpf", Socket SO_ATTACH_REUSEPORT_CBPF = 51, true;
    /// `TCP_SYNCNT`: how often a SYN without an answer is sent again.
    SynCount(u8) "tcp_syncnt", Tcp TCP_SYNCNT = 7, true;
    /// `SO_BINDTOIFINDEX` (Linux 5.1): the same as `bindtodevice`, by the index of the interface: 1
    /// is `lo`, 2 is `eth0`, 0 is none.
    BindToIfIndex(u8) "bindtoifindex", Socket SO_BINDTOIFINDEX = 62, true;

    /// `SO_DONTROUTE`.
    DontRoute(i32) "dontroute", Socket SO_DONTROUTE = 5, false;
    /// `SO_SNDBUF`.
    SendBuffer(i32) "sndbuf", Socket SO_SNDBUF = 7, false;
    /// `SO_RCVBUF`.
    ReceiveBuffer(i32) "rcvbuf", Socket SO_RCVBUF = 8, false;
    /// `SO_KEEPALIVE`.
    KeepAlive(i32) "keepalive", Socket SO_KEEPALIVE = 9, false;
    /// `SO_PRIORITY`.
    Priority(i32) "priority", Socket SO_PRIORITY = 12, false;
    /// `SO_MARK`.
    Mark(i32) "mark", Socket SO_MARK = 36, false;
    /// `IP_TOS`.
    TypeOfService(i32) "ip_tos", Ip IP_TOS = 1, false;
    /// `IP_TTL`.
    TimeToLive(i32) "ip_ttl", Ip IP_TTL = 2, false;
    /// `IP_RECVERR`.
    ReceiveErrors(i32) "recverr", Ip IP_RECVERR = 11, false;
    /// `IPV6_TRANSPARENT`.
    Transparent6(i32) "ipv6_transparent", Ipv6 IPV6_TRANSPARENT = 75, false;
    /// `IPV6_FREEBIND`.
    FreeBind6(i32) "ipv6_freebind", Ipv6 IPV6_FREEBIND = 78, false;
    /// `TCP_NODELAY`.
    NoDelay(i32) "tcp_nodelay", Tcp TCP_NODELAY = 1, false;
    /// `TCP_MAXSEG`.
    MaxSegment(i32) "tcp_maxseg", Tcp TCP_MAXSEG = 2, false;
    /// `TCP_CORK`.
    Cork(i32) "tcp_cork", Tcp TCP_CORK = 3, false;
    /// `TCP_KEEPIDLE`.
    KeepIdle(i32) "tcp_keepidle", Tcp TCP_KEEPIDLE = 4, false;
    /// `TCP_KEEPINTVL`.
    KeepInterval(i32) "tcp_keepintvl", Tcp TCP_KEEPINTVL = 5, false;
    /// `TCP_KEEPCNT`.
    KeepCount(i32) "tcp_keepcnt", Tcp TCP_KEEPCNT = 6, false;
    /// `TCP_DEFER_ACCEPT`.
    DeferAccept(i32) "tcp_defer_accept", Tcp TCP_DEFER_ACCEPT = 9, false;
    /// `TCP_WINDOW_CLAMP`.
    WindowClamp(i32) "tcp_window_clamp", Tcp TCP_WINDOW_CLAMP = 10, false;
    /// `TCP_QUICKACK`.
    QuickAck(i32) "tcp_quickack", Tcp TCP_QUICKACK = 12, false;
    /// `TCP_CONGESTION`.
    Congestion(ShortName) "tcp_congestion", Tcp TCP_CONGESTION = 13, false;
    /// `TCP_USER_TIMEOUT` in milliseconds.
    UserTimeout(u32) "tcp_user_timeout", Tcp TCP_USER_TIMEOUT = 18, false;
    /// `TCP_FASTOPEN`.
    FastOpen(i32) "tcp_fastopen", Tcp TCP_FASTOPEN = 23, false;
    /// `TCP_TIMESTAMP`.
    Timestamp(i32) "tcp_timestamp", Tcp TCP_TIMESTAMP = 24, false;
    /// `TCP_FASTOPEN_CONNECT`.
    FastOpenConnect(i32) "tcp_fastopen_connect", Tcp TCP_FASTOPEN_CONNECT = 30, false;
}

/// The classic BPF instruction `return 0xffffffff`, which lets everything pass.
const PASS: [u8; 8] = [6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
/// `SO_DETACH_REUSEPORT_BPF`
const DETACH: i32 = 68;

impl SockOpt {
    /// The options that the kernel model knows, which are those that scenarios may set.
    pub const MODELLED: &'static [OptInfo] = {
        let mut rows = 0;
        while rows < SockOpt::TABLE.len() && SockOpt::TABLE[rows].modelled {
            rows += 1;
        }
        SockOpt::TABLE.split_at(rows).0
    };

    /// `SO_LINGER` with a time of 0: `close(2)` sends a reset and leaves no TIME-WAIT.
    pub const RESET: SockOpt = SockOpt::Linger(Some(0));

    /// The row of the table.
    #[must_use]
    pub const fn info(self) -> &'static OptInfo {
        self.id().info()
    }

    /// The name in scenarios, traces and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The name in the C headers.
    #[must_use]
    pub const fn c_name(self) -> &'static str {
        self.info().c_name
    }

    /// Reads an option from its name and its value.
    ///
    /// # Errors
    /// The name is unknown, or the value has another form.
    pub fn parse(name: &str, value: &str) -> Result<SockOpt, OptionError> {
        let id = OptId::from_name(name).ok_or(OptionError::Unknown)?;
        let shape = id.info().shape;
        shape
            .parse(value)
            .and_then(|value| SockOpt::new(id, value))
            .ok_or(OptionError::Value(shape))
    }

    /// The arguments of `setsockopt(2)`.
    #[must_use]
    pub fn encode(self) -> Encoded {
        let OptInfo { level, number, .. } = *self.info();
        match self {
            SockOpt::AttachReuseportBpf(true) => Encoded::new(level.number(), number, &PASS),
            SockOpt::AttachReuseportBpf(false) => {
                Encoded::new(level.number(), DETACH, &0i32.to_ne_bytes())
            }
            _ => self.value().encode(level.number(), number),
        }
    }
}

impl OptId {
    /// The row of the table.
    #[must_use]
    pub const fn info(self) -> &'static OptInfo {
        &SockOpt::TABLE[self as usize]
    }

    /// The option with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<OptId> {
        let row = SockOpt::TABLE.iter().find(|row| row.name == name)?;
        Some(row.id)
    }

    /// The option with these names in the C headers.
    #[must_use]
    pub fn from_c_name(level: &str, c_name: &str) -> Option<OptId> {
        let mut rows = SockOpt::TABLE.iter();
        let row = rows.find(|row| row.level.c_name() == level && row.c_name == c_name)?;
        Some(row.id)
    }
}

impl fmt::Display for SockOpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.c_name())
    }
}

/// The error of an unknown option or of a value that the option does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionError {
    /// No option has the name.
    Unknown,
    /// The value has another form; see [`Shape::expected`].
    Value(Shape),
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionError::Unknown => {
                f.write_str("unknown socket option: expected one of ")?;
                for (at, row) in SockOpt::TABLE.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", row.name)?;
                }
                Ok(())
            }
            OptionError::Value(Shape::Int { min, max }) => {
                write!(f, "expected a number from {min} to {max}")
            }
            OptionError::Value(shape) => write!(f, "expected {}", shape.expected()),
        }
    }
}

impl core::error::Error for OptionError {}
