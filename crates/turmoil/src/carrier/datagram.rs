//! UDP datagrams and the ports of the carrier.

use super::wire::{SEGMENT_LEN, datagram, read_datagram};
use super::{FIRST_PORT, PORTS, pipe};
use crate::host::{Kernel, State};
use bytes::Bytes;
use fourtuple_kernel::{SegKind, Segment};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use turmoil::net::{TcpListener, UdpSocket};

/// Largest datagram that is read, in bytes: one of Linux's own, of the largest size.
const LARGEST: usize = SEGMENT_LEN + 65_507;

/// Most segments in one datagram.
const SEGMENTS: usize = LARGEST / SEGMENT_LEN;

/// The carrier's ports on a host: one for each host of the simulation, up to [`PORTS`].
pub(crate) struct Ports {
    any: IpAddr,
    open: u16,
    sender: UdpSocket,
}

impl Ports {
    /// Opens the ports.
    pub(crate) async fn open(kernel: &Arc<Kernel>, any: IpAddr) -> io::Result<Self> {
        let sender = UdpSocket::bind((any, FIRST_PORT + PORTS)).await?;
        let mut ports = Ports {
            any,
            open: 0,
            sender,
        };
        ports.open_more(kernel).await?;
        Ok(ports)
    }

    /// Opens ports for hosts that joined the simulation since the last call.
    pub(crate) async fn open_more(&mut self, kernel: &Arc<Kernel>) -> io::Result<()> {
        let hosts = u16::try_from(kernel.network.hosts()).unwrap_or(PORTS);
        while self.open < hosts.min(kernel.network.ports) {
            let at = (self.any, FIRST_PORT + self.open);
            self.open += 1;
            let udp = UdpSocket::bind(at).await?;
            tokio::task::spawn_local(receive(Arc::clone(kernel), udp));
            let tcp = TcpListener::bind(at).await?;
            tokio::task::spawn_local(accept(Arc::clone(kernel), tcp));
        }
        Ok(())
    }
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
            for (segment, payload) in segments {
                s.receive(from.ip(), segment, payload);
            }
        });
        kernel.network.arrived(count);
    }
}

async fn accept(kernel: Arc<Kernel>, listener: TcpListener) {
    while let Ok((stream, from)) = listener.accept().await {
        pipe::adopt(&kernel, from.ip(), stream);
    }
}

/// Segments and pipes of a kernel that wait for the network.
pub(crate) struct Outgoing {
    own: IpAddr,
    datagrams: Vec<(IpAddr, Vec<(Segment, Bytes)>)>,
    /// Hosts whose pipe is new.
    pipes: Vec<IpAddr>,
}

impl Outgoing {
    /// Takes the queued datagrams and the new pipes.
    pub(crate) fn take(s: &mut State) -> Self {
        Outgoing {
            own: s.own,
            datagrams: s.peers.datagrams(),
            pipes: s.peers.unstarted(),
        }
    }

    /// Sends the datagrams, and starts the tasks of the pipes.
    pub(crate) fn send(self, kernel: &Arc<Kernel>, ports: &Ports) {
        for host in self.pipes {
            pipe::start(kernel, host);
        }
        if self.datagrams.is_empty() {
            return;
        }
        let port = pipe::port_for(kernel, self.own);
        for (host, segments) in self.datagrams {
            // turmoil delays and loses each of Linux's own datagrams by itself.
            let own =
                |(segment, _): &(Segment, Bytes)| matches!(segment.kind(), SegKind::Datagram(_));
            let runs = segments.chunk_by(|a, b| !own(a) && !own(b));
            for some in runs.flat_map(|run| run.chunks(SEGMENTS)) {
                // An error means that the host is not on the network: the datagram is lost.
                let _ = ports
                    .sender
                    .try_send_to(&datagram(some), SocketAddr::new(host, port));
            }
        }
    }
}
