//! A listener takes every form of address; waiting tasks are woken as often as needed.

use super::on_host;
use fourtuple_turmoil::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use tokio::task::yield_now;
use turmoil::Result;

fn listens_at<A: ToSocketAddrs + 'static>(address: A) -> Result {
    on_host(async move {
        let listener = TcpListener::bind(address).await?;
        let to = listener.local_addr()?;
        let accepted = tokio::spawn(async move { listener.accept().await });
        let connected = TcpStream::connect(to).await?;
        let (accepted, peer) = accepted.await??;
        assert_eq!(connected.local_addr()?, peer);
        assert_eq!(connected.local_addr()?, accepted.peer_addr()?);
        Ok(())
    })
}

#[test]
fn ip_str() -> Result {
    listens_at("127.0.0.1:0")
}

#[test]
fn host_str() -> Result {
    listens_at("localhost:0")
}

#[test]
fn socket_addr() -> Result {
    listens_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

#[test]
fn str_port_tuple() -> Result {
    listens_at(("127.0.0.1", 0))
}

#[test]
fn ip_port_tuple() -> Result {
    listens_at((IpAddr::from(Ipv4Addr::LOCALHOST), 0))
}

/// A task that waits in accept() is polled when it starts, when a connection is there, and once
/// more to wait for the next one.
#[test]
fn no_extra_poll() -> Result {
    on_host(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let to = listener.local_addr()?;
        let (polls, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, got) = (Arc::clone(&polls), Arc::clone(&accepted));
        tokio::spawn(async move {
            loop {
                poll_fn(|cx| {
                    count.fetch_add(1, Ordering::Relaxed);
                    listener.poll_accept(cx)
                })
                .await
                .expect("the listener is open");
                got.fetch_add(1, Ordering::Relaxed);
            }
        });
        yield_now().await;
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        let _connected = TcpStream::connect(to).await?;
        while accepted.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
        yield_now().await;
        assert_eq!(polls.load(Ordering::Relaxed), 3);
        Ok(())
    })
}

/// All tasks that wait for one listener are woken by one connection: any of them may be gone.
#[test]
fn accept_many() -> Result {
    const TASKS: usize = 50;
    on_host(async {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await?);
        let (waiting, woken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..TASKS {
            let (listener, waiting, woken) = (listener.clone(), waiting.clone(), woken.clone());
            tasks.push(tokio::spawn(async move {
                let mut polled = false;
                poll_fn(|cx| {
                    if std::mem::replace(&mut polled, true) {
                        woken.fetch_add(1, Ordering::Relaxed);
                        return Poll::Ready(());
                    }
                    assert!(listener.poll_accept(cx).is_pending());
                    waiting.fetch_add(1, Ordering::Relaxed);
                    Poll::Pending
                })
                .await;
            }));
        }
        while waiting.load(Ordering::Relaxed) < TASKS {
            yield_now().await;
        }
        let _connected = TcpStream::connect(listener.local_addr()?).await?;
        for task in tasks {
            task.await?;
        }
        assert_eq!(woken.load(Ordering::Relaxed), TASKS);
        Ok(())
    })
}
