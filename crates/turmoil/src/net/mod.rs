//! TCP and UDP with the API of `tokio::net`, on Linux's ports: change the import, keep the code.
//!
//! Omitted are conversions from and to the standard library's sockets, and raw file descriptors,
//! which a simulation does not have. [`LinuxSocketExt`] adds the socket options of Linux that
//! affect ports and that tokio has no methods for.

mod addr;
mod ext;
mod listener;
mod socket;
mod stream;
pub mod tcp;
mod udp;

#[cfg(feature = "turmoil-net")]
pub(crate) use addr::to_addrs_by;
pub use addr::{ToSocketAddrs, lookup_host};
pub use ext::LinuxSocketExt;
pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::TcpStream;
pub use udp::UdpSocket;
