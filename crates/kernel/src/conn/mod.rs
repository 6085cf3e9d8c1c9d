//! Sockets and their connections: the system calls, the segments, and the established table.

pub(crate) mod bind;
pub(crate) mod close;
pub(crate) mod connect;
pub(crate) mod device;
pub(crate) mod established;
pub(crate) mod handshake;
pub(crate) mod requests;
pub(crate) mod retransmit;
pub(crate) mod segment;
pub(crate) mod set_option;
pub(crate) mod socket;
pub(crate) mod tcp;
pub(crate) mod tuples;
