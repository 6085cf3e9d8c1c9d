//! Loads of turmoil tests, on turmoil's own sockets and on those with Linux's ports: the same
//! program, once for each.

use fourtuple_turmoil::{BuildLinux, Linux};
use std::time::{Duration, SystemTime};

/// The simulated time that a load took.
pub(crate) type Simulated = Duration;

/// A load and the bound of its CPU time, as a multiple of turmoil's own.
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) bound: f64,
    pub(crate) stock: fn() -> Simulated,
    pub(crate) linux: fn() -> Simulated,
}

const MIB: usize = 1 << 20;

/// Bytes of a request, of its answer, and of one write of bulk data.
const REQUEST: usize = 64;
const CHUNK: usize = 64 * 1024;

/// turmoil's builder; with a `latency`, all packets take it. With a capacity below the number of
/// writes of a bulk transfer, turmoil's own sockets may wait for ever.
fn builder(latency: Option<Duration>) -> turmoil::Builder {
    let mut builder = turmoil::Builder::new();
    builder
        .epoch(SystemTime::UNIX_EPOCH)
        .rng_seed(1)
        .simulation_duration(Duration::from_secs(3600))
        .tcp_capacity(8192);
    if let Some(latency) = latency {
        builder
            .min_message_latency(latency)
            .max_message_latency(latency);
    }
    builder
}

fn stock<'a>(latency: Option<Duration>) -> turmoil::Sim<'a> {
    builder(latency).build()
}

fn linux<'a>(latency: Option<Duration>) -> fourtuple_turmoil::LinuxSim<'a> {
    builder(latency).build_linux(Linux::default())
}

const MILLI: Option<Duration> = Some(Duration::from_millis(1));

/// The loads, for one kind of sockets.
macro_rules! programs {
    ($name:ident, $net:path) => {
        mod $name {
            use super::{CHUNK, MIB, MILLI, REQUEST, Simulated, $name as build};
            use std::io::Result;
            use std::time::Duration;
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            use tokio::task::JoinSet;
            use $net::{TcpListener, TcpStream};

            /// Answers requests until the client closes.
            async fn answer(mut stream: TcpStream) -> Result<()> {
                let mut request = [0; REQUEST];
                while stream.read_exact(&mut request).await.is_ok() {
                    stream.write_all(&request).await?;
                }
                Ok(())
            }

            async fn serve() -> turmoil::Result {
                let listener = TcpListener::bind("0.0.0.0:80").await?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    tokio::spawn(answer(stream));
                }
            }

            async fn request(stream: &mut TcpStream) -> Result<()> {
                stream.write_all(&[1; REQUEST]).await?;
                stream.read_exact(&mut [0; REQUEST]).await?;
                Ok(())
            }

            /// `tasks` tasks of one client, with one server.
            fn with_server<F>(
                latency: Option<Duration>,
                tasks: usize,
                task: fn(usize) -> F,
            ) -> Simulated
            where
                F: Future<Output = Result<()>> + Send + 'static,
            {
                let mut sim = build(latency);
                sim.host("server", serve);
                sim.client("client", async move {
                    let mut set = JoinSet::new();
                    (0..tasks).for_each(|n| drop(set.spawn(task(n))));
                    while let Some(ended) = set.join_next().await {
                        ended??;
                    }
                    Ok(())
                });
                sim.run().expect("the load ends");
                sim.elapsed()
            }

            pub(super) fn kept() -> Simulated {
                with_server(None, 50, |_| async {
                    let mut stream = TcpStream::connect("server:80").await?;
                    for _ in 0..200 {
                        request(&mut stream).await?;
                    }
                    Ok(())
                })
            }

            pub(super) fn short() -> Simulated {
                with_server(None, 50, |_| async {
                    for _ in 0..200 {
                        let mut stream = TcpStream::connect("server:80").await?;
                        request(&mut stream).await?;
                    }
                    Ok(())
                })
            }

            pub(super) fn idle() -> Simulated {
                with_server(None, 50, |_| async {
                    let mut held = Vec::new();
                    for _ in 0..20 {
                        held.push(TcpStream::connect("server:80").await?);
                    }
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    Ok(())
                })
            }

            async fn send(to: &'static str, bytes: usize) -> Result<()> {
                let mut stream = TcpStream::connect(to).await?;
                let chunk = vec![7; CHUNK];
                for _ in 0..bytes / CHUNK {
                    stream.write_all(&chunk).await?;
                }
                stream.shutdown().await?;
                // The end of the other direction: everything was read.
                stream.read(&mut [0; 1]).await.map(|_| ())
            }

            /// Reads one stream to its end.
            async fn drain(bytes: usize) -> Result<()> {
                let listener = TcpListener::bind("0.0.0.0:80").await?;
                let (mut stream, _) = listener.accept().await?;
                let mut chunk = vec![0; CHUNK];
                let mut read = 0;
                loop {
                    match stream.read(&mut chunk).await? {
                        0 => break,
                        n => read += n,
                    }
                }
                assert_eq!(read, bytes);
                Ok(())
            }

            fn bulk(latency: Option<Duration>) -> Simulated {
                let mut sim = build(latency);
                sim.host("server", || async { Ok(drain(256 * MIB).await?) });
                sim.client("client", async { Ok(send("server:80", 256 * MIB).await?) });
                sim.run().expect("the load ends");
                sim.elapsed()
            }

            pub(super) fn bulk_default() -> Simulated {
                bulk(None)
            }

            pub(super) fn bulk_milli() -> Simulated {
                bulk(MILLI)
            }

            pub(super) fn loopback() -> Simulated {
                let mut sim = build(None);
                sim.client("host", async {
                    let reader = tokio::spawn(drain(64 * MIB));
                    tokio::task::yield_now().await;
                    send("127.0.0.1:80", 64 * MIB).await?;
                    Ok(reader.await??)
                });
                sim.run().expect("the load ends");
                sim.elapsed()
            }

            pub(super) fn hosts() -> Simulated {
                const HOSTS: usize = 50;
                let mut sim = build(MILLI);
                for n in 0..HOSTS {
                    sim.host(format!("server{n}"), serve);
                }
                sim.client("client", async {
                    for _ in 0..3 {
                        for n in 0..HOSTS {
                            let mut stream = TcpStream::connect((format!("server{n}"), 80)).await?;
                            request(&mut stream).await?;
                        }
                    }
                    Ok(())
                });
                sim.run().expect("the load ends");
                sim.elapsed()
            }
        }
    };
}

programs!(stock, turmoil::net);
programs!(linux, fourtuple_turmoil::net);

macro_rules! loads {
    ($($load:ident, $bound:literal, $name:literal;)*) => {
        /// The loads.
        pub(crate) const LOADS: &[Load] = &[$(Load {
            name: $name,
            bound: $bound,
            stock: stock::$load,
            linux: linux::$load,
        },)*];
    };
}

loads! {
    kept, 1.5, "10,000 requests over 50 kept connections";
    short, 1.5, "10,000 connections of one request, 50 at a time";
    idle, 1.2, "1,000 connections held for 60 s";
    bulk_default, 1.5, "256 MiB over one stream";
    bulk_milli, 1.5, "256 MiB over one stream, latency 1 ms";
    loopback, 1.5, "64 MiB over the loopback interface";
    hosts, 1.2, "50 hosts, three rounds of a request to each, latency 1 ms";
}
