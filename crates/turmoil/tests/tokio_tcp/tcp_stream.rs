//! Readiness, and calls that do not wait.

use super::{on_host, pair};
use fourtuple_turmoil::net::{TcpListener, TcpStream};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::task::yield_now;
use turmoil::Result;

const DATA: [u8; 4000] = [2; 4000];

/// The result of one poll.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Repeats a call until it would block. Returns the sum of its results.
fn until_it_blocks(mut call: impl FnMut() -> io::Result<usize>) -> usize {
    let mut total = 0;
    loop {
        match call() {
            Ok(n) => total += n,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return total;
            }
        }
    }
}

async fn wait_for_the_end(stream: &TcpStream) -> io::Result<()> {
    while !stream.ready(Interest::READABLE).await?.is_read_closed() {
        yield_now().await;
    }
    Ok(())
}

#[test]
fn set_linger() -> Result {
    on_host(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stream = TcpStream::connect(listener.local_addr()?).await?;
        let second = Some(Duration::from_secs(1));
        stream.set_linger(second)?;
        assert_eq!(stream.linger()?, second);
        stream.set_zero_linger()?;
        assert_eq!(stream.linger()?, Some(Duration::ZERO));
        stream.set_linger(None)?;
        assert_eq!(stream.linger()?, None);
        Ok(())
    })
}

/// Differs: a full buffer is not writable, whether or not a call has found it full.
#[test]
fn try_read_write() -> Result {
    on_host(async {
        let (client, server) = pair().await?;
        assert!(poll_once(server.readable()).is_pending());
        let slices: Vec<IoSlice<'_>> = DATA.chunks(10).map(IoSlice::new).collect();
        for vectored in [false, true] {
            client.writable().await?;
            let mut written = 0;
            while poll_once(client.writable()).is_ready() {
                written += match vectored {
                    false => client.try_write(&DATA)?,
                    true => client.try_write_vectored(&slices)?,
                };
            }
            let full = client.try_write(&DATA).expect_err("the buffer is full");
            assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
            server.readable().await?;
            let mut read = vec![0; written];
            let mut at = 0;
            while at < written {
                server.readable().await?;
                at += match vectored {
                    false => server.try_read(&mut read[at..])?,
                    true => {
                        let mut parts: Vec<IoSliceMut<'_>> = read[at..]
                            .chunks_mut(0x10000)
                            .map(IoSliceMut::new)
                            .collect();
                        server.try_read_vectored(&mut parts)?
                    }
                };
            }
            assert!(read.iter().all(|byte| *byte == 2));
        }
        drop(client);
        wait_for_the_end(&server).await?;
        Ok(())
    })
}

#[test]
fn buffer_not_included_in_future() {
    let future = async {
        let stream = TcpStream::connect("127.0.0.1:8080").await.unwrap();
        loop {
            stream.readable().await.unwrap();
            let mut buf = [0; 4096];
            if stream.try_read(&mut buf).unwrap() == 0 {
                break;
            }
        }
    };
    let size = size_of_val(&future);
    assert!(size < 1000, "{size}");
}

/// Differs: a stream without bytes is not readable, whether or not a call has found it empty.
#[test]
fn poll_read_ready() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        let mut noop = Context::from_waker(Waker::noop());
        assert!(server.poll_read_ready(&mut noop).is_pending());
        client.write_all(b"ping").await?;
        poll_fn(|cx| server.poll_read_ready(cx)).await?;
        server.read_exact(&mut [0; 4]).await?;
        assert!(server.poll_read_ready(&mut noop).is_pending());
        drop(client);
        poll_fn(|cx| server.poll_read_ready(cx)).await?;
        Ok(())
    })
}

#[test]
fn poll_write_ready() -> Result {
    on_host(async {
        let (client, server) = pair().await?;
        poll_fn(|cx| client.poll_write_ready(cx)).await?;
        until_it_blocks(|| client.try_write(&DATA));
        let mut noop = Context::from_waker(Waker::noop());
        assert!(client.poll_write_ready(&mut noop).is_pending());
        drop(server);
        poll_fn(|cx| client.poll_write_ready(cx)).await?;
        Ok(())
    })
}

/// Differs: as `try_read_write`.
#[test]
fn try_read_buf() -> Result {
    on_host(async {
        let (client, server) = pair().await?;
        let written = until_it_blocks(|| client.try_write(&DATA));
        assert!(poll_once(client.writable()).is_pending());
        let mut read = Vec::with_capacity(written);
        while read.len() < written {
            server.readable().await?;
            server.try_read_buf(&mut read)?;
        }
        assert_eq!(read, vec![2; written]);
        drop(client);
        wait_for_the_end(&server).await?;
        Ok(())
    })
}

#[test]
fn read_closed() -> Result {
    on_host(async {
        let (client, mut server) = pair().await?;
        assert!(poll_once(client.ready(Interest::READABLE)).is_pending());
        server.write_all(b"ping").await?;
        assert!(!client.ready(Interest::READABLE).await?.is_read_closed());
        Ok(())
    })
}

#[test]
fn write_closed() -> Result {
    on_host(async {
        let (client, server) = pair().await?;
        let written = until_it_blocks(|| client.try_write(&DATA));
        assert!(poll_once(client.ready(Interest::WRITABLE)).is_pending());
        let mut read = 0;
        while read < written {
            server.readable().await?;
            read += until_it_blocks(|| server.try_read(&mut [0; 65_536]));
        }
        assert!(!client.ready(Interest::WRITABLE).await?.is_write_closed());
        Ok(())
    })
}
