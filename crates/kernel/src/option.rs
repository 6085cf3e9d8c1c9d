//! Socket options that decide about ports.

use std::fmt;

/// A socket option with the value to set. Each one is *modelled*: it changes what the model
/// answers. Options that do not touch ports are not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SockOpt {
    /// `SO_REUSEADDR`
    ReuseAddr(bool),
    /// `SO_REUSEPORT`
    ReusePort(bool),
    /// `IP_BIND_ADDRESS_NO_PORT`: `bind(addr, 0)` stores the address only.
    BindAddressNoPort(bool),
    /// `IP_LOCAL_PORT_RANGE`: lower and upper bound, 0 leaves that end alone.
    LocalPortRange(u16, u16),
    /// `IPV6_V6ONLY`
    V6Only(bool),
    /// `SO_LINGER`: `None` is off, otherwise seconds; 0 seconds makes `close` send a reset.
    Linger(Option<u32>),
    /// `SO_BINDTODEVICE`: interface index, 0 is none, 1 is `lo`.
    BindToDevice(u32),
    /// `IP_FREEBIND`
    FreeBind(bool),
    /// `IP_TRANSPARENT`
    Transparent(bool),
    /// `TCP_LINGER2` in seconds; negative means no `FIN_WAIT2` at all, 0 is the sysctl's value.
    Linger2(i32),
    /// `TCP_REPAIR`, which sets `sk_reuse` to "force".
    Repair(bool),
    /// `SO_ATTACH_REUSEPORT_CBPF` with a program that lets everything pass: puts an unbound
    /// socket into a reuseport group.
    AttachReuseportBpf,
    /// `TCP_SYNCNT`: how often an unanswered SYN is repeated.
    SynCount(u8),
}

impl SockOpt {
    /// Name used in scenarios, traces and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SockOpt::ReuseAddr(_) => "reuseaddr",
            SockOpt::ReusePort(_) => "reuseport",
            SockOpt::BindAddressNoPort(_) => "bind_address_no_port",
            SockOpt::LocalPortRange(..) => "local_port_range",
            SockOpt::V6Only(_) => "v6only",
            SockOpt::Linger(_) => "linger",
            SockOpt::BindToDevice(_) => "bindtodevice",
            SockOpt::FreeBind(_) => "freebind",
            SockOpt::Transparent(_) => "transparent",
            SockOpt::Linger2(_) => "tcp_linger2",
            SockOpt::Repair(_) => "tcp_repair",
            SockOpt::AttachReuseportBpf => "attach_reuseport_cbpf",
            SockOpt::SynCount(_) => "tcp_syncnt",
        }
    }

    /// The option's name in the C headers.
    #[must_use]
    pub const fn c_name(self) -> &'static str {
        match self {
            SockOpt::ReuseAddr(_) => "SO_REUSEADDR",
            SockOpt::ReusePort(_) => "SO_REUSEPORT",
            SockOpt::BindAddressNoPort(_) => "IP_BIND_ADDRESS_NO_PORT",
            SockOpt::LocalPortRange(..) => "IP_LOCAL_PORT_RANGE",
            SockOpt::V6Only(_) => "IPV6_V6ONLY",
            SockOpt::Linger(_) => "SO_LINGER",
            SockOpt::BindToDevice(_) => "SO_BINDTODEVICE",
            SockOpt::FreeBind(_) => "IP_FREEBIND",
            SockOpt::Transparent(_) => "IP_TRANSPARENT",
            SockOpt::Linger2(_) => "TCP_LINGER2",
            SockOpt::Repair(_) => "TCP_REPAIR",
            SockOpt::AttachReuseportBpf => "SO_ATTACH_REUSEPORT_CBPF",
            SockOpt::SynCount(_) => "TCP_SYNCNT",
        }
    }

    /// Makes an option from its name and an integer value, as `setsockopt` takes it. For
    /// `local_port_range` the value is `low | high << 16`; for `linger` it is seconds, negative
    /// is off. `None` if there is no such option.
    #[must_use]
    pub fn from_name(name: &str, value: i64) -> Option<SockOpt> {
        let on = value != 0;
        Some(match name {
            "reuseaddr" => SockOpt::ReuseAddr(on),
            "reuseport" => SockOpt::ReusePort(on),
            "bind_address_no_port" => SockOpt::BindAddressNoPort(on),
            "local_port_range" => {
                SockOpt::LocalPortRange((value & 0xffff) as u16, (value >> 16 & 0xffff) as u16)
            }
            "v6only" => SockOpt::V6Only(on),
            "linger" => SockOpt::Linger(u32::try_from(value).ok()),
            "bindtodevice" => SockOpt::BindToDevice(u32::try_from(value).unwrap_or(0)),
            "freebind" => SockOpt::FreeBind(on),
            "transparent" => SockOpt::Transparent(on),
            "tcp_linger2" => SockOpt::Linger2(i32::try_from(value).unwrap_or(i32::MAX)),
            "tcp_repair" => SockOpt::Repair(on),
            "attach_reuseport_cbpf" => SockOpt::AttachReuseportBpf,
            "tcp_syncnt" => SockOpt::SynCount(u8::try_from(value).unwrap_or(u8::MAX)),
            _ => return None,
        })
    }
}

impl fmt::Display for SockOpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.c_name())
    }
}
