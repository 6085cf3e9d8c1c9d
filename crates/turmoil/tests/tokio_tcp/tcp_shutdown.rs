//! Shutting down, whatever the state of the connection.

use super::{on_host, pair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use turmoil::Result;

#[test]
fn shutdown() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        let client = tokio::spawn(async move {
            client.shutdown().await?;
            client.read(&mut [0; 1]).await
        });
        let (mut reads, mut writes) = server.split();
        assert_eq!(copy(&mut reads, &mut writes).await?, 0);
        server.shutdown().await?;
        assert_eq!(client.await??, 0);
        Ok(())
    })
}

#[test]
fn shutdown_after_tcp_reset() -> Result {
    on_host(async {
        let (mut client, server) = pair().await?;
        server.set_zero_linger()?;
        drop(server);
        client.shutdown().await?;
        Ok(())
    })
}

#[test]
fn shutdown_multiple_calls() -> Result {
    on_host(async {
        let (mut client, mut server) = pair().await?;
        for _ in 0..3 {
            client.shutdown().await?;
        }
        server.shutdown().await?;
        Ok(())
    })
}
