//! TCP in the shape of `tokio::net`, on Linux's ports: change the import, keep the code.
//!
//! What a simulation cannot have is left out: conversions from and to the standard library's
//! sockets, and raw file descriptors. [`LinuxSocketExt`] adds the socket options of Linux that
//! decide about ports and that tokio has no methods for.

mod addr;
mod ext;
mod listener;
mod socket;
mod stream;
pub mod tcp;

pub use addr::ToSocketAddrs;
pub use ext::LinuxSocketExt;
pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::TcpStream;
