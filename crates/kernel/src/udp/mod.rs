//! UDP: its ports, which are apart from TCP's, and the datagrams as far as they show who holds a
//! port.
//!
//! A datagram socket takes its port in [`bind`](crate::Machine::bind), or unasked in `connect()` or
//! `sendto()` (`inet_autobind`). The destination plays no part in any rule: one port is one socket,
//! whatever it is connected to, unless options share it.

pub(crate) mod conflict;
pub(crate) mod connect;
pub(crate) mod datagram;
pub(crate) mod explain;
pub(crate) mod ports;
pub(crate) mod select;
