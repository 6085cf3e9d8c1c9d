//! Conversions from and to the standard library's sockets.

use super::{on_host, pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::Result;

/// Differs: a simulated socket has no file descriptor, so that there is no `into_std` and no
/// `from_std`. The bytes that the test sends before and after the conversion arrive.
#[test]
fn tcp_into_std() -> Result {
    on_host(async {
        let (mut client, mut stream) = pair().await?;
        for text in [b"Hello world!", b"Hello tokio!"] {
            client.write_all(text).await?;
            let mut got = [0; 12];
            stream.read_exact(&mut got).await?;
            assert_eq!(&got, text);
        }
        Ok(())
    })
}
