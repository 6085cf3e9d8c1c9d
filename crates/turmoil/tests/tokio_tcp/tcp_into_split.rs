//! Owned halves.

use super::{on_host, pair};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::Result;

const TEXT: &[u8] = b"split";

#[test]
fn split() -> Result {
    on_host(async {
        let (stream, mut peer) = pair().await?;
        let (mut reads, mut writes) = stream.into_split();
        assert_eq!(peer.write(TEXT).await?, TEXT.len());
        assert_eq!(writes.write(TEXT).await?, TEXT.len());
        let mut buf = [0; 32];
        let n = peer.read(&mut buf).await?;
        assert_eq!(&buf[..n], TEXT);
        let seen = [reads.peek(&mut buf).await?, reads.peek(&mut buf).await?];
        let n = reads.read(&mut buf).await?;
        assert_eq!(seen, [n, n]);
        assert_eq!(&buf[..n], TEXT);
        Ok(())
    })
}

#[test]
fn reunite() -> Result {
    on_host(async {
        let ((one, _peer), (other, _other_peer)) = (pair().await?, pair().await?);
        let (reads, writes) = one.into_split();
        let (_, others) = other.into_split();
        let reads = reads.reunite(others).expect_err("of different streams").0;
        reads.reunite(writes).expect("of the same stream");
        Ok(())
    })
}

#[test]
fn drop_write() -> Result {
    on_host(async {
        let (stream, mut peer) = pair().await?;
        let peer = tokio::spawn(async move {
            peer.write_all(TEXT).await?;
            peer.read(&mut [0; 32]).await
        });
        let (mut reads, writes) = stream.into_split();
        let mut buf = [0; 32];
        let n = reads.read(&mut buf).await?;
        assert_eq!(&buf[..n], TEXT);
        // Dropped while the read below waits.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(writes);
        });
        assert_eq!(reads.read(&mut buf).await?, 0);
        assert_eq!(peer.await??, 0);
        Ok(())
    })
}
