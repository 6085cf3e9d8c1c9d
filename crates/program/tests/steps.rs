//! The step form, on an engine that answers as the test says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::task::Poll;

use fourtuple_program::{
    Accepted, CallId, CallLog, Caller, Clock, HostId, Nanos, NewSocket, PortName, SockName,
    SocketApi, Step, StepPlan, run_steps,
};
use fourtuple_syscall::{Errno, Family, Kind, Outcome, Returned, SockOpt, Syscall};

const HOST: HostId = HostId(0);

/// Sockets are numbers. Connects to port 1 are answered after a second, those to port 2 never.
#[derive(Default)]
struct Engine {
    now: Nanos,
    made: u32,
    connecting: BTreeMap<u32, Nanos>,
    sysctls: Vec<String>,
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn local(socket: u32) -> Outcome {
    Outcome::Ok(Returned {
        local: Some(addr(40_000 + socket as u16)),
        ..Returned::default()
    })
}

impl SocketApi for Engine {
    type Socket = u32;
    type Reason = ();

    fn socket(&mut self, _: &NewSocket) -> Result<u32, Outcome> {
        self.made += 1;
        Ok(self.made)
    }

    fn call(&mut self, socket: u32, call: &Syscall<()>) -> Poll<Outcome> {
        Poll::Ready(match *call {
            Syscall::Set {
                option: SockOpt::ReuseAddr(true),
                ..
            } => Outcome::Err(Errno::ENOPROTOOPT),
            Syscall::Bind { .. } => local(socket),
            Syscall::Connect { addr, .. } if addr.port() < 3 => {
                let time = if addr.port() == 1 {
                    1_000_000_000
                } else {
                    u64::MAX
                };
                self.connecting
                    .insert(socket, self.now.saturating_add(time));
                return Poll::Pending;
            }
            Syscall::Recv { .. } => Outcome::WouldBlock,
            _ => Outcome::OK,
        })
    }

    fn poll_connect(&mut self, socket: u32) -> Poll<Outcome> {
        match self.connecting.get(&socket) {
            Some(at) if *at > self.now => Poll::Pending,
            _ => Poll::Ready(local(socket)),
        }
    }

    fn accept(&mut self, _: u32) -> Result<Accepted<u32>, Outcome> {
        Err(Outcome::WouldBlock)
    }

    fn sysctl(&mut self, _: HostId, key: &str, value: &str) {
        self.sysctls.push(format!("{key}={value}"));
    }
}

impl Clock for Engine {
    fn now(&self) -> Nanos {
        self.now
    }

    fn next_event(&mut self) -> Option<Nanos> {
        let at = self.connecting.values().copied();
        at.filter(|at| *at > self.now && *at < u64::MAX).min()
    }

    fn advance(&mut self, to: Nanos) {
        self.now = to;
    }
}

/// Calls in words: `2 connect :80 ok`, the step, the call, the port of its address, the outcome.
#[derive(Default)]
struct Log(Vec<String>);

impl CallLog<()> for Log {
    fn done(&mut self, _: Nanos, _: Caller, _: &Syscall<()>, _: &Outcome, _: Option<()>) {
        panic!("steps begin and end");
    }

    fn begin(&mut self, _: Nanos, caller: Caller, call: &Syscall<()>) -> CallId {
        let Caller::Step(step) = caller else {
            panic!("steps have no instances");
        };
        let port = match call {
            Syscall::Bind { addr, .. } | Syscall::Connect { addr, .. } => {
                format!(" :{}", addr.port())
            }
            _ => String::new(),
        };
        self.0.push(format!("{step} {}{port}", call.op()));
        CallId(self.0.len() as u32 - 1)
    }

    fn end(&mut self, _: Nanos, id: CallId, outcome: &Outcome, _: Option<()>) {
        self.0[id.0 as usize] += &format!(" {outcome}");
    }
}

const A: SockName = SockName(0);
const P: PortName = PortName(0);

fn socket(nonblock: bool, options: Vec<SockOpt>) -> Step {
    Step::Socket {
        sock: A,
        host: HOST,
        family: Family::Inet,
        kind: Kind::Stream,
        uid: 0,
        nonblock,
        listens: false,
        options,
        implicit: false,
    }
}

fn call(call: Syscall<SockName>) -> Step {
    Step::Call {
        call,
        port: None,
        port_as: None,
    }
}

fn connect(port: u16) -> Syscall<SockName> {
    Syscall::Connect {
        sock: A,
        addr: addr(port),
    }
}

fn run(steps: Vec<Step>) -> (Vec<String>, Engine) {
    let (mut engine, mut log) = (Engine::default(), Log::default());
    run_steps(&StepPlan::new(steps), &mut engine, &mut log, |_, _| {});
    (log.0, engine)
}

#[test]
fn ports_are_kept_and_passed() {
    let port = |of: Syscall<SockName>, port, port_as| Step::Call {
        call: of,
        port,
        port_as,
    };
    let bind = Syscall::Bind {
        sock: A,
        addr: addr(0),
    };
    let (log, _) = run(vec![
        socket(false, Vec::new()),
        port(connect(0), Some(P), None),
        port(bind, None, Some(P)),
        port(connect(0), Some(P), None),
    ]);
    let expected = [
        "0 socket ok",
        "1 connect :0 NOPORT",
        "2 bind :0 ok",
        "3 connect :40001 ok",
    ];
    assert_eq!(log, expected);
}

#[test]
fn closed_sockets_are_bad_descriptors() {
    let (log, _) = run(vec![
        call(Syscall::Getsockname { sock: A }),
        socket(
            false,
            vec![SockOpt::ReuseAddr(true), SockOpt::ReusePort(true)],
        ),
        call(Syscall::Close { sock: A }),
        call(connect(80)),
    ]);
    let expected = [
        "0 getsockname EBADF",
        "1 socket ENOPROTOOPT",
        "2 close ok",
        "3 connect :80 EBADF",
    ];
    assert_eq!(log, expected);
}

#[test]
fn only_blocking_connects_wait() {
    let recv = Syscall::Recv { sock: A, len: 1 };
    let (log, engine) = run(vec![
        socket(false, Vec::new()),
        call(recv),
        call(connect(1)),
        socket(true, Vec::new()),
        call(recv),
        call(connect(1)),
        Step::Sleep(5),
        socket(false, Vec::new()),
        call(connect(2)),
        Step::Sysctl {
            host: HOST,
            settings: vec![("a".to_owned(), "1".to_owned())],
        },
    ]);
    let expected = [
        "0 socket ok",
        "1 recv WAITING",
        "2 connect :1 ok",
        "3 socket ok",
        "4 recv EAGAIN",
        "5 connect :1 EINPROGRESS",
        "7 socket ok",
        "8 connect :2 WAITING",
    ];
    assert_eq!(log, expected);
    assert_eq!(engine.sysctls, ["a=1"]);
    // The second connect is answered while the third waits.
    assert_eq!(engine.now, 2_000_000_000);
}
