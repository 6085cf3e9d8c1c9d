//! Socket options.

use schemars::JsonSchema;

use crate::schema::written;
use crate::value::{Linger, PortRange};

/// Socket options to set before `bind`. A field that is none is not set at all.
#[derive(Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Options {
    /// `SO_REUSEADDR`.
    pub reuseaddr: Option<bool>,
    /// `SO_REUSEPORT`.
    pub reuseport: Option<bool>,
    /// `IP_BIND_ADDRESS_NO_PORT` (Linux 4.2): a bind to port 0 leaves the choice of the port to `connect`.
    pub bind_address_no_port: Option<bool>,
    /// `IP_LOCAL_PORT_RANGE` (Linux 6.3): the range of local ports of this socket, such as `40000-40003`. An end of 0
    /// sets no bound there.
    #[schemars(with = "Option<written::PortRange>")]
    pub local_port_range: Option<PortRange>,
    /// `IPV6_V6ONLY`.
    pub v6only: Option<bool>,
    /// `SO_LINGER`: seconds, `reset` (the same as 0) or `off`.
    #[schemars(with = "Option<written::Linger>")]
    pub linger: Option<Linger>,
    /// `SO_BINDTODEVICE`: the name of an interface, such as `lo`.
    pub bindtodevice: Option<String>,
    /// `IP_FREEBIND`.
    pub freebind: Option<bool>,
    /// `IP_TRANSPARENT`.
    pub transparent: Option<bool>,
    /// `TCP_LINGER2` in seconds: how long FIN-WAIT-2 lasts; negative for not at all.
    pub tcp_linger2: Option<i32>,
    /// `TCP_REPAIR`.
    pub tcp_repair: Option<bool>,
    /// `SO_ATTACH_REUSEPORT_CBPF` with a program that lets everything pass.
    pub attach_reuseport_cbpf: Option<bool>,
    /// `TCP_SYNCNT`: how often a SYN without an answer is sent again.
    pub tcp_syncnt: Option<u8>,
}

/// One option with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// `SO_REUSEADDR`.
    ReuseAddr(bool),
    /// `SO_REUSEPORT`.
    ReusePort(bool),
    /// `IP_BIND_ADDRESS_NO_PORT`.
    BindAddressNoPort(bool),
    /// `IP_LOCAL_PORT_RANGE`; 0 leaves an end open.
    LocalPortRange(PortRange),
    /// `IPV6_V6ONLY`.
    V6Only(bool),
    /// `SO_LINGER`.
    Linger(Linger),
    /// `SO_BINDTODEVICE`, by the interface's name.
    BindToDevice(String),
    /// `IP_FREEBIND`.
    FreeBind(bool),
    /// `IP_TRANSPARENT`.
    Transparent(bool),
    /// `TCP_LINGER2` in seconds; negative for not at all.
    TcpLinger2(i32),
    /// `TCP_REPAIR`.
    TcpRepair(bool),
    /// `SO_ATTACH_REUSEPORT_CBPF`; `false` detaches.
    AttachReuseportCbpf(bool),
    /// `TCP_SYNCNT`.
    TcpSyncnt(u8),
}

impl SocketOption {
    /// The word of the option, as in a scenario.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReuseAddr(_) => "reuseaddr",
            Self::ReusePort(_) => "reuseport",
            Self::BindAddressNoPort(_) => "bind_address_no_port",
            Self::LocalPortRange(_) => "local_port_range",
            Self::V6Only(_) => "v6only",
            Self::Linger(_) => "linger",
            Self::BindToDevice(_) => "bindtodevice",
            Self::FreeBind(_) => "freebind",
            Self::Transparent(_) => "transparent",
            Self::TcpLinger2(_) => "tcp_linger2",
            Self::TcpRepair(_) => "tcp_repair",
            Self::AttachReuseportCbpf(_) => "attach_reuseport_cbpf",
            Self::TcpSyncnt(_) => "tcp_syncnt",
        }
    }

    /// The value, as in a scenario.
    pub fn value(&self) -> String {
        match self {
            Self::ReuseAddr(on)
            | Self::ReusePort(on)
            | Self::BindAddressNoPort(on)
            | Self::V6Only(on)
            | Self::FreeBind(on)
            | Self::Transparent(on)
            | Self::TcpRepair(on)
            | Self::AttachReuseportCbpf(on) => on.to_string(),
            Self::LocalPortRange(range) => range.to_string(),
            Self::Linger(linger) => linger.to_string(),
            Self::BindToDevice(name) => name.clone(),
            Self::TcpLinger2(seconds) => seconds.to_string(),
            Self::TcpSyncnt(count) => count.to_string(),
        }
    }
}

impl Options {
    /// The options that are set, in the order of the fields above. That is the order in which engines set them; a
    /// scenario that needs another one uses several `set` steps.
    pub fn iter(&self) -> impl Iterator<Item = SocketOption> {
        let Self {
            reuseaddr,
            reuseport,
            bind_address_no_port,
            local_port_range,
            v6only,
            linger,
            bindtodevice,
            freebind,
            transparent,
            tcp_linger2,
            tcp_repair,
            attach_reuseport_cbpf,
            tcp_syncnt,
        } = self;
        [
            reuseaddr.map(SocketOption::ReuseAddr),
            reuseport.map(SocketOption::ReusePort),
            bind_address_no_port.map(SocketOption::BindAddressNoPort),
            local_port_range.map(SocketOption::LocalPortRange),
            v6only.map(SocketOption::V6Only),
            linger.map(SocketOption::Linger),
            bindtodevice.clone().map(SocketOption::BindToDevice),
            freebind.map(SocketOption::FreeBind),
            transparent.map(SocketOption::Transparent),
            tcp_linger2.map(SocketOption::TcpLinger2),
            tcp_repair.map(SocketOption::TcpRepair),
            attach_reuseport_cbpf.map(SocketOption::AttachReuseportCbpf),
            tcp_syncnt.map(SocketOption::TcpSyncnt),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether no option is set.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Sets one option, in place of its former value if there was one.
    pub fn set(&mut self, option: SocketOption) {
        match option {
            SocketOption::ReuseAddr(on) => self.reuseaddr = Some(on),
            SocketOption::ReusePort(on) => self.reuseport = Some(on),
            SocketOption::BindAddressNoPort(on) => self.bind_address_no_port = Some(on),
            SocketOption::LocalPortRange(range) => self.local_port_range = Some(range),
            SocketOption::V6Only(on) => self.v6only = Some(on),
            SocketOption::Linger(linger) => self.linger = Some(linger),
            SocketOption::BindToDevice(name) => self.bindtodevice = Some(name),
            SocketOption::FreeBind(on) => self.freebind = Some(on),
            SocketOption::Transparent(on) => self.transparent = Some(on),
            SocketOption::TcpLinger2(seconds) => self.tcp_linger2 = Some(seconds),
            SocketOption::TcpRepair(on) => self.tcp_repair = Some(on),
            SocketOption::AttachReuseportCbpf(on) => self.attach_reuseport_cbpf = Some(on),
            SocketOption::TcpSyncnt(count) => self.tcp_syncnt = Some(count),
        }
    }
}
