//! Events to steps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use fourtuple_syscall::SockOpt;
use indexmap::IndexMap;

use super::environment::{Environment, HERE, THERE, canonical};
use super::history::{Act, Event, History};
use crate::import::MAX_IMPORTED_STEPS;
use crate::import::checked::{Assumptions, AttemptRef, Holder, MAX_HELD_STEPS, Recorded};
use crate::model::{
    AcceptStep, BindStep, ConnectStep, ListenStep, OnSocketStep, Options, Program, SendtoStep,
    SetStep, ShutdownStep, SleepStep, SocketStep, Step,
};
use crate::span::Spanned;
use crate::value::{Address, Answer, Family, Op, SocketType};

/// Shortest pause that becomes a `sleep`, in microseconds. Shorter ones are the duration of the
/// calls themselves.
pub(super) const PAUSE_MICROS: u64 = 20_000;
/// Longest pause, a day.
const LONGEST_MICROS: u64 = 86_400_000_000;
/// The user id of processes that were refused a port below 1024.
const UNPRIVILEGED: u32 = 1000;

/// Most steps, including those of sockets outside the log.
const MAX_WRITTEN_STEPS: usize = MAX_IMPORTED_STEPS + 3 * MAX_HELD_STEPS as usize;
/// The results of a connect() that found a port and then failed or stayed in progress.
const FOUND_PORT: &[&str] = &[
    "ok",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "EHOSTUNREACH",
    "ECONNRESET",
];

/// Generates the steps, and the attempts that make the recorded calls.
pub(super) fn steps(
    history: &mut History,
    environment: &Environment,
    assumptions: &Assumptions,
) -> (Program, Vec<Recorded>) {
    let mut writer = Writer {
        environment,
        assumptions,
        steps: Vec::new(),
        attempts: 0,
        recorded: Vec::new(),
        far: IndexMap::new(),
        far_count: 0,
        servers: IndexMap::new(),
        unprivileged: unprivileged(history),
        outcome_unknown: 0,
    };
    writer.holders();
    let events = std::mem::take(&mut history.events);
    let mut last: Option<u64> = None;
    for event in &events {
        // The window of a long log is shorter. This limits sockets outside the log that need more
        // steps than estimated.
        if writer.steps.len() >= MAX_WRITTEN_STEPS {
            history.notes.left_out(format!(
                "everything from line {} on: a scenario of more than {MAX_WRITTEN_STEPS} steps would be too large",
                event.line
            ));
            break;
        }
        if let (Some(last), Some(now)) = (last, event.time) {
            writer.pause(now.saturating_sub(last));
        }
        // A connect that times out takes its time in the model too, so that only the remainder is a
        // pause.
        let waits = event
            .answer
            .is_some_and(|answer| answer.as_str() == "ETIMEDOUT");
        last = if waits { None } else { event.time.or(last) };
        writer.event(history, event);
    }
    if writer.outcome_unknown > 0 {
        let count = writer.outcome_unknown;
        history.notes.assumed(format!(
            "{count} connects whose outcome the log does not show may end in any way"
        ));
    }
    let steps = writer.steps.into_iter().map(Spanned::from).collect();
    (Program::Steps(steps), writer.recorded)
}

/// Tasks that were refused a port for lack of privileges.
fn unprivileged(history: &History) -> Vec<usize> {
    let refused = |event: &&Event| {
        matches!(event.act, Act::Bind(_))
            && event
                .answer
                .is_some_and(|answer| answer.as_str() == "EACCES")
    };
    history
        .events
        .iter()
        .filter(refused)
        .map(|event| history.socks[event.sock].task)
        .collect()
}

struct Writer<'a> {
    environment: &'a Environment,
    assumptions: &'a Assumptions,
    steps: Vec<Step>,
    /// The number of attempts of the steps so far.
    attempts: usize,
    recorded: Vec<Recorded>,
    /// The peer of a recorded socket, if steps create it.
    far: IndexMap<usize, String>,
    far_count: usize,
    /// Open servers outside the log, with the names of their sockets.
    servers: IndexMap<SocketAddr, String>,
    unprivileged: Vec<usize>,
    outcome_unknown: usize,
}

/// The name of a recorded socket.
fn name(sock: usize) -> String {
    format!("s{}", sock + 1)
}

impl Writer<'_> {
    fn push(&mut self, step: Step) {
        self.attempts += usize::from(!matches!(step, Step::Sysctl(_) | Step::Sleep(_)));
        self.steps.push(step);
    }

    /// Records that the next step makes a recorded call.
    fn record(&mut self, history: &History, event: &Event, answers: &[Answer]) {
        let (op, at) = match &event.act {
            Act::Set(_) => (Op::Set, None),
            Act::Bind(at) => (Op::Bind, Some(*at)),
            Act::Listen(_) => (Op::Listen, None),
            Act::Connect(to) => (Op::Connect, Some(*to)),
            Act::SendTo(to) => (Op::SendTo, Some(*to)),
            Act::Accepted(_) => (Op::Accept, None),
            Act::Disconnect => (Op::Disconnect, None),
            _ => return,
        };
        if answers.is_empty() {
            return;
        }
        self.recorded.push(Recorded {
            line: event.line,
            until: event.until,
            op,
            at,
            bound: history.socks[event.sock].bound,
            answers: answers.to_vec(),
            place: AttemptRef::Index(self.attempts),
        });
    }

    /// Opens the sockets outside the log that hold ports from the start.
    fn holders(&mut self) {
        let mut count = 0;
        for holder in &self.assumptions.holders {
            match holder {
                Holder::Port(at) => {
                    count += 1;
                    let name = format!("held{count}");
                    self.outsider(&name, *at, Options::default());
                    self.push(bind(name.clone(), *at, Vec::new()));
                    self.push(listen(name, 128, Vec::new()));
                }
                Holder::Range {
                    from,
                    to,
                    count: many,
                    bound,
                } => {
                    let server = to.map(canonical);
                    if let Some(at) = server
                        && self
                            .environment
                            .servers
                            .get(&at)
                            .is_some_and(|one| one.stepwise)
                    {
                        self.open_server(at);
                    }
                    let from = from.or_else(|| self.environment.bound_from(*to, *bound));
                    for _ in 0..(*many).min(MAX_HELD_STEPS) {
                        count += 1;
                        self.holder(format!("held{count}"), from, *to, *bound);
                    }
                }
            }
        }
    }

    fn holder(&mut self, name: String, from: Option<IpAddr>, to: Option<SocketAddr>, bound: bool) {
        let mut options = Options::default();
        if from.is_some() && !bound {
            options.set(SockOpt::BindAddressNoPort(true));
        }
        let v6 = to.is_some_and(|to| to.is_ipv6());
        let here = from.unwrap_or(loopback(v6));
        self.outsider(&name, SocketAddr::new(here, 0), options);
        if let Some(from) = from {
            self.push(bind(name.clone(), SocketAddr::new(from, 0), Vec::new()));
        }
        if let Some(to) = to {
            self.push(connect(name, to, Vec::new()));
        }
    }

    fn pause(&mut self, micros: u64) {
        if micros >= PAUSE_MICROS {
            let millis = micros.min(LONGEST_MICROS) / 1000;
            self.push(Step::Sleep(SleepStep {
                sleep: Duration::from_millis(millis),
            }));
        }
    }

    fn event(&mut self, history: &History, event: &Event) {
        let sock = &history.socks[event.sock];
        let name = name(event.sock);
        let mut expect: Vec<Answer> = event.answer.into_iter().collect();
        if expect.is_empty() && event.started {
            let names = FOUND_PORT.iter();
            expect = names.filter_map(|name| Answer::from_name(name)).collect();
        }
        if !matches!(event.act, Act::Connect(_) | Act::Accepted(_)) {
            self.record(history, event, &expect);
        }
        match &event.act {
            Act::Socket => self.push(Step::Socket(SocketStep {
                socket: name,
                family: sock.family,
                kind: sock.kind,
                by: history.tasks.get(sock.task).cloned().unwrap_or_default(),
                uid: if self.unprivileged.contains(&sock.task) {
                    UNPRIVILEGED
                } else {
                    0
                },
                on: HERE.to_owned(),
                nonblock: false,
                options: Options::default(),
                expect: Vec::new(),
                implicit: false,
            })),
            Act::Set(option) => {
                let options = one(*option);
                self.push(Step::Set(SetStep {
                    set: name,
                    options,
                    expect,
                }));
            }
            Act::Bind(at) => {
                let at = history.port_of(event.sock, *at, self.assumptions.known_ports);
                self.push(bind(name, at, expect));
            }
            Act::Listen(backlog) => self.push(listen(name, *backlog, expect)),
            Act::Connect(to) if sock.is_datagram() => {
                self.record(history, event, &expect);
                self.push(connect(name, *to, expect));
            }
            Act::Connect(to) => self.connect(history, event, *to, expect),
            Act::SendTo(to) => self.push(Step::Sendto(SendtoStep {
                sendto: name,
                to: Address::from(*to),
                len: 1,
                port_as: None,
                expect,
                expect_port: None,
                expect_local: None,
            })),
            Act::Accepted(peer) => self.accepted(history, event, *peer, expect),
            Act::Shutdown(how) => {
                self.push(Step::Shutdown(ShutdownStep {
                    shutdown: name,
                    how: *how,
                    expect,
                }));
            }
            Act::Disconnect => {
                self.push(Step::Disconnect(OnSocketStep {
                    socket: name,
                    expect,
                }));
            }
            Act::Close => {
                if self.assumptions.outsiders_close_first {
                    self.far_closes(event.sock);
                }
                self.close(name);
                self.far_closes(event.sock);
            }
            Act::Reverted => {}
            Act::PeerClosed => self.far_closes(event.sock),
            Act::PeerReset => {
                if let Some(far) = self.far.get(&event.sock).cloned() {
                    let options = one(SockOpt::RESET);
                    self.push(Step::Set(SetStep {
                        set: far,
                        options,
                        expect: Vec::new(),
                    }));
                    self.far_closes(event.sock);
                }
            }
        }
    }

    fn close(&mut self, socket: String) {
        self.push(Step::Close(OnSocketStep {
            socket,
            expect: Vec::new(),
        }));
    }

    fn far_closes(&mut self, sock: usize) {
        if let Some(far) = self.far.swap_remove(&sock) {
            self.close(far);
        }
    }

    /// Opens a socket outside the log.
    fn outsider(&mut self, socket: &str, at: SocketAddr, options: Options) {
        let here = self.environment.is_here(at.ip());
        self.push(Step::Socket(SocketStep {
            socket: socket.to_owned(),
            family: if at.is_ipv6() {
                Family::Inet6
            } else {
                Family::Inet
            },
            kind: SocketType::Stream,
            by: if here { "neighbour" } else { "outside" }.to_owned(),
            uid: 0,
            on: if here { HERE } else { THERE }.to_owned(),
            nonblock: false,
            options,
            expect: Vec::new(),
            implicit: false,
        }));
    }

    fn connect(&mut self, history: &History, event: &Event, to: SocketAddr, expect: Vec<Answer>) {
        let at = canonical(to);
        let stepwise = self
            .environment
            .servers
            .get(&at)
            .is_some_and(|server| server.stepwise);
        let answer = event.answer.map(Answer::as_str);
        self.outcome_unknown += usize::from(answer.is_none());
        if stepwise {
            match answer {
                Some("ECONNREFUSED") => {
                    if let Some(server) = self.servers.swap_remove(&at) {
                        self.close(server);
                    }
                }
                _ => self.open_server(at),
            }
        }
        self.record(history, event, &expect);
        self.push(connect(name(event.sock), to, expect));
        let connected = (answer == Some("ok") || event.started)
            && history.socks[event.sock].other_end.is_none();
        if let Some(server) = self.servers.get(&at).filter(|_| connected).cloned() {
            let far = self.new_far(event.sock);
            self.push(accept(server, far, Vec::new()));
        }
    }

    fn new_far(&mut self, sock: usize) -> String {
        self.far_count += 1;
        let far = format!("far{}", self.far_count);
        self.far.insert(sock, far.clone());
        far
    }

    fn open_server(&mut self, at: SocketAddr) {
        if self.servers.contains_key(&at) {
            return;
        }
        self.far_count += 1;
        let name = format!("server{}", self.far_count);
        self.outsider(&name, at, one(SockOpt::ReuseAddr(true)));
        self.push(bind(name.clone(), at, Vec::new()));
        self.push(listen(name.clone(), 4096, Vec::new()));
        self.servers.insert(at, name);
    }

    fn accepted(
        &mut self,
        history: &History,
        event: &Event,
        peer: Option<SocketAddr>,
        expect: Vec<Answer>,
    ) {
        let sock = &history.socks[event.sock];
        let Some(listener) = sock.accepted_from else {
            return;
        };
        if sock.other_end.is_none() {
            self.outside_client(history, event.sock, listener, peer);
        }
        self.record(history, event, &expect);
        self.push(accept(name(listener), name(event.sock), expect));
    }

    /// Connects a client outside the log to a recorded listener.
    fn outside_client(
        &mut self,
        history: &History,
        sock: usize,
        listener: usize,
        peer: Option<SocketAddr>,
    ) {
        let listener = &history.socks[listener];
        let bound = listener.bound.or(listener.local);
        let own = bound
            .map(|at| at.ip().to_canonical())
            .filter(|ip| !ip.is_unspecified());
        let peer = peer.map(canonical);
        let v6 = match (peer, own) {
            (Some(peer), _) => peer.is_ipv6(),
            (None, Some(own)) => own.is_ipv6(),
            (None, None) => false,
        };
        let local = peer.is_none_or(|peer| self.environment.is_here(peer.ip()));
        let ip = own.or_else(|| {
            // The listener is bound to the wildcard: connects to the same address, or to the one
            // that other hosts use.
            if local {
                peer.map(|peer| peer.ip())
            } else {
                self.environment.address_here(v6)
            }
        });
        let port = listener.local.or(bound).map_or(0, |at| at.port());
        let to = SocketAddr::new(ip.unwrap_or(loopback(v6)), port);
        let far = self.new_far(sock);
        self.outsider(&far, peer.unwrap_or(to), Options::default());
        if let Some(peer) = peer.filter(|peer| peer.port() != 0) {
            // A closed connection may still hold the same port.
            self.push(Step::Set(SetStep {
                set: far.clone(),
                options: one(SockOpt::ReuseAddr(true)),
                expect: Vec::new(),
            }));
            self.push(bind(far.clone(), peer, Vec::new()));
        }
        self.push(connect(far, to, Vec::new()));
    }
}

fn loopback(v6: bool) -> IpAddr {
    if v6 {
        Ipv6Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::LOCALHOST.into()
    }
}

fn one(option: SockOpt) -> Options {
    let mut options = Options::default();
    options.set(option);
    options
}

fn bind(socket: String, at: SocketAddr, expect: Vec<Answer>) -> Step {
    Step::Bind(BindStep {
        bind: socket,
        at: Address::from(at),
        port_as: None,
        expect,
        expect_port: None,
        expect_local: None,
    })
}

fn listen(socket: String, backlog: u32, expect: Vec<Answer>) -> Step {
    Step::Listen(ListenStep {
        listen: socket,
        backlog,
        port_as: None,
        expect,
        expect_port: None,
        expect_local: None,
    })
}

fn connect(socket: String, to: SocketAddr, expect: Vec<Answer>) -> Step {
    Step::Connect(ConnectStep {
        connect: socket,
        to: to.into(),
        port_as: None,
        expect,
        expect_port: None,
        expect_local: None,
        expect_peer: None,
    })
}

fn accept(listener: String, accepted: String, expect: Vec<Answer>) -> Step {
    Step::Accept(AcceptStep {
        accept: listener,
        accepted: Some(accepted),
        expect,
        expect_local: None,
        expect_peer: None,
    })
}
