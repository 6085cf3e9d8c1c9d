//! A log of repeated operations as processes of the declarative form.
//!
//! This applies to typical logs of port exhaustion: runs of sockets that are created, bound and
//! connected in the same way and stay open to the end. All other logs become steps, which reproduce
//! every call.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fourtuple_syscall::SockOpt;
use indexmap::IndexMap;

use super::environment::{Environment, HERE};
use super::history::{Act, Event, History};
use super::steps::PAUSE_MICROS;
use crate::import::checked::{Assumptions, AttemptRef, Holder, Recorded};
use crate::model::{Check, ExpectBlock, Expected, Options, Process, Program};
use crate::value::{Answer, Op, Protocol, SocketType};

/// Most runs of sockets, each of which becomes a process.
const MAX_RUNS: usize = 6;
/// Fewest sockets of a run on average; below it the steps are as short.
const LEAST_PER_RUN: usize = 2;

/// The calls of one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    task: usize,
    protocol: Protocol,
    options: Options,
    bind: Option<SocketAddr>,
    connect: Option<SocketAddr>,
}

struct Run {
    pattern: Pattern,
    sockets: u32,
    bound: Vec<(usize, Answer)>,
    connected: Vec<(usize, Answer)>,
}

/// A log as processes.
pub(super) struct Regular {
    pub(super) program: Program,
    pub(super) expect: Vec<ExpectBlock>,
    pub(super) recorded: Vec<Recorded>,
}

/// Returns `true` if the log is regular enough for processes, regardless of its environment.
pub(super) fn is_regular(history: &History) -> bool {
    !paused(&history.events) && runs(history).is_some_and(|runs| is_short(&runs))
}

fn is_short(runs: &[Run]) -> bool {
    let sockets: usize = runs.iter().map(|run| run.sockets as usize).sum();
    runs.len() <= MAX_RUNS && sockets >= runs.len() * LEAST_PER_RUN && sockets >= 4
}

/// Returns the processes with their expectations; `None` if the log is not regular.
pub(super) fn processes(
    history: &History,
    environment: &Environment,
    assumptions: &Assumptions,
) -> Option<Regular> {
    if paused(&history.events)
        || assumptions.known_ports
        || environment.servers.values().any(|server| server.stepwise)
    {
        return None;
    }
    let runs = runs(history)?;
    if !is_short(&runs) {
        return None;
    }
    let mut processes: IndexMap<String, Process> = IndexMap::new();
    for holder in &assumptions.holders {
        let name = format!("before{}", processes.len() + 1);
        processes.insert(name, held(holder, environment));
    }
    let mut checks = Vec::new();
    let mut recorded = Vec::new();
    for run in runs {
        let kind = match (run.pattern.bind, run.pattern.connect) {
            (Some(_), Some(_)) => "binders",
            (Some(_), None) => "bound",
            _ => "plain",
        };
        let mut name = kind.to_owned();
        for n in 2.. {
            if !processes.contains_key(&name) {
                break;
            }
            name = format!("{kind}{n}");
        }
        let mut process = Process::new(HERE);
        process.after = processes.keys().last().cloned().into_iter().collect();
        process.protocol = run.pattern.protocol;
        process.connections = run.sockets;
        process.options = run.pattern.options;
        process.bind = run.pattern.bind.into_iter().collect();
        process.connect = run.pattern.connect.into_iter().collect();
        let (bind, connect) = (run.pattern.bind, run.pattern.connect);
        let bound = run.bound;
        for (op, at, answers) in [
            (Op::Bind, bind, bound),
            (Op::Connect, connect, run.connected),
        ] {
            let mut counts: IndexMap<Answer, u32> = IndexMap::new();
            for (n, (line, answer)) in answers.iter().enumerate() {
                *counts.entry(*answer).or_default() += 1;
                recorded.push(Recorded {
                    line: *line,
                    until: None,
                    op,
                    at,
                    bound: bind.filter(|_| op == Op::Connect),
                    answers: vec![*answer],
                    place: AttemptRef::OfProcess(name.clone(), n),
                });
            }
            if !counts.is_empty() {
                let expected = Expected::Counts(counts);
                checks.push(
                    Check {
                        process: name.clone(),
                        op,
                        expected,
                    }
                    .into(),
                );
            }
        }
        processes.insert(name, process);
    }
    let expect = vec![ExpectBlock {
        kernel: None,
        checks,
    }];
    recorded.sort_by_key(|one| one.line);
    Some(Regular {
        program: Program::Processes(processes),
        expect,
        recorded,
    })
}

/// A process outside the log that holds ports from the start.
fn held(holder: &Holder, environment: &Environment) -> Process {
    let mut process = Process::new(HERE);
    match holder {
        Holder::Port(at) => process.listen = vec![*at],
        Holder::Range {
            from,
            to,
            count,
            bound,
        } => {
            let from = from.or_else(|| environment.bound_from(*to, *bound));
            if from.is_some() && !bound {
                process.options.set(SockOpt::BindAddressNoPort(true));
            }
            process.bind = from.map(|ip| SocketAddr::new(ip, 0)).into_iter().collect();
            process.connect = to.iter().copied().collect();
            process.connections = *count;
        }
    }
    process
}

/// Returns `true` if time passes between calls, which processes started with `after` would not
/// reproduce.
fn paused(events: &[Event]) -> bool {
    let times: Vec<u64> = events.iter().filter_map(|event| event.time).collect();
    times
        .windows(2)
        .any(|pair| pair[1].saturating_sub(pair[0]) >= PAUSE_MICROS)
}

/// Groups sockets, in order of creation, into runs with equal calls. Returns `None` if a socket
/// makes any other call, or calls of two sockets are interleaved.
fn runs(history: &History) -> Option<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut current: Option<(usize, Vec<&Event>)> = None;
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    for event in &history.events {
        match &mut current {
            // A socket without a port holds nothing, so its close does not matter.
            _ if event.act == Act::Close && failed.contains(&event.sock) => {}
            Some((sock, events)) if *sock == event.sock => events.push(event),
            _ => {
                if event.act != Act::Socket || event.until.is_some() {
                    return None;
                }
                if let Some((_, events)) = current.replace((event.sock, vec![event])) {
                    add(&mut runs, history, &events)?;
                }
            }
        }
        if matches!(event.act, Act::Connect(_) | Act::Bind(_))
            && event.answer.is_some_and(|answer| !answer.is_ok())
        {
            // A bound socket whose connect failed still holds its port.
            if history.socks[event.sock].bound.is_none() {
                failed.insert(event.sock);
            }
        }
    }
    let (_, events) = current?;
    add(&mut runs, history, &events)?;
    Some(runs)
}

fn add(runs: &mut Vec<Run>, history: &History, events: &[&Event]) -> Option<()> {
    let first = events.first()?;
    let sock = history.socks.get(first.sock)?;
    let mut pattern = Pattern {
        task: sock.task,
        protocol: match sock.kind {
            SocketType::Stream => Protocol::Tcp,
            SocketType::Dgram => Protocol::Udp,
        },
        options: Options::default(),
        bind: None,
        connect: None,
    };
    type Met = Option<(usize, Answer)>;
    let (mut bound, mut connected): (Met, Met) = (None, None);
    for event in events.iter().skip(1) {
        match &event.act {
            Act::Set(option)
                if event.answer == Some(Answer::OK)
                    && pattern.bind.is_none()
                    && pattern.connect.is_none() =>
            {
                pattern.options.set(*option);
            }
            // A port chosen for one socket is not that of another.
            Act::Bind(at)
                if pattern.bind.is_none()
                    && pattern.connect.is_none()
                    && history.port_of(event.sock, *at, false).port() == 0 =>
            {
                pattern.bind = Some(*at);
                bound = Some((event.line, event.answer?));
            }
            Act::Connect(to) if pattern.connect.is_none() && to.port() != 0 => {
                pattern.connect = Some(*to);
                connected = Some((event.line, event.answer?));
            }
            _ => return None,
        }
    }
    // After a failed bind the program does not connect, so such a socket belongs to the run before
    // it.
    let fits = |run: &&mut Run| {
        let same = run.pattern.task == pattern.task
            && run.pattern.protocol == pattern.protocol
            && run.pattern.options == pattern.options
            && run.pattern.bind == pattern.bind;
        let stopped = bound.is_some_and(|(_, answer)| !answer.is_ok());
        same && (run.pattern.connect == pattern.connect || (stopped && pattern.connect.is_none()))
    };
    let run = match runs.last_mut().filter(fits) {
        Some(run) => run,
        None => {
            pattern.bind.or(pattern.connect)?;
            runs.push(Run {
                pattern,
                sockets: 0,
                bound: Vec::new(),
                connected: Vec::new(),
            });
            runs.last_mut()?
        }
    };
    run.sockets += 1;
    run.bound.extend(bound);
    run.connected.extend(connected);
    Some(())
}
