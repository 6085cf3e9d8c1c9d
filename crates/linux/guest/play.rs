//! The processes of a scenario's declarative form on the kernel: an engine of the interpreter that
//! all engines share.
//!
//! The real clock is only waited for: a call is never made earlier than its virtual time, and the
//! order of calls does not depend on how long they take. The host side runs the same interpreter on
//! the records, so they are all that is sent: one for each call, in order.

use crate::frame::{Addr, Operands, Output, Record};
use crate::program::{Dispatcher, Op};
use crate::wire::*;
use crate::{memory, sys};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::Poll;
use fourtuple_program::{
    Accepted, CallId, CallLog, Caller, Clock, HostId, Interpreter, Nanos, NewSocket, Plan,
    RealClock, SocketApi, codec, run_blocking,
};
use fourtuple_syscall::{Errno, Kind, Outcome, Returned, Syscall};

/// Times that a listener is asked for a connection that has been made, with a pause of a
/// millisecond before each but the first.
const PATIENCE: u32 = 20;

/// Runs the processes, and puts the records into `out`.
pub fn run(operands: &[u8], stage: &mut Dispatcher, out: &mut Output) {
    let mark = memory::mark();
    play(operands, stage, out);
    // SAFETY: all that `play` has allocated is dropped.
    unsafe { memory::release(mark) };
}

fn play(operands: &[u8], stage: &mut Dispatcher, out: &mut Output) {
    let mut o = Operands(operands);
    let (next_slot, wait_ms) = (o.u16(), o.u32());
    let standing = o.u16();
    let standing: Vec<_> = (0..standing).map(|_| (o.u8(), o.u16(), o.u16())).collect();
    // Without processes there are no records, which the host side notices.
    let plan = Plan::new(codec::decode(&mut o.0).unwrap_or_default());
    let mut interpreter = Interpreter::new(&plan);
    let mut kernel = Kernel {
        stage,
        out,
        next_slot,
        wait_ms,
        listeners: Vec::new(),
        connected: false,
        clock: RealClock::default(),
    };
    for (host, slot, port) in standing {
        let listener = Handle {
            host,
            process: 0,
            slot,
        };
        interpreter.add_listener(HostId(host.into()), port, listener);
        kernel.listeners.push((listener, port));
    }
    run_blocking(&plan, &mut interpreter, &mut kernel, &mut NoLog);
}

/// A socket.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Handle {
    host: u8,
    /// The process that has it; 0: the one that stands for the host.
    process: u16,
    slot: u16,
}

/// A short list of operands.
struct Build {
    bytes: [u8; 96],
    len: usize,
}

impl Build {
    fn new(slot: u16) -> Build {
        Build {
            bytes: [0; 96],
            len: 0,
        }
        .push(&slot.to_le_bytes())
    }

    fn push(mut self, bytes: &[u8]) -> Build {
        if let Some(to) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            to.copy_from_slice(bytes);
            self.len += bytes.len();
        }
        self
    }
}

/// The kernel as the interpreter sees it.
struct Kernel<'a, 'b, 'c> {
    stage: &'a mut Dispatcher<'b>,
    out: &'a mut Output<'c>,
    next_slot: u16,
    wait_ms: u32,
    listeners: Vec<(Handle, u16)>,
    /// A connection has been made that is not accepted yet.
    connected: bool,
    clock: RealClock,
}

impl Kernel<'_, '_, '_> {
    fn slot(&mut self) -> u16 {
        let slot = self.next_slot;
        self.next_slot = self.next_slot.saturating_add(1);
        slot
    }

    fn perform(&mut self, on: Handle, code: u8, o: &Build) -> Record {
        self.stage.perform(Op {
            code,
            host: on.host,
            process: on.process,
            operands: &o.bytes[..o.len],
        })
    }

    fn note(&mut self, record: &Record) {
        self.clock.returned(record.at_us());
        self.out.push(record.bytes());
    }

    /// Makes a call.
    fn make(&mut self, on: Handle, code: u8, o: &Build) -> Record {
        let record = self.perform(on, code, o);
        self.note(&record);
        record
    }

    fn connect(&mut self, s: Handle, o: &Build) -> Outcome {
        let record = self.perform(s, OP_CONNECT, o);
        self.clock.connected(record.at_us());
        self.out.push(record.bytes());
        let Outcome::Ok(returned) = outcome(&record) else {
            return outcome(&record);
        };
        self.connected = true;
        let peer = self.make(s, OP_GETPEERNAME, &Build::new(s.slot));
        Outcome::Ok(Returned {
            peer: socket_addr(peer.addr()),
            ..returned
        })
    }

    /// Asks a listener until it has a connection, if it must get one.
    fn accepted(&mut self, listener: Handle, into: Handle) -> Record {
        let mut here = self.listeners.iter().filter(|(one, _)| *one == listener);
        let port = here.next().map(|(_, port)| *port);
        let same = |one: &(Handle, u16)| one.0.host == listener.host && Some(one.1) == port;
        // Of several listeners on a port any may get the connection.
        let alone = self.listeners.iter().filter(|one| same(one)).count() == 1;
        let patience = if self.connected && alone { PATIENCE } else { 1 };
        let o = Build::new(listener.slot)
            .push(&into.slot.to_le_bytes())
            .push(&UID_INHERIT.to_le_bytes())
            .push(&1u32.to_le_bytes());
        let mut record = self.perform(listener, OP_ACCEPT, &o);
        for _ in 1..patience {
            if record.result() == 0 {
                break;
            }
            let _ = sys::sleep_ms(1);
            record = self.perform(listener, OP_ACCEPT, &o);
        }
        self.note(&record);
        record
    }
}

/// The outcome that a record says.
fn outcome(record: &Record) -> Outcome {
    match record.result() {
        0 => Outcome::Ok(Returned {
            local: socket_addr(record.addr()),
            ..Returned::default()
        }),
        RESULT_WAITING => Outcome::WouldBlock,
        errno => Outcome::Err(u16::try_from(errno).map_or(Errno::EBADF, Errno::new)),
    }
}

impl SocketApi for Kernel<'_, '_, '_> {
    type Socket = Handle;
    type Reason = ();

    fn socket(&mut self, new: &NewSocket) -> Result<Handle, Outcome> {
        let socket = Handle {
            host: new.at.0 as u8,
            process: match new.by {
                Caller::Instance { process, .. } => process.0 as u16 + 1,
                Caller::Server | Caller::Step(_) => 0,
            },
            slot: self.slot(),
        };
        let family = if new.family.number() == sys::AF_INET6 {
            6
        } else {
            4
        };
        let nonblock = if new.listens { SOCKET_NONBLOCK } else { 0 };
        let flags = nonblock
            | match new.kind {
                Kind::Stream => 0,
                Kind::Datagram => SOCKET_DATAGRAM,
            };
        let o = Build::new(socket.slot)
            .push(&[family, flags])
            .push(&new.uid.to_le_bytes());
        match outcome(&self.make(socket, OP_SOCKET, &o)) {
            Outcome::Ok(_) => Ok(socket),
            failed => Err(failed),
        }
    }

    fn call(&mut self, s: Handle, call: &Syscall<()>) -> Poll<Outcome> {
        let o = Build::new(s.slot);
        let (code, o) = match *call {
            Syscall::Set { option, .. } => {
                let encoded = option.encode();
                let o = o
                    .push(&encoded.level.to_le_bytes())
                    .push(&encoded.option.to_le_bytes())
                    .push(&(encoded.value().len() as u16).to_le_bytes())
                    .push(encoded.value());
                (OP_SET, o)
            }
            Syscall::Bind { addr, .. } => (OP_BIND, o.push(&addr_of(addr))),
            Syscall::Listen { backlog, .. } => (OP_LISTEN, o.push(&backlog.to_le_bytes())),
            Syscall::Connect { addr, .. } => {
                let o = o.push(&addr_of(addr)).push(&self.wait_ms.to_le_bytes());
                return Poll::Ready(self.connect(s, &o));
            }
            Syscall::Close { .. } => {
                self.listeners.retain(|(listener, _)| *listener != s);
                (OP_CLOSE, o)
            }
            _ => return Poll::Ready(Outcome::Unsupported("processes make no such call")),
        };
        let outcome = outcome(&self.make(s, code, &o));
        if let (OP_LISTEN, Outcome::Ok(returned)) = (code, outcome)
            && let Some(at) = returned.local
        {
            self.listeners.push((s, at.port()));
        }
        Poll::Ready(outcome)
    }

    fn poll_connect(&mut self, _: Handle) -> Poll<Outcome> {
        // A connect blocks until it is answered, or its time is up.
        Poll::Pending
    }

    fn accept(&mut self, listener: Handle) -> Result<Accepted<Handle>, Outcome> {
        let socket = Handle {
            slot: self.next_slot,
            ..listener
        };
        let record = self.accepted(listener, socket);
        if record.result() != 0 {
            return Err(outcome(&record));
        }
        self.slot();
        self.connected = false;
        let local = self.make(socket, OP_GETSOCKNAME, &Build::new(socket.slot));
        let nowhere = SocketAddr::from(([0; 4], 0));
        Ok(Accepted {
            socket,
            local: socket_addr(local.addr()).unwrap_or(nowhere),
            peer: socket_addr(record.addr()),
        })
    }

    fn sysctl(&mut self, _: HostId, _: &str, _: &str) {}
}

impl Clock for Kernel<'_, '_, '_> {
    fn now(&self) -> Nanos {
        self.clock.now()
    }

    fn next_event(&mut self) -> Option<Nanos> {
        None
    }

    fn advance(&mut self, to: Nanos) {
        self.clock.advance(to);
        let ahead = to.saturating_sub(self.clock.elapsed(sys::now_us()));
        if ahead > 0 {
            let _ = sys::sleep_ns(ahead);
        }
        self.note(&Record::ok());
    }
}

/// The calls are not noted: the records say it all.
struct NoLog;

impl CallLog<()> for NoLog {
    fn done(&mut self, _: Nanos, _: Caller, _: &Syscall<()>, _: &Outcome, _: Option<()>) {}

    fn begin(&mut self, _: Nanos, _: Caller, _: &Syscall<()>) -> CallId {
        CallId(0)
    }

    fn end(&mut self, _: Nanos, _: CallId, _: &Outcome, _: Option<()>) {}
}

/// The address that a record carries, for the comparison of ends of connections: an IPv4 address
/// as what it is, without a scope.
fn socket_addr(addr: Addr) -> Option<SocketAddr> {
    let addr = addr.plain();
    let ip: IpAddr = match *addr.ip() {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        _ => Ipv6Addr::from(addr.ip).into(),
    };
    (addr.family != 0).then(|| SocketAddr::new(ip, addr.port))
}

/// An address as an operand.
fn addr_of(addr: SocketAddr) -> [u8; ADDRESS] {
    let mut raw = [0; ADDRESS];
    raw[1..3].copy_from_slice(&addr.port().to_le_bytes());
    match addr {
        SocketAddr::V4(four) => {
            raw[0] = 4;
            raw[7..11].copy_from_slice(&four.ip().octets());
        }
        SocketAddr::V6(six) => {
            raw[0] = 6;
            raw[3..7].copy_from_slice(&six.scope_id().to_le_bytes());
            raw[7..].copy_from_slice(&six.ip().octets());
        }
    }
    raw
}
