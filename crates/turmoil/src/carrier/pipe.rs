//! The pipe to another host: one task that opens it and writes, and one that reads.

use super::FIRST_PORT;
use super::peers::{Due, Peer, Pipe, Stream};
use super::wire::{Body, Message, Read, put_message, take_message};
use crate::host::{Kernel, State};
use crate::network::Frame;
use bytes::{Buf, BytesMut};
use fourtuple_kernel::Time;
use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncReadExt, AsyncWrite as _, AsyncWriteExt};
use turmoil::net::TcpStream;
use turmoil::net::tcp::OwnedReadHalf;

/// Bytes of one read.
const CHUNK: usize = 16 * 1024;

fn stream(kernel: &Arc<Kernel>, host: IpAddr, stream: TcpStream) -> Stream {
    let id = kernel.enter(|s| s.peers.of(host).next_stream());
    let (read_half, writer) = stream.into_split();
    let reader = tokio::task::spawn_local(read(Arc::clone(kernel), host, id, read_half));
    Stream { id, writer, reader }
}

/// The port of other hosts that receives from this host.
pub(super) fn port_for(kernel: &Kernel, own: IpAddr) -> u16 {
    let order = kernel.network.order(own) % usize::from(kernel.network.ports);
    FIRST_PORT + u16::try_from(order).unwrap_or(0)
}

/// Adds a stream opened by the peer.
pub(super) fn adopt(kernel: &Arc<Kernel>, host: IpAddr, accepted: TcpStream) {
    let stream = stream(kernel, host, accepted);
    kernel.enter(|s| {
        let peer = s.peers.of(host);
        peer.adopted.push(stream);
        peer.set_pipe(Pipe::Open, &mut s.woken);
        s.kick = true;
    });
}

/// Starts the task of a pipe.
pub(super) fn start(kernel: &Arc<Kernel>, host: IpAddr) {
    let task = Writer {
        kernel: Arc::clone(kernel),
        host,
        streams: Vec::new(),
        connecting: None,
        stale: BTreeSet::new(),
        out: Out::default(),
        timer: None,
    };
    tokio::task::spawn_local(task.run());
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

/// The result of looking at a peer.
enum Check {
    /// Streams opened by the peer, and those that have ended.
    Streams(Vec<Stream>, Vec<u64>),
    /// A stream is needed; the address of this host.
    Open(IpAddr),
    /// Nothing before this time.
    Wait(Option<Time>),
}

struct Writer {
    kernel: Arc<Kernel>,
    host: IpAddr,
    /// All streams to the host; the last one is used for writing.
    streams: Vec<Stream>,
    connecting: Option<Connecting>,
    /// Streams that are closed once the one being opened is ready.
    stale: BTreeSet<u64>,
    /// Encoded messages that are not written yet.
    out: Out,
    timer: Option<Timer>,
}

/// A timer that wakes a pipe's task. It may fire early: the time of the next check mostly moves on
/// before it has come, and the timer only follows once it fires.
struct Timer {
    at: Time,
    sleep: Pin<Box<dyn Future<Output = ()>>>,
}

/// Encoded messages in the portions that are written at once: turmoil draws a latency for each.
#[derive(Default)]
struct Out(VecDeque<BytesMut>);

impl Out {
    fn push(&mut self, message: &Message<'_>) {
        let is_bulk = matches!(message, Message::Frame { body, .. } if body.is_bulk());
        match self.0.back_mut().filter(|_| !is_bulk) {
            Some(last) => put_message(last, message),
            None => {
                let mut portion = BytesMut::new();
                put_message(&mut portion, message);
                self.0.push_back(portion);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    /// The bytes to write next.
    fn front(&self) -> &[u8] {
        self.0.front().map_or(&[], |portion| portion)
    }

    /// Removes bytes that were written.
    fn advance(&mut self, count: usize) {
        if let Some(portion) = self.0.front_mut() {
            portion.advance(count);
            if portion.is_empty() {
                self.0.pop_front();
            }
        }
    }
}

impl Writer {
    fn peer<R>(&self, f: impl FnOnce(&mut Peer, Time) -> R) -> R {
        self.kernel.enter(|s| {
            let now = s.machine.now();
            f(s.peers.of(self.host), now)
        })
    }

    async fn run(mut self) {
        let notify = self.peer(|p, _| Arc::clone(&p.notify));
        loop {
            let deadline = self.check();
            let mut is_broken = false;
            while let Some(written) = self.write_now() {
                is_broken |= written.is_err();
                self.written(written);
            }
            if is_broken {
                continue;
            }
            self.arm(deadline);
            tokio::select! {
                biased;
                // The tasks that were woken with this one write first: one message carries it all.
                () = notify.notified() => tokio::task::yield_now().await,
                opened = optional(self.connecting.as_mut()) => self.opened(opened),
                written = write(self.streams.last_mut(), &self.out) => self.written(written),
                () = fired(self.timer.as_mut()) => self.timer = None,
            }
        }
    }

    /// Sets the timer to a time, unless it fires before that anyway.
    fn arm(&mut self, deadline: Option<Time>) {
        let Some(at) = deadline else {
            return;
        };
        if self.timer.as_ref().is_none_or(|timer| at < timer.at) {
            let network = Arc::clone(&self.kernel.network);
            let sleep = Box::pin(async move { network.sleep_until(Some(at)).await });
            self.timer = Some(Timer { at, sleep });
        }
    }

    /// Handles changes of the streams, encodes the messages that the channel has to write, and
    /// opens a stream if one is needed. Returns the time of the next check.
    fn check(&mut self) -> Option<Time> {
        loop {
            let (is_connecting, is_open) = (self.connecting.is_some(), !self.streams.is_empty());
            // If the engine sets the clock, packets are neither late nor lost, so there is no
            // timeout.
            let patient = self.kernel.network.clock.is_set();
            let (out, host) = (&mut self.out, self.host);
            let check = self.kernel.enter(|s| {
                let now = s.machine.now();
                let peer = s.peers.of(host);
                peer.signalled = false;
                if !peer.adopted.is_empty() || !peer.ended.is_empty() {
                    let adopted = std::mem::take(&mut peer.adopted);
                    return Check::Streams(adopted, std::mem::take(&mut peer.ended));
                }
                if is_open && out.is_empty() {
                    peer.channel.take(now, |message| out.push(message));
                }
                let acknowledge = peer.channel.acknowledges_at().filter(|at| *at > now);
                let give_up = if patient { None } else { s.give_up(host) };
                let next = [acknowledge, give_up].into_iter().flatten().min();
                if is_connecting {
                    return Check::Wait(next);
                }
                match s.peers.of(host).due(now, is_open, patient) {
                    Due::Now => Check::Open(s.own),
                    Due::At(due) => Check::Wait(due.into_iter().chain(next).min()),
                }
            });
            match check {
                Check::Streams(adopted, ended) => self.collect(adopted, &ended),
                Check::Open(own) => self.open(own),
                Check::Wait(next) => return next,
            }
        }
    }

    /// Adds the streams opened by the peer, and drops the ones that have ended.
    fn collect(&mut self, adopted: Vec<Stream>, ended: &[u64]) {
        if !adopted.is_empty() {
            self.finish_message();
            self.streams.extend(adopted);
            self.peer(|p, _| p.channel.switch());
        }
        let current = self.streams.last().map(|s| s.id);
        self.streams.retain(|s| !ended.contains(&s.id));
        if self.streams.last().map(|s| s.id) != current {
            self.broken();
        }
    }

    /// Prepares the rest of the current messages to be written again to the new stream.
    fn finish_message(&mut self) {
        if !self.out.is_empty() {
            self.out.clear();
            self.peer(|p, _| p.channel.restart());
        }
    }

    /// Handles the loss of the stream used for writing.
    fn broken(&mut self) {
        self.out.clear();
        let left = !self.streams.is_empty();
        self.kernel.enter(|s| {
            let peer = s.peers.of(self.host);
            peer.channel.restart();
            if !left {
                peer.set_pipe(Pipe::Broken, &mut s.woken);
            }
        });
    }

    /// Opens a stream.
    fn open(&mut self, own: IpAddr) {
        self.stale = self.streams.iter().map(|s| s.id).collect();
        let at = SocketAddr::new(self.host, port_for(&self.kernel, own));
        self.connecting = Some(Box::pin(TcpStream::connect(at)));
    }

    fn opened(&mut self, opened: io::Result<TcpStream>) {
        self.connecting = None;
        match opened {
            Ok(opened) => {
                let replaced = self.streams.iter().any(|s| self.stale.contains(&s.id));
                if replaced {
                    self.out.clear();
                    self.peer(|p, _| p.channel.restart());
                } else {
                    self.finish_message();
                }
                self.streams.retain(|s| !self.stale.contains(&s.id));
                let stream = stream(&self.kernel, self.host, opened);
                self.streams.push(stream);
                self.kernel.enter(|s| {
                    let peer = s.peers.of(self.host);
                    peer.channel.switch();
                    peer.set_pipe(Pipe::Open, &mut s.woken);
                });
            }
            Err(_) => {
                let left = !self.streams.is_empty();
                self.kernel.enter(|s| {
                    let peer = s.peers.of(self.host);
                    if !left {
                        peer.rto.expired();
                        peer.set_pipe(Pipe::Broken, &mut s.woken);
                    }
                });
            }
        }
    }

    /// Writes what is encoded before the task waits again, if the stream has space for it.
    fn write_now(&mut self) -> Option<io::Result<usize>> {
        let stream = self.streams.last_mut().filter(|_| !self.out.is_empty())?;
        // Without space, the task waits for it as for everything else.
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut stream.writer).poll_write(&mut cx, self.out.front()) {
            Poll::Ready(written) => Some(written),
            Poll::Pending => None,
        }
    }

    fn written(&mut self, written: io::Result<usize>) {
        match written {
            Ok(count) => self.out.advance(count),
            Err(_) => {
                self.streams.pop();
                self.broken();
            }
        }
    }
}

async fn optional(connecting: Option<&mut Connecting>) -> io::Result<TcpStream> {
    match connecting {
        Some(connecting) => connecting.await,
        None => pending().await,
    }
}

async fn write(stream: Option<&mut Stream>, out: &Out) -> io::Result<usize> {
    match stream {
        Some(stream) if !out.is_empty() => stream.writer.write(out.front()).await,
        _ => pending().await,
    }
}

async fn fired(timer: Option<&mut Timer>) {
    match timer {
        Some(timer) => timer.sleep.as_mut().await,
        None => pending().await,
    }
}

/// Reads a stream to its end.
async fn read(kernel: Arc<Kernel>, host: IpAddr, id: u64, mut half: OwnedReadHalf) {
    let mut buffer = BytesMut::new();
    let mut boot = 0;
    loop {
        buffer.reserve(CHUNK);
        match half.read_buf(&mut buffer).await {
            Ok(count) if count > 0 => {}
            _ => break,
        }
        let (arrived, fits) = kernel.enter(|s| receive(s, host, &mut boot, &mut buffer));
        kernel.network.arrived(arrived);
        if !fits {
            break;
        }
    }
    kernel.enter(|s| {
        let peer = s.peers.of(host);
        peer.ended.push(id);
        peer.signal();
    });
}

/// Handles the messages in a buffer. Returns the number of delivered frames, and `false` if the
/// stream is of no further use.
fn receive(s: &mut State, host: IpAddr, boot: &mut u64, buffer: &mut BytesMut) -> (u64, bool) {
    let mut arrived = 0;
    s.peers.of(host).heard();
    loop {
        let message = match take_message(buffer) {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(_) => return (arrived, false),
        };
        let now = s.machine.now();
        let peer = s.peers.of(host);
        match message {
            Read::Hello { boot: from, first } => {
                *boot = from;
                if !peer.channel.hello(from, first) {
                    return (arrived, false);
                }
            }
            Read::Ack { next } => {
                let (news, round_trip) = peer.channel.ack(*boot, next, now);
                if let Some(round_trip) = round_trip {
                    peer.rto.measured(round_trip);
                }
                if news {
                    peer.rto.progress();
                }
            }
            Read::Frame { number, body } => {
                let (mut next, wakes) = peer.channel.frame(*boot, number, body, now);
                if wakes {
                    peer.signal();
                }
                while let Some((number, body)) = next {
                    arrived += deliver(s, host, (*boot, s.own, number), body);
                    next = s.peers.of(host).channel.next();
                }
            }
        }
    }
    (arrived, true)
}

/// Hands a frame of another host to the kernel. Returns the number of segments that it carries.
fn deliver(s: &mut State, host: IpAddr, frame: Frame, body: Body) -> u64 {
    match body {
        Body::Nothing => return 0,
        Body::Segment(segment) | Body::Full(segment) | Body::Probe(segment) => {
            let payload = s.network.payloads.take(frame);
            s.fills_window = matches!(body, Body::Full(_));
            s.receive(host, segment, payload);
            s.fills_window = false;
        }
        Body::Credit { from, to, read } => s.credit_arrived(host, (from, to), read),
    }
    1
}
