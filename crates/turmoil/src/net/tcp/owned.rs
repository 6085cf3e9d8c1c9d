//! Halves that share ownership of the stream.

use super::super::TcpStream;
use super::{read_half, write_half};
use bytes::BufMut;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

/// Owned read half of a [`TcpStream`], created by [`into_split`](TcpStream::into_split).
#[derive(Debug)]
pub struct OwnedReadHalf(Arc<TcpStream>);

/// Owned write half of a [`TcpStream`], created by [`into_split`](TcpStream::into_split). Dropping
/// it sends a FIN.
#[derive(Debug)]
pub struct OwnedWriteHalf(Arc<TcpStream>, bool);

impl TcpStream {
    /// Splits into two halves that can be moved to different tasks. Dropping the writing half
    /// sends a FIN.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let stream = Arc::new(self);
        (
            OwnedReadHalf(Arc::clone(&stream)),
            OwnedWriteHalf(stream, true),
        )
    }
}

fn reunite(read: OwnedReadHalf, mut write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
    if !Arc::ptr_eq(&read.0, &write.0) {
        return Err(ReuniteError(read, write));
    }
    write.1 = false;
    drop(write);
    Ok(Arc::into_inner(read.0).expect("there are two halves, and both are here"))
}

/// The two halves were not from the same stream.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tried to reunite halves that are not from the same socket")
    }
}

impl std::error::Error for ReuniteError {}

impl OwnedReadHalf {
    /// Joins the two halves of a stream.
    ///
    /// # Errors
    ///
    /// If they are not from the same stream.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        reunite(self, other)
    }
}

impl OwnedWriteHalf {
    /// Joins the two halves of a stream.
    ///
    /// # Errors
    ///
    /// If they are not from the same stream.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        reunite(other, self)
    }

    /// Drops the half without sending a FIN.
    pub fn forget(mut self) {
        self.1 = false;
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.1 {
            let _ = self.0.shutdown_write();
        }
    }
}

read_half!(impl OwnedReadHalf);
write_half!(impl OwnedWriteHalf);

impl AsyncRead for OwnedReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read_priv(cx, buf)
    }
}

impl AsyncWrite for OwnedWriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_priv(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.0.shutdown_write();
        if result.is_ok() {
            self.1 = false;
        }
        Poll::Ready(result)
    }
}

impl AsRef<TcpStream> for OwnedReadHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.0
    }
}

impl AsRef<TcpStream> for OwnedWriteHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.0
    }
}
