//! An HTTP client that opens a connection for each request runs out of local ports: it closes
//! first, so each connection leaves a TIME-WAIT socket. With a pool it needs one port.
//!
//! `cargo run -p fourtuple-turmoil --example http_pool` prints the results on two kernels; `cargo
//! test` asserts them.

use fourtuple_turmoil::net::{TcpListener, TcpStream};
use fourtuple_turmoil::{BuildLinux, Linux, State, explain_last_error, ss};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The application's connector. A test changes only the import of `TcpStream` above.
#[derive(Clone)]
struct Connector;

struct Conn(TcpStream);

impl Connection for Conn {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Wraps the connection in hyper's adapter for tokio's traits.
struct Io(TokioIo<Conn>);

impl Connection for Io {
    fn connected(&self) -> Connected {
        self.0.inner().connected()
    }
}

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Io;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Io>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().to_owned();
            let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
            Ok(Io(TokioIo::new(Conn(stream))))
        })
    }
}

async fn serve() -> turmoil::Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let hello =
                |_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello")))) };
            let service = hyper::service::service_fn(hello);
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The errno at the end of the source chain of hyper's error.
fn errno(error: &Error) -> Option<i32> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.raw_os_error();
        }
        source = error.source();
    }
    None
}

/// The result of a run.
#[derive(Debug, Default)]
struct Outcome {
    answered: usize,
    errno: Option<i32>,
    time_waits: usize,
    explanation: String,
}

/// Time between two requests.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes twenty requests, with `idle` connections kept for later requests.
fn requests(kernel: &str, idle: usize) -> turmoil::Result<Outcome> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(1)
        .build_linux(Linux::default());
    sim.linux(
        "app",
        Linux::kernel(kernel)?.sysctl("net.ipv4.ip_local_port_range", "40000 40003")?,
    );
    sim.host("api", serve);
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let seen = Rc::clone(&outcome);
    sim.client("app", async move {
        let client: Client<Connector, Empty<Bytes>> = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(idle)
            .build(Connector);
        for _ in 0..20 {
            let request = Request::get("http://api/").body(Empty::new())?;
            // The previous connection is closed on both ends before the next request.
            tokio::time::sleep(PAUSE).await;
            match client.request(request).await {
                Ok(response) => {
                    assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
                    seen.borrow_mut().answered += 1;
                }
                Err(error) => {
                    let mut seen = seen.borrow_mut();
                    seen.errno = errno(&error);
                    seen.explanation =
                        explain_last_error().map_or_else(String::new, |e| e.to_string());
                    break;
                }
            }
        }
        seen.borrow_mut().time_waits = ss("app")?.count(State::TimeWait);
        Ok(())
    });
    sim.run()?;
    drop(sim);
    Ok(Rc::into_inner(outcome)
        .expect("the simulation is over")
        .into_inner())
}

fn main() -> turmoil::Result {
    for kernel in ["rhel-6.5", "linux-6.18"] {
        for (pool, idle) in [("a connection for each request", 0), ("a pool", 4)] {
            let outcome = requests(kernel, idle)?;
            println!(
                "{kernel}, {pool}: {} of 20 requests answered",
                outcome.answered
            );
            if !outcome.explanation.is_empty() {
                println!("{}", outcome.explanation);
            }
        }
    }
    Ok(())
}

#[test]
fn without_a_pool_the_fifth_request_finds_no_port() {
    let outcome = requests("rhel-6.5", 0).unwrap();
    assert_eq!(
        (outcome.answered, outcome.errno),
        (4, Some(99)),
        "{outcome:?}"
    );
    assert_eq!(outcome.time_waits, 4);
    assert!(
        outcome.explanation.contains("4 tuple-in-time-wait"),
        "{}",
        outcome.explanation
    );
}

#[test]
fn with_a_pool_one_port_is_enough() {
    let outcome = requests("rhel-6.5", 4).unwrap();
    assert_eq!(
        (outcome.answered, outcome.errno, outcome.time_waits),
        (20, None, 0),
        "{outcome:?}"
    );
}
