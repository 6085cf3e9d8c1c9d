//! `tokio::io::copy` between the halves of one stream.

use super::{on_host, pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use turmoil::Result;

#[test]
fn echo_server() -> Result {
    const ROUNDS: usize = 1024;
    const TEXT: &[u8] = b"foo bar baz";
    on_host(async {
        let (mut client, mut server) = pair().await?;
        let echo = tokio::spawn(async move {
            let (mut reads, mut writes) = server.split();
            copy(&mut reads, &mut writes).await
        });
        for _ in 0..ROUNDS {
            client.write_all(TEXT).await?;
            let mut back = [0; TEXT.len()];
            client.read_exact(&mut back).await?;
            assert_eq!(back, TEXT);
        }
        drop(client);
        assert_eq!(echo.await??, (ROUNDS * TEXT.len()) as u64);
        Ok(())
    })
}
