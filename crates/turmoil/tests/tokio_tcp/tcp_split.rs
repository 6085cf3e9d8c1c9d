//! Borrowed halves.

use super::{on_host, pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::Result;

#[test]
fn split() -> Result {
    const TEXT: &[u8] = b"split";
    on_host(async {
        let (mut stream, mut peer) = pair().await?;
        let (mut reads, mut writes) = stream.split();
        peer.write_all(TEXT).await?;
        let mut buf = [0; 32];
        let seen = [reads.peek(&mut buf).await?, reads.peek(&mut buf).await?];
        let n = reads.read(&mut buf).await?;
        assert_eq!(seen, [n, n]);
        assert_eq!(&buf[..n], TEXT);
        assert_eq!(writes.write(TEXT).await?, TEXT.len());
        let n = peer.read(&mut buf).await?;
        assert_eq!(&buf[..n], TEXT);
        Ok(())
    })
}
