// A program that uses `net` only: included once with tokio's, once with this crate's.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf, Ready};

/// Auto traits that tokio guarantees and users rely on.
#[allow(dead_code)]
fn types() {
    fn is<T: Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    fn stream<T: AsyncRead + AsyncWrite>() {}
    fn reads<T: AsyncRead>() {}
    fn writes<T: AsyncWrite>() {}
    fn error<T: std::error::Error>() {}
    is::<net::TcpSocket>();
    is::<net::TcpListener>();
    is::<net::TcpStream>();
    is::<net::tcp::OwnedReadHalf>();
    is::<net::tcp::OwnedWriteHalf>();
    stream::<net::TcpStream>();
    reads::<net::tcp::OwnedReadHalf>();
    writes::<net::tcp::OwnedWriteHalf>();
    reads::<net::tcp::ReadHalf<'static>>();
    writes::<net::tcp::WriteHalf<'static>>();
    error::<net::tcp::ReuniteError>();
}

/// Everything that names an address, and that a spawned task may await.
#[allow(dead_code)]
fn addresses(one: SocketAddr) {
    fn sent<T: Send>(_: impl Future<Output = io::Result<T>> + Send) {}
    fn any<A: net::ToSocketAddrs>(_: A) {}
    any(one);
    let (borrowed, several) = (&one, &[one][..]);
    any(borrowed);
    any(several);
    any("localhost:80");
    any(String::from("localhost:80"));
    any(("localhost", 80));
    any((String::from("localhost"), 80));
    any((Ipv4Addr::LOCALHOST, 80));
    sent(net::TcpStream::connect(one));
    sent(net::TcpListener::bind("localhost:80"));
}

type Got<T> = io::Result<T>;

/// Every method of tokio's `UdpSocket`, except conversions from and to the standard library's.
async fn datagrams(note: &mut impl FnMut(&str, String)) -> io::Result<()> {
    let (a, b) = (
        net::UdpSocket::bind("127.0.0.1:0").await?,
        net::UdpSocket::bind("127.0.0.1:0").await?,
    );
    let to = b.local_addr()?;
    let mut buffer = [0; 16];
    note("empty", answer(b.try_recv_from(&mut buffer).map(|_| ())));
    note("no destination", answer(a.send(b"x").await));
    note("no peer", answer(a.peer_addr().map(|_| ())));
    note("port 0", answer(a.send_to(b"x", "127.0.0.1:0").await));
    note("too long", answer(a.send_to(&[0; 65_508], to).await));
    note("sent", answer(a.send_to(b"first, cut", to).await));
    b.readable().await?;
    let peeked = b.peek_sender().await? == a.local_addr()?;
    note("peeked", answer(Ok(peeked)));
    note("cut off", answer(b.recv(&mut buffer[..5]).await));
    a.connect(to).await?;
    note("connected", answer(Ok(a.peer_addr()? == to)));
    a.writable().await?;
    note("try_send", answer(a.try_send(b"second")));
    let ready = b.ready(Interest::READABLE).await?;
    note("ready", answer(Ok(ready.is_readable())));
    let mut grown = Vec::new();
    note("grown", answer(b.recv_buf(&mut grown).await));
    note("ttl", answer(a.set_ttl(0)));
    note("broadcast", answer(a.broadcast()));
    note("multicast loop", answer(a.multicast_loop_v4()));
    note("multicast ttl", answer(a.multicast_ttl_v4()));
    let group = Ipv4Addr::new(239, 0, 0, 1);
    let own = Ipv4Addr::LOCALHOST;
    note("not a group", answer(a.join_multicast_v4(own, own)));
    note("not a member", answer(a.leave_multicast_v4(group, own)));
    note("in use", answer(net::UdpSocket::bind(to).await.map(|_| ())));
    drop(b);
    note("to a closed port", answer(a.send(b"x").await));
    note("no socket there", answer(a.recv(&mut buffer).await));
    let io = a.try_io(Interest::READABLE, || Ok(()));
    note("nothing to read", answer(io));
    Ok(())
}

#[allow(dead_code)]
fn datagram_signatures(socket: &net::UdpSocket, cx: &mut Context<'_>, at: SocketAddr) {
    fn is<T: Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    is::<net::UdpSocket>();
    let mut bytes = [0; 4];
    let mut buf = ReadBuf::new(&mut bytes);
    let _: Poll<Got<usize>> = socket.poll_send(cx, b"x");
    let _: Poll<Got<usize>> = socket.poll_send_to(cx, b"x", at);
    let _: Poll<Got<()>> = socket.poll_recv(cx, &mut buf);
    let _: Poll<Got<()>> = socket.poll_peek(cx, &mut buf);
    let _: Poll<Got<SocketAddr>> = socket.poll_recv_from(cx, &mut buf);
    let _: Poll<Got<SocketAddr>> = socket.poll_peek_from(cx, &mut buf);
    let _: Poll<Got<SocketAddr>> = socket.poll_peek_sender(cx);
    let _: [Poll<Got<()>>; 2] = [socket.poll_recv_ready(cx), socket.poll_send_ready(cx)];
    let _: Got<SocketAddr> = socket.try_peek_sender();
    let _: [Got<()>; 2] = [socket.set_tclass_v6(0), socket.set_tos_v4(0)];
    let _: [Got<u32>; 2] = [socket.tclass_v6(), socket.tos_v4()];
    let _: Got<Option<Vec<u8>>> = socket.device();
    let _: Got<()> = socket.bind_device(None);
    let _: Got<Option<io::Error>> = socket.take_error();
    let _: [Got<()>; 2] = [
        socket.set_multicast_loop_v6(true),
        socket.set_broadcast(true),
    ];
    drop(socket.async_io(Interest::READABLE, || Ok(())));
}

/// Every method of tokio's types with its signature, except conversions from and to the standard
/// library's sockets.
#[allow(dead_code)]
fn signatures() {
    use net::{TcpListener, TcpSocket, TcpStream};
    let _: fn() -> Got<TcpSocket> = TcpSocket::new_v4;
    let _: fn() -> Got<TcpSocket> = TcpSocket::new_v6;
    let _: [fn(&TcpSocket, bool) -> Got<()>; 4] = [
        TcpSocket::set_keepalive,
        TcpSocket::set_reuseaddr,
        TcpSocket::set_reuseport,
        TcpSocket::set_nodelay,
    ];
    let _: [fn(&TcpSocket) -> Got<bool>; 4] = [
        TcpSocket::keepalive,
        TcpSocket::reuseaddr,
        TcpSocket::reuseport,
        TcpSocket::nodelay,
    ];
    let _: [fn(&TcpSocket, u32) -> Got<()>; 4] = [
        TcpSocket::set_send_buffer_size,
        TcpSocket::set_recv_buffer_size,
        TcpSocket::set_tos_v4,
        TcpSocket::set_tclass_v6,
    ];
    let _: [fn(&TcpSocket) -> Got<u32>; 4] = [
        TcpSocket::send_buffer_size,
        TcpSocket::recv_buffer_size,
        TcpSocket::tos_v4,
        TcpSocket::tclass_v6,
    ];
    let _: fn(&TcpSocket) -> Got<()> = TcpSocket::set_zero_linger;
    let _: fn(&TcpSocket) -> Got<Option<Duration>> = TcpSocket::linger;
    let _: fn(&TcpSocket) -> Got<Option<Vec<u8>>> = TcpSocket::device;
    let _: fn(&TcpSocket, Option<&[u8]>) -> Got<()> = TcpSocket::bind_device;
    let _: fn(&TcpSocket) -> Got<SocketAddr> = TcpSocket::local_addr;
    let _: fn(&TcpSocket) -> Got<Option<io::Error>> = TcpSocket::take_error;
    let _: fn(&TcpSocket, SocketAddr) -> Got<()> = TcpSocket::bind;
    let _: fn(TcpSocket, u32) -> Got<TcpListener> = TcpSocket::listen;

    type Accepted = (TcpStream, SocketAddr);
    let _: fn(&TcpListener, &mut Context<'_>) -> Poll<Got<Accepted>> = TcpListener::poll_accept;
    let _: fn(&TcpListener) -> Got<SocketAddr> = TcpListener::local_addr;
    let _: fn(&TcpListener) -> Got<u32> = TcpListener::ttl;
    let _: fn(&TcpListener, u32) -> Got<()> = TcpListener::set_ttl;

    let _: [fn(&TcpStream) -> Got<SocketAddr>; 2] = [TcpStream::local_addr, TcpStream::peer_addr];
    let _: fn(&TcpStream) -> Got<Option<io::Error>> = TcpStream::take_error;
    let _: fn(&TcpStream, &mut Context<'_>, &mut ReadBuf<'_>) -> Poll<Got<usize>> =
        TcpStream::poll_peek;
    type PollReady = fn(&TcpStream, &mut Context<'_>) -> Poll<Got<()>>;
    let _: [PollReady; 2] = [TcpStream::poll_read_ready, TcpStream::poll_write_ready];
    let _: fn(&TcpStream, &mut [u8]) -> Got<usize> = TcpStream::try_read;
    let _: fn(&TcpStream, &mut [IoSliceMut<'_>]) -> Got<usize> = TcpStream::try_read_vectored;
    let _: fn(&TcpStream, &mut Vec<u8>) -> Got<usize> = TcpStream::try_read_buf;
    let _: fn(&TcpStream, &[u8]) -> Got<usize> = TcpStream::try_write;
    let _: fn(&TcpStream, &[IoSlice<'_>]) -> Got<usize> = TcpStream::try_write_vectored;
    let _: [fn(&TcpStream) -> Got<bool>; 2] = [TcpStream::nodelay, TcpStream::quickack];
    let _: [fn(&TcpStream, bool) -> Got<()>; 2] = [TcpStream::set_nodelay, TcpStream::set_quickack];
    let _: fn(&TcpStream) -> Got<Option<Duration>> = TcpStream::linger;
    let _: fn(&TcpStream) -> Got<()> = TcpStream::set_zero_linger;
    let _: fn(&TcpStream) -> Got<u32> = TcpStream::ttl;
    let _: fn(&TcpStream, u32) -> Got<()> = TcpStream::set_ttl;
    let _: fn(net::tcp::OwnedWriteHalf) = net::tcp::OwnedWriteHalf::forget;
}

/// Formats a result without the parts that vary between runs.
fn answer<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?} {:?}", error.kind(), error.raw_os_error()),
    }
}

async fn pair(listener: &net::TcpListener) -> io::Result<(net::TcpStream, net::TcpStream)> {
    let client = net::TcpStream::connect(listener.local_addr()?).await?;
    let (server, from) = listener.accept().await?;
    assert_eq!(from, client.local_addr()?);
    assert_eq!(server.peer_addr()?, client.local_addr()?);
    Ok((client, server))
}

/// Runs the program on loopback. Returns each result as a line.
pub(super) async fn run() -> io::Result<Vec<String>> {
    let mut seen = Vec::new();
    let mut note = |what: &str, answer: String| seen.push(format!("{what}: {answer}"));
    let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;

    // Options, before and after.
    let socket = net::TcpSocket::new_v4()?;
    note("unbound", answer(socket.local_addr()));
    note("reuseaddr", answer(socket.reuseaddr()));
    socket.set_reuseaddr(true)?;
    note("reuseaddr set", answer(socket.reuseaddr()));
    note("reuseport", answer(socket.reuseport()));
    socket.set_send_buffer_size(8_192)?;
    note("send buffer", answer(socket.send_buffer_size()));
    note("linger", answer(socket.linger()));
    note("no device", answer(socket.bind_device(Some(b"nosuch0"))));
    note(
        "foreign address",
        answer(socket.bind((Ipv4Addr::new(192, 0, 2, 1), 0).into())),
    );
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    note(
        "bound twice",
        answer(socket.bind((Ipv4Addr::LOCALHOST, 0).into())),
    );
    let bound = socket.local_addr()?;
    let mut client = socket.connect(at).await?;
    assert_eq!(client.local_addr()?, bound);
    let (mut server, _) = listener.accept().await?;
    note("nodelay", answer(client.nodelay()));
    client.set_nodelay(true)?;
    note("nodelay set", answer(client.nodelay()));
    note("ttl", answer(client.ttl()));
    client.set_ttl(9)?;
    note("ttl set", answer(client.ttl()));

    // The same address again.
    let taken = net::TcpListener::bind(at).await;
    note("listening twice", answer(taken.map(|_| ())));

    // Bytes.
    let mut buffer = [0; 16];
    note("nothing to read", answer(server.try_read(&mut buffer)));
    note(
        "writable",
        answer(
            client
                .ready(Interest::WRITABLE)
                .await
                .map(Ready::is_writable),
        ),
    );
    client.write_all(b"hello").await?;
    server.readable().await?;
    note("peek", answer(server.peek(&mut buffer).await));
    server.read_exact(&mut buffer[..2]).await?;
    let mut rest = Vec::with_capacity(16);
    note("the rest", answer(server.try_read_buf(&mut rest)));
    note("bytes", format!("{:?} {rest:?}", &buffer[..2]));
    note(
        "vectored",
        answer(client.try_write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"c")])),
    );
    note("three", answer(server.read_exact(&mut buffer[..3]).await));

    // Halves.
    {
        let (mut reader, mut writer) = client.split();
        writer.write_all(b"x").await?;
        note("borrowed half", answer(server.read_u8().await));
        server.write_all(b"y").await?;
        note("other half", answer(reader.read_u8().await));
    }
    let (other, _kept) = pair(&listener).await?;
    let (read, write) = client.into_split();
    let (other_read, other_write) = other.into_split();
    let error = read.reunite(other_write).expect_err("they are strangers");
    note("strangers", error.to_string());
    let net::tcp::ReuniteError(read, other_write) = error;
    drop(
        other_read
            .reunite(other_write)
            .expect("they are one stream"),
    );
    let mut client = read.reunite(write).expect("they are one stream");

    // A half close: the other direction stays open.
    client.shutdown().await?;
    note("after shutdown", answer(client.write_u8(1).await));
    note("end", answer(server.read(&mut buffer).await));
    server.write_all(b"bye").await?;
    drop(server);
    let mut text = String::new();
    note(
        "read to the end",
        answer(client.read_to_string(&mut text).await),
    );
    note("text", text);
    drop(client);

    // Dropping a writing half sends a FIN too.
    let (client, mut server) = pair(&listener).await?;
    let (mut read, write) = client.into_split();
    drop(write);
    note("dropped half", answer(server.read(&mut buffer).await));
    server.write_all(b"z").await?;
    note("the other lives", answer(read.read_u8().await));

    // Resets: unread bytes, and SO_LINGER of zero.
    let (mut client, server) = pair(&listener).await?;
    client.write_all(b"unread").await?;
    server.readable().await?;
    drop(server);
    note("unread", answer(client.read(&mut buffer).await));
    let (client, mut server) = pair(&listener).await?;
    client.set_zero_linger()?;
    note("zero linger", answer(client.linger()));
    drop(client);
    note("reset", answer(server.read(&mut buffer).await));

    datagrams(&mut note).await?;

    // No listener is left.
    drop(listener);
    note(
        "refused",
        answer(net::TcpStream::connect(at).await.map(|_| ())),
    );
    Ok(seen)
}
