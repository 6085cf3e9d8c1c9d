//! Halves of a [`TcpStream`](super::TcpStream), as in `tokio::net::tcp`.

mod owned;
mod split;

pub use owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use split::{ReadHalf, WriteHalf};

/// Defines the methods that both reading halves have.
macro_rules! read_half {
    ($($on:tt)*) => {
        $($on)* {
            /// Attempts to receive data without removing it from the queue.
            pub fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
                self.0.poll_peek(cx, buf)
            }

            /// Receives data without removing it from the queue.
            ///
            /// # Errors
            ///
            /// As `recv`.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.peek(buf).await
            }

            /// Waits for any of the requested ready states.
            ///
            /// # Errors
            /// None in a simulation.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.0.ready(interest).await
            }

            /// Waits for the socket to become readable.
            ///
            /// # Errors
            /// None in a simulation.
            pub async fn readable(&self) -> io::Result<()> {
                self.0.readable().await
            }

            /// Tries to read, without waiting.
            ///
            /// # Errors
            /// `WouldBlock` if there is nothing yet, and as `recv`.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.try_read(buf)
            }

            /// Tries to read into several buffers, without waiting.
            ///
            /// # Errors
            /// `WouldBlock` if there is nothing yet, and as `recv`.
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.try_read_vectored(bufs)
            }

            /// Tries to read into a growable buffer, without waiting.
            ///
            /// # Errors
            /// `WouldBlock` if there is nothing yet, and as `recv`.
            pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.0.try_read_buf(buf)
            }

            /// The remote address.
            ///
            /// # Errors
            /// `ENOTCONN` unless the socket is connected.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.0.peer_addr()
            }

            /// The local address.
            ///
            /// # Errors
            /// If the host has crashed.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.0.local_addr()
            }
        }
    };
}
use read_half;

/// Defines the methods that both writing halves have.
macro_rules! write_half {
    ($($on:tt)*) => {
        $($on)* {
            /// Waits for any of the requested ready states.
            ///
            /// # Errors
            /// None in a simulation.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.0.ready(interest).await
            }

            /// Waits for the socket to become writable.
            ///
            /// # Errors
            /// None in a simulation.
            pub async fn writable(&self) -> io::Result<()> {
                self.0.writable().await
            }

            /// Tries to write, without waiting.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if the window is full, and as `send`.
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.0.try_write(buf)
            }

            /// Tries to write several buffers, without waiting.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if the window is full, and as `send`.
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.try_write_vectored(bufs)
            }

            /// The remote address.
            ///
            /// # Errors
            /// `ENOTCONN` unless the socket is connected.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.0.peer_addr()
            }

            /// The local address.
            ///
            /// # Errors
            /// If the host has crashed.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.0.local_addr()
            }
        }
    };
}
use write_half;
