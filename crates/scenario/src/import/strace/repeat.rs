//! A log in which the same few things are done again and again, as processes of the declarative form.
//!
//! This is for logs of the kind in which ports run out: runs of sockets that are made, bound and connected alike,
//! held to the end. Anything else stays in steps, which say exactly what was recorded.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fourtuple_syscall::SockOpt;
use indexmap::IndexMap;

use super::steps::PAUSE_MICROS;
use super::story::{Act, Event, Story};
use super::world::{HERE, World};
use crate::import::checked::{Assumptions, Holder, Place, Recorded};
use crate::model::{Check, ExpectBlock, Expected, Options, Process, Program};
use crate::value::{Answer, Op};

/// Runs of sockets that may be told as one process each.
const MAX_RUNS: usize = 6;
/// Sockets that a run has on average, or the steps are as short.
const LEAST_PER_RUN: usize = 2;

/// What one socket did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pattern {
    task: usize,
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

/// Whether the log is so regular that it can be told as processes, whatever surrounds it.
pub(super) fn is_regular(story: &Story) -> bool {
    !paused(&story.events) && runs(story).is_some_and(|runs| is_short(&runs))
}

fn is_short(runs: &[Run]) -> bool {
    let sockets: usize = runs.iter().map(|run| run.sockets as usize).sum();
    runs.len() <= MAX_RUNS && sockets >= runs.len() * LEAST_PER_RUN && sockets >= 4
}

/// The processes, with what is expected of them; none if the log is not that regular.
pub(super) fn processes(
    story: &Story,
    world: &World,
    assumptions: &Assumptions,
) -> Option<Regular> {
    if paused(&story.events)
        || assumptions.known_ports
        || world.servers.values().any(|server| server.stepwise)
    {
        return None;
    }
    let runs = runs(story)?;
    if !is_short(&runs) {
        return None;
    }
    let mut processes: IndexMap<String, Process> = IndexMap::new();
    for holder in &assumptions.holders {
        let name = format!("before{}", processes.len() + 1);
        processes.insert(name, held(holder, world));
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
                    place: Place::OfProcess(name.clone(), n),
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
fn held(holder: &Holder, world: &World) -> Process {
    let mut process = Process::new(HERE);
    match holder {
        Holder::Port(at) => process.listen = vec![*at],
        Holder::Range {
            from,
            to,
            count,
            bound,
        } => {
            let from = from.or_else(|| world.bound_from(*to, *bound));
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

/// Whether time passes between calls, which processes that start after each other would leave out.
fn paused(events: &[Event]) -> bool {
    let times: Vec<u64> = events.iter().filter_map(|event| event.time).collect();
    times
        .windows(2)
        .any(|pair| pair[1].saturating_sub(pair[0]) >= PAUSE_MICROS)
}

/// Sockets in the order in which they were made, alike ones together; none if a socket does anything else, or two
/// sockets are worked on in turn.
fn runs(story: &Story) -> Option<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut current: Option<(usize, Vec<&Event>)> = None;
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    for event in &story.events {
        match &mut current {
            // A socket that got no port holds nothing, whenever it is closed.
            _ if event.act == Act::Close && failed.contains(&event.sock) => {}
            Some((sock, events)) if *sock == event.sock => events.push(event),
            _ => {
                if event.act != Act::Socket || event.until.is_some() {
                    return None;
                }
                if let Some((_, events)) = current.replace((event.sock, vec![event])) {
                    add(&mut runs, story, &events)?;
                }
            }
        }
        if matches!(event.act, Act::Connect(_) | Act::Bind(_))
            && event.answer.is_some_and(|answer| !answer.is_ok())
        {
            // A bound socket whose connect failed still holds its port.
            if story.socks[event.sock].bound.is_none() {
                failed.insert(event.sock);
            }
        }
    }
    let (_, events) = current?;
    add(&mut runs, story, &events)?;
    Some(runs)
}

fn add(runs: &mut Vec<Run>, story: &Story, events: &[&Event]) -> Option<()> {
    let first = events.first()?;
    let mut pattern = Pattern {
        task: story.socks.get(first.sock)?.task,
        ..Pattern::default()
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
            // A port of the socket's own is not the same for two of them.
            Act::Bind(at)
                if pattern.bind.is_none()
                    && pattern.connect.is_none()
                    && story.port_of(event.sock, *at, false).port() == 0 =>
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
    // A bind that failed keeps the program from connecting, so that such a socket goes with the run before it.
    let fits = |run: &&mut Run| {
        let same = run.pattern.task == pattern.task
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
