//! Peeking leaves the bytes.

use super::{on_host, pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::Result;

#[test]
fn peek() -> Result {
    on_host(async {
        let (mut left, mut right) = pair().await?;
        right.write_all(&[1, 2, 3, 4]).await?;
        let mut buf = [0; 16];
        let n = left.peek(&mut buf).await?;
        assert_eq!(buf[..n], [1, 2, 3, 4]);
        let n = left.read(&mut buf).await?;
        assert_eq!(buf[..n], [1, 2, 3, 4]);
        Ok(())
    })
}
