//! `TcpSocket`: binding, listening, connecting, and its options.

use super::on_host;
use fourtuple_turmoil::net::TcpSocket;
use std::fmt::Debug;
use std::io;
use std::time::Duration;
use turmoil::Result;

type New = fn() -> io::Result<TcpSocket>;

const NEW: [New; 2] = [TcpSocket::new_v4, TcpSocket::new_v6];

/// Listens at `at` and connects, from `from` if it is given.
fn connects(new: New, at: &'static str, from: Option<&'static str>) -> Result {
    on_host(async move {
        let server = new()?;
        server.bind(at.parse()?)?;
        let listener = server.listen(128)?;
        let client = new()?;
        if let Some(from) = from {
            client.bind(from.parse()?)?;
        }
        let _client = client.connect(listener.local_addr()?).await?;
        listener.accept().await?;
        Ok(())
    })
}

#[test]
fn basic_usage_v4() -> Result {
    connects(TcpSocket::new_v4, "127.0.0.1:0", None)
}

#[test]
fn basic_usage_v6() -> Result {
    connects(TcpSocket::new_v6, "[::1]:0", None)
}

#[test]
fn bind_before_connect() -> Result {
    connects(TcpSocket::new_v4, "127.0.0.1:0", Some("127.0.0.1:0"))
}

#[test]
fn basic_linger() -> Result {
    on_host(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind("127.0.0.1:0".parse()?)?;
        assert_eq!(socket.linger()?, None);
        socket.set_zero_linger()?;
        assert_eq!(socket.linger()?, Some(Duration::ZERO));
        Ok(())
    })
}

/// Sets an option of new sockets to a value that it does not have before, and reads `expected`.
fn reads_back<T, V>(
    new: &'static [New],
    get: fn(&TcpSocket) -> io::Result<T>,
    set: fn(&TcpSocket, V) -> io::Result<()>,
    value: V,
    expected: T,
) -> Result
where
    T: PartialEq + Debug + 'static,
    V: Copy + 'static,
{
    on_host(async move {
        for new in new {
            let socket = new()?;
            assert_ne!(get(&socket)?, expected);
            set(&socket, value)?;
            assert_eq!(get(&socket)?, expected);
        }
        Ok(())
    })
}

#[test]
fn keepalive() -> Result {
    reads_back(
        &NEW,
        TcpSocket::keepalive,
        TcpSocket::set_keepalive,
        true,
        true,
    )
}

#[test]
fn reuseaddr() -> Result {
    reads_back(
        &NEW,
        TcpSocket::reuseaddr,
        TcpSocket::set_reuseaddr,
        true,
        true,
    )
}

#[test]
fn reuseport() -> Result {
    reads_back(
        &NEW,
        TcpSocket::reuseport,
        TcpSocket::set_reuseport,
        true,
        true,
    )
}

/// Linux reports twice the size that was set.
#[test]
fn send_buffer_size() -> Result {
    let (get, set) = (TcpSocket::send_buffer_size, TcpSocket::set_send_buffer_size);
    reads_back(&NEW, get, set, 4096, 8192)
}

#[test]
fn recv_buffer_size() -> Result {
    let (get, set) = (TcpSocket::recv_buffer_size, TcpSocket::set_recv_buffer_size);
    reads_back(&NEW, get, set, 4096, 8192)
}

#[test]
fn linger() -> Result {
    let ten = Some(Duration::from_secs(10));
    reads_back(&NEW, TcpSocket::linger, TcpSocket::set_linger, ten, ten)
}

#[test]
fn nodelay() -> Result {
    reads_back(&NEW, TcpSocket::nodelay, TcpSocket::set_nodelay, true, true)
}

#[test]
fn tclass_v6() -> Result {
    reads_back(
        &NEW[1..],
        TcpSocket::tclass_v6,
        TcpSocket::set_tclass_v6,
        96,
        96,
    )
}

#[test]
fn tos_v4() -> Result {
    reads_back(&NEW[..1], TcpSocket::tos_v4, TcpSocket::set_tos_v4, 96, 96)
}
