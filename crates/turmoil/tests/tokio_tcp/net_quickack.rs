//! `TCP_QUICKACK`.

use super::{on_host, pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::Result;

#[test]
fn socket_works_with_quickack() -> Result {
    const TEXT: &[u8] = b"Hello, tokio!";
    on_host(async {
        let (mut one, mut other) = pair().await?;
        for on in [true, false] {
            for stream in [&one, &other] {
                stream.set_quickack(on)?;
                assert_eq!(stream.quickack()?, on);
            }
            let mut buf = [0; TEXT.len()];
            one.write_all(TEXT).await?;
            other.read_exact(&mut buf).await?;
            assert_eq!(buf, TEXT);
            other.write_all(TEXT).await?;
            one.read_exact(&mut buf).await?;
            assert_eq!(buf, TEXT);
        }
        one.shutdown().await?;
        other.shutdown().await?;
        Ok(())
    })
}
