//! Datagrams and the ports of the carrier.

use super::wire::{datagram, read_datagram};
use super::{FIRST_PORT, PORTS, pipe};
use crate::host::Kernel;
use bytes::Bytes;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use turmoil::net::{TcpListener, UdpSocket};

/// Largest datagram that is read: as many segments as fit into 64 KiB.
const LARGEST: usize = 64 * 1024;

/// How many segments one datagram takes.
const SEGMENTS: usize = LARGEST / 42;

/// Opens the carrier's ports on this host. Returns the socket to send from.
pub(crate) async fn listen(kernel: &Arc<Kernel>, any: IpAddr) -> io::Result<UdpSocket> {
    for port in FIRST_PORT..FIRST_PORT + PORTS {
        let udp = UdpSocket::bind((any, port)).await?;
        tokio::task::spawn_local(receive(Arc::clone(kernel), udp));
        let tcp = TcpListener::bind((any, port)).await?;
        tokio::task::spawn_local(accept(Arc::clone(kernel), tcp));
    }
    UdpSocket::bind((any, FIRST_PORT + PORTS)).await
}

/// The port on which `to` hears this host.
pub(super) fn port_for(kernel: &Kernel, own: IpAddr) -> u16 {
    let order = kernel.network.order(own) % usize::from(PORTS);
    FIRST_PORT + u16::try_from(order).unwrap_or(0)
}

async fn receive(kernel: Arc<Kernel>, udp: UdpSocket) {
    let mut buffer = vec![0; LARGEST];
    while let Ok((len, from)) = udp.recv_from(&mut buffer).await {
        let segments = read_datagram(&buffer[..len]);
        if segments.is_empty() {
            continue;
        }
        let count = segments.len() as u64;
        kernel.enter(|s| {
            s.peers.of(from.ip()).heard();
            for segment in segments {
                s.receive(segment, Bytes::new());
            }
            s.kick = true;
        });
        kernel.network.arrived(count);
    }
}

async fn accept(kernel: Arc<Kernel>, listener: TcpListener) {
    while let Ok((stream, from)) = listener.accept().await {
        pipe::adopt(&kernel, from.ip(), stream);
    }
}

/// Sends the datagrams that wait, and starts the tasks of new pipes.
pub(crate) fn flush(kernel: &Arc<Kernel>, sender: &UdpSocket) {
    let (own, datagrams, new) = kernel.enter(|s| (s.own, s.peers.datagrams(), s.peers.unstarted()));
    for host in new {
        pipe::start(kernel, host);
    }
    let port = port_for(kernel, own);
    for (host, segments) in datagrams {
        for some in segments.chunks(SEGMENTS) {
            // An error means that the host is not on the network: the datagram is lost.
            let _ = sender.try_send_to(&datagram(some), SocketAddr::new(host, port));
        }
    }
}
