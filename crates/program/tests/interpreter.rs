//! The order of calls, on an engine whose network answers when the test says so.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::task::Poll;

use fourtuple_program::{
    Accepted, AcceptedFate, CallId, CallLog, Caller, Clock, Close, HostId, Interpreter, Nanos,
    NewSocket, Plan, Process, ProcessId, Role, SocketApi, Target, run,
};
use fourtuple_syscall::{Errno, Family, Outcome, Returned, SockOpt, Syscall};

const APP: HostId = HostId(0);
const API: HostId = HostId(1);

/// Sockets are numbers; a connect to a port that someone listens on succeeds after `latency`.
#[derive(Default)]
struct Net {
    now: Nanos,
    latency: Nanos,
    sockets: u32,
    listeners: BTreeMap<u16, u32>,
    /// Connections that wait to be accepted: listener, client's and server's port.
    backlog: Vec<(u32, SocketAddr, SocketAddr)>,
    pending: BTreeMap<u32, (Nanos, SocketAddr)>,
    families: Vec<Family>,
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

impl Net {
    fn local(socket: u32) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 40_000 + socket as u16))
    }

    fn answer(&mut self, socket: u32, to: SocketAddr) -> Outcome {
        let Some(listener) = self.listeners.get(&to.port()) else {
            return Outcome::Err(Errno::ECONNREFUSED);
        };
        let local = Net::local(socket);
        self.backlog.push((*listener, to, local));
        Outcome::Ok(Returned {
            local: Some(local),
            peer: Some(to),
            ..Returned::default()
        })
    }
}

impl SocketApi for Net {
    type Socket = u32;
    type Reason = ();

    fn socket(&mut self, new: &NewSocket) -> Result<u32, Outcome> {
        self.sockets += 1;
        self.families.push(new.family);
        Ok(self.sockets)
    }

    fn call(&mut self, socket: u32, call: &Syscall<()>) -> Poll<Outcome> {
        Poll::Ready(match *call {
            Syscall::Bind { addr, .. } if addr.port() == 1 => Outcome::Err(Errno::EACCES),
            Syscall::Bind { addr, .. } => {
                self.listeners.insert(addr.port(), socket);
                Outcome::OK
            }
            Syscall::Connect { addr, .. } if self.latency > 0 => {
                self.pending.insert(socket, (self.now + self.latency, addr));
                return Poll::Pending;
            }
            Syscall::Connect { addr, .. } => self.answer(socket, addr),
            _ => Outcome::OK,
        })
    }

    fn poll_connect(&mut self, socket: u32) -> Poll<Outcome> {
        match self.pending.get(&socket).copied() {
            Some((at, to)) if at <= self.now => {
                self.pending.remove(&socket);
                Poll::Ready(self.answer(socket, to))
            }
            _ => Poll::Pending,
        }
    }

    fn accept(&mut self, listener: u32) -> Result<Accepted<u32>, Outcome> {
        let place = self.backlog.iter().position(|one| one.0 == listener);
        let (_, local, peer) = self.backlog.remove(place.ok_or(Outcome::WouldBlock)?);
        self.sockets += 1;
        Ok(Accepted {
            socket: self.sockets,
            local,
            peer: Some(peer),
        })
    }

    fn sysctl(&mut self, _: HostId, _: &str, _: &str) {}

    fn close(&mut self, socket: u32) {
        self.listeners.retain(|_, listener| *listener != socket);
    }
}

impl Clock for Net {
    fn now(&self) -> Nanos {
        self.now
    }

    fn next_event(&mut self) -> Option<Nanos> {
        self.pending.values().map(|(at, _)| *at).min()
    }

    fn advance(&mut self, to: Nanos) {
        self.now = to;
    }
}

/// Calls in words, `0 p0.1 connect ok`: time, process and number of the socket, call, outcome.
#[derive(Default)]
struct Log {
    plan: Plan,
    lines: Vec<String>,
}

impl Log {
    fn line(&self, at: Nanos, caller: Caller, call: &Syscall<()>) -> String {
        let who = match caller {
            Caller::Server => "server".to_owned(),
            Caller::Step(step) => format!("step {step}"),
            Caller::Instance {
                process,
                instance,
                socket,
            } => {
                let number = self.plan.process(process).number_of(instance, socket);
                let kind = match socket {
                    Role::Listener(_) => "l",
                    Role::Connection(_) => "",
                };
                format!("p{}.{number}{kind}", process.0)
            }
        };
        format!("{at} {who} {}", call.op())
    }
}

impl CallLog<()> for Log {
    fn done(&mut self, at: Nanos, who: Caller, call: &Syscall<()>, is: &Outcome, _: Option<()>) {
        if !matches!(call, Syscall::Socket { .. }) {
            self.lines
                .push(format!("{} {is}", self.line(at, who, call)));
        }
    }

    fn begin(&mut self, at: Nanos, caller: Caller, call: &Syscall<()>) -> CallId {
        self.lines.push(self.line(at, caller, call));
        CallId(self.lines.len() as u32 - 1)
    }

    fn end(&mut self, _: Nanos, id: CallId, outcome: &Outcome, _: Option<()>) {
        self.lines[id.0 as usize] += &format!(" {outcome}");
    }
}

fn target(text: &str) -> Target {
    Target {
        addr: addr(text),
        host: Some(API),
    }
}

fn client() -> Process {
    Process {
        connect: vec![target("10.0.1.1:80")],
        ..Process::new(APP)
    }
}

/// The calls of some processes where 10.0.1.1:80 listens.
fn calls(net: &mut Net, processes: Vec<Process>) -> Vec<String> {
    let plan = Plan::new(processes);
    let mut interpreter = Interpreter::new(&plan);
    net.sockets += 1;
    net.listeners.insert(80, net.sockets);
    interpreter.add_listener(API, 80, net.sockets);
    let mut log = Log {
        plan: plan.clone(),
        lines: Vec::new(),
    };
    run(&plan, &mut interpreter, net, &mut log, |_, _, _| ());
    log.lines
}

#[test]
fn instances_take_turns_after_each_connect() {
    let two = Process {
        count: 2,
        connections: 2,
        bind: vec![addr("10.0.0.1:0")],
        ..client()
    };
    let got = calls(&mut Net::default(), vec![two, client()]);
    let want = [
        "0 p0.1 bind ok",
        "0 p0.1 connect ok",
        "0 server accept ok",
        "0 p0.3 bind ok",
        "0 p0.3 connect ok",
        "0 server accept ok",
        "0 p1.1 connect ok",
        "0 server accept ok",
        "0 p0.2 bind ok",
        "0 p0.2 connect ok",
        "0 server accept ok",
        "0 p0.4 bind ok",
        "0 p0.4 connect ok",
        "0 server accept ok",
    ];
    assert_eq!(got, want);
}

#[test]
fn each_way_to_close_has_its_order() {
    for (close, want) in [
        (Close::Client, &["5 p0.1 close ok", "5 server close ok"][..]),
        (Close::Server, &["5 server close ok", "5 p0.1 close ok"]),
        (Close::Both, &["5 p0.1 close ok", "5 server close ok"]),
        (
            Close::Reset,
            &["5 p0.1 set ok", "5 p0.1 close ok", "5 server close ok"],
        ),
    ] {
        let one = Process {
            hold: Some(5),
            close,
            ..client()
        };
        let got = calls(&mut Net::default(), vec![one]);
        assert_eq!(got[..2], ["0 p0.1 connect ok", "0 server accept ok"]);
        assert_eq!(got[2..], *want, "{close:?}");
    }
}

#[test]
fn the_server_sees_a_close_when_the_client_has_made_its_next_call() {
    let one = Process {
        hold: Some(5),
        repeat: 2,
        connections: 2,
        every: 0,
        close: Close::Reset,
        ..client()
    };
    let got = calls(&mut Net::default(), vec![one]);
    let at_five: Vec<&String> = got.iter().filter(|one| one.starts_with("5 ")).collect();
    let want = [
        "5 p0.1 set ok",
        "5 p0.1 close ok",
        "5 p0.2 set ok",
        "5 p0.2 close ok",
        "5 p0.3 connect ok",
        "5 server accept ok",
        "5 server close ok",
        "5 p0.4 connect ok",
        "5 server accept ok",
        "5 server close ok",
    ];
    assert_eq!(at_five, want);
}

#[test]
fn waiting_process_begins_after_the_last_answer() {
    let mut net = Net {
        latency: 3,
        ..Net::default()
    };
    let late = Process {
        after: vec![ProcessId(1)],
        ..client()
    };
    let first = Process {
        start: 2,
        connections: 2,
        every: 1,
        ..client()
    };
    let got = calls(&mut net, vec![late, first]);
    let connects: Vec<&String> = got.iter().filter(|one| one.contains("connect")).collect();
    assert_eq!(
        connects,
        [
            "2 p1.1 connect ok",
            "5 p1.2 connect ok",
            "8 p0.1 connect ok"
        ]
    );
}

#[test]
fn a_socket_with_a_mapped_address_is_an_ipv6_one() {
    let mut net = Net::default();
    let mapped = Process {
        bind: vec![addr("[::ffff:10.0.0.1]:0")],
        ..client()
    };
    let listens = Process {
        listen: vec![addr("[::ffff:10.0.0.1]:90"), addr("10.0.0.1:91")],
        ..Process::new(APP)
    };
    calls(&mut net, vec![mapped, listens]);
    // The two listeners, the connection, what was accepted.
    assert_eq!(net.families, [Family::Inet6, Family::Inet6, Family::Inet]);
}

#[test]
fn a_failed_bind_ends_the_connection_and_the_instance_goes_on() {
    let one = Process {
        bind: vec![addr("10.0.0.1:1"), addr("10.0.0.1:0")],
        connections: 2,
        options: vec![SockOpt::ReuseAddr(true)],
        ..client()
    };
    let got = calls(&mut Net::default(), vec![one]);
    let want = [
        "0 p0.1 set ok",
        "0 p0.1 bind EACCES",
        "0 p0.1 close ok",
        "0 p0.2 set ok",
        "0 p0.2 bind ok",
        "0 p0.2 connect ok",
        "0 server accept ok",
    ];
    assert_eq!(got, want);
}

#[test]
fn a_listener_that_is_closed_takes_along_what_it_has_accepted() {
    for (accepted, want) in [
        (AcceptedFate::Keep, &["9 p0.1l close ok"][..]),
        (
            AcceptedFate::Close,
            &["9 p0.1l close ok", "9 server close ok"],
        ),
        (
            AcceptedFate::Reset,
            &["9 p0.1l close ok", "9 server set ok", "9 server close ok"],
        ),
    ] {
        let server = Process {
            listen: vec![addr("10.0.1.1:8080")],
            listen_for: Some(9),
            accepted,
            ..Process::new(API)
        };
        let user = |start| Process {
            connect: vec![target("10.0.1.1:8080")],
            start,
            ..Process::new(APP)
        };
        let got = calls(&mut Net::default(), vec![server, user(1), user(10)]);
        let end = got.iter().position(|one| one.starts_with("9 "));
        let (before, after) = got.split_at(end.expect("the listener is closed"));
        assert!(before.contains(&"1 p1.1 connect ok".to_owned()));
        assert_eq!(after[..want.len()], *want, "{accepted:?}");
        assert_eq!(
            after[want.len()..],
            ["10 p2.1 connect ECONNREFUSED", "10 p2.1 close ok"]
        );
    }
}

#[test]
fn a_listener_is_closed_when_none_shares_it_any_more() {
    for (child, free_at) in [(3, 9), (20, 20)] {
        let server = Process {
            listen: vec![addr("10.0.1.1:8080")],
            listen_for: Some(9),
            ..Process::new(API)
        };
        let heir = Process {
            inherit: Some(ProcessId(0)),
            listen_for: Some(child),
            ..Process::new(API)
        };
        let next = Process {
            after: vec![ProcessId(0), ProcessId(1)],
            listen: vec![addr("10.0.1.1:8081")],
            ..Process::new(API)
        };
        let got = calls(&mut Net::default(), vec![server, heir, next]);
        let closed = format!("{free_at} p0.1l close ok");
        assert_eq!(got.iter().filter(|one| one.contains("close")).count(), 1);
        assert!(got.contains(&closed), "{got:?}");
        assert!(got.contains(&format!("{free_at} p2.1l bind ok")), "{got:?}");
    }
}

#[test]
fn an_instance_stops_at_its_first_failure_if_it_says_so() {
    for (stop_on_failure, made) in [(false, 3), (true, 1)] {
        let to = Target {
            addr: addr("10.0.1.1:9"),
            host: Some(API),
        };
        let client = Process {
            connect: vec![to],
            connections: 3,
            stop_on_failure,
            ..Process::new(APP)
        };
        let next = Process {
            after: vec![ProcessId(0)],
            listen: vec![addr("10.0.1.1:8081")],
            ..Process::new(API)
        };
        let got = calls(&mut Net::default(), vec![client, next]);
        let connects = got.iter().filter(|one| one.contains("connect"));
        assert_eq!(connects.count(), made, "{got:?}");
        assert!(got.iter().any(|one| one.contains("p1.1l bind ok")));
    }
}
